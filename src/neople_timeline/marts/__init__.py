"""The questions of players and analysts, as SQL that DuckDB and Spark run unchanged."""
