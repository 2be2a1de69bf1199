-- SQL Server and Azure SQL: the least privileges that hdm needs. Replace the names that begin with hdm_; run in the database.
-- https://learn.microsoft.com/en-us/sql/relational-databases/security/permissions-database-engine

-- [source, sink, state] to log in; the user belongs to a login (CREATE USER ... FOR LOGIN)
GRANT CONNECT TO hdm_user;  -- CONNECT on the database

-- [source] once for the database: hdm never reads with NOLOCK
ALTER DATABASE hdm_database SET ALLOW_SNAPSHOT_ISOLATION ON;  -- SNAPSHOT isolation

-- [source] for each table that is read; for all: GRANT SELECT ON SCHEMA::
GRANT SELECT ON OBJECT::hdm_schema.hdm_table TO hdm_user;  -- SELECT on the table

-- [sink, state] to make tables, the ledger among them, and to fill them: they belong to the schema's owner
GRANT CREATE TABLE TO hdm_user;  -- CREATE TABLE on the database
GRANT ALTER ON SCHEMA::hdm_schema TO hdm_user;  -- ALTER on the schema
GRANT SELECT ON SCHEMA::hdm_schema TO hdm_user;  -- SELECT on the schema
GRANT INSERT ON SCHEMA::hdm_schema TO hdm_user;  -- INSERT on the schema
GRANT UPDATE ON SCHEMA::hdm_schema TO hdm_user;  -- UPDATE on the schema
GRANT DELETE ON SCHEMA::hdm_schema TO hdm_user;  -- DELETE on the schema
GRANT VIEW DEFINITION ON SCHEMA::hdm_schema TO hdm_user;  -- VIEW DEFINITION on the schema

-- [state] its tables have foreign keys, and there is a view
GRANT REFERENCES ON SCHEMA::hdm_schema TO hdm_user;  -- REFERENCES on the schema
GRANT CREATE VIEW TO hdm_user;  -- CREATE VIEW on the database

-- [optional] so that a source is told defaults and computed columns, as AutoBatchOrchestrator needs them
GRANT VIEW DEFINITION ON SCHEMA::hdm_schema TO hdm_user;  -- VIEW DEFINITION on the schema
