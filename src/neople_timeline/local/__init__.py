"""What `make run` and `make cluster` start on one machine: PostgreSQL, S3, mail, the sandbox API and Airflow."""
