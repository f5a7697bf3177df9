"""The only door to PostgreSQL: the roster, the ledger, the data, the marts and the shared limiter."""
