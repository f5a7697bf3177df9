"""PostgreSQL, by subject: roster, ledger, parts, marts, mail, the shared limiter. `export` and `local` query it too."""
