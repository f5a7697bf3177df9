"""PostgreSQL, by subject: roster, ledger, parts, marts, mail, the shared limiter. `export` and `local` query it too.

Modules whose names mean something else elsewhere are imported as day_rows, mart_rows, part_rows and roster_rows.
"""
