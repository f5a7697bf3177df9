-- Runs once, when the volume is empty: Airflow's metastore, the warehouse, and a reader for dashboards and analysts.
\set metastore `cat /run/secrets/metastore`
\set warehouse `cat /run/secrets/warehouse`
\set reader `cat /run/secrets/reader`
CREATE ROLE airflow LOGIN PASSWORD :'metastore';
CREATE ROLE timeline LOGIN PASSWORD :'warehouse';
CREATE ROLE timeline_reader LOGIN PASSWORD :'reader' CONNECTION LIMIT 20;
ALTER ROLE timeline_reader SET default_transaction_read_only = on;
ALTER ROLE timeline_reader SET statement_timeout = '60s';
CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE timeline OWNER timeline;
REVOKE CONNECT ON DATABASE airflow FROM PUBLIC;
\connect timeline
CREATE SCHEMA timeline AUTHORIZATION timeline;
GRANT USAGE ON SCHEMA timeline TO timeline_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE timeline IN SCHEMA timeline GRANT SELECT ON TABLES TO timeline_reader;
