-- PostgreSQL: the least privileges that hdm needs. Replace the names that begin with hdm_; as an owner or superuser.
-- Every new database grants CONNECT and TEMPORARY to PUBLIC (https://www.postgresql.org/docs/current/ddl-priv.html).

-- [source, sink, state] to log in
GRANT CONNECT ON DATABASE hdm_database TO hdm_user;  -- CONNECT on the database
GRANT USAGE ON SCHEMA hdm_schema TO hdm_user;  -- USAGE on the schema

-- [source] for each table that is read; for all: GRANT SELECT ON ALL TABLES IN SCHEMA
GRANT SELECT ON TABLE hdm_schema.hdm_table TO hdm_user;  -- SELECT on the table

-- [sink, state] to make the tables, the ledger among them
GRANT CREATE ON SCHEMA hdm_schema TO hdm_user;  -- CREATE on the schema

-- [merge] rows to be merged lie in a temporary table
GRANT TEMPORARY ON DATABASE hdm_database TO hdm_user;  -- TEMPORARY on the database

-- [append, merge, replace] for a table that is there and belongs to another role
GRANT SELECT ON TABLE hdm_schema.hdm_table TO hdm_user;  -- SELECT on the table
GRANT INSERT ON TABLE hdm_schema.hdm_table TO hdm_user;  -- INSERT on the table

-- [replace] for such a table, too
GRANT DELETE ON TABLE hdm_schema.hdm_table TO hdm_user;  -- DELETE on the table

-- [merge] for such a table, too
GRANT UPDATE ON TABLE hdm_schema.hdm_table TO hdm_user;  -- UPDATE on the table

-- [optional] so that a source with a watermark sees transactions that are still open
GRANT pg_read_all_stats TO hdm_user;  -- the sessions of others
