-- Netezza: the least privileges that hdm needs. Replace the names that begin with hdm_; as ADMIN, connected to the database,
-- to which CREATE privileges are then limited (https://www.ibm.com/docs/en/netezza?topic=model-scope-object-privileges).

-- [source, sink] to log in
GRANT LIST ON hdm_database TO hdm_user;  -- LIST on the database

-- [source] for each table that is read; for all: ... ON hdm_database.hdm_schema.TABLE
GRANT LIST ON hdm_database.hdm_schema.hdm_table TO hdm_user;  -- LIST on the table
GRANT SELECT ON hdm_database.hdm_schema.hdm_table TO hdm_user;  -- SELECT on the table

-- [query] a query is described by an empty temporary table
GRANT CREATE TEMP TABLE TO hdm_user;  -- CREATE TEMP TABLE

-- [unload] NetezzaExternalTableSource has the server write files
GRANT CREATE EXTERNAL TABLE TO hdm_user;  -- CREATE EXTERNAL TABLE

-- [sink] rows go into a temporary table first, then into tables that hdm makes, the ledger among them
GRANT CREATE TABLE TO hdm_user;  -- CREATE TABLE
GRANT CREATE TEMP TABLE TO hdm_user;  -- CREATE TEMP TABLE

-- [append, merge, replace] for a table that is there and belongs to another user
GRANT LIST ON hdm_database.hdm_schema.hdm_table TO hdm_user;  -- LIST on the table
GRANT SELECT ON hdm_database.hdm_schema.hdm_table TO hdm_user;  -- SELECT on the table
GRANT INSERT ON hdm_database.hdm_schema.hdm_table TO hdm_user;  -- INSERT on the table

-- [merge] for such a table, too
GRANT UPDATE ON hdm_database.hdm_schema.hdm_table TO hdm_user;  -- UPDATE on the table

-- [merge, replace] for such a table, too
GRANT DELETE ON hdm_database.hdm_schema.hdm_table TO hdm_user;  -- DELETE on the table

-- [optional] else NetezzaSink sends a row with each round trip, not a file
GRANT CREATE EXTERNAL TABLE TO hdm_user;  -- CREATE EXTERNAL TABLE
