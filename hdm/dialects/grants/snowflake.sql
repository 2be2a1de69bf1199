-- Snowflake: the least privileges that hdm needs. Replace the names that begin with hdm_; as SECURITYADMIN.
-- Give the role to the user of the profile: GRANT ROLE hdm_role TO USER ... (https://docs.snowflake.com/en/user-guide/security-access-control-privileges).

-- [source, sink] to work at all
GRANT USAGE ON WAREHOUSE hdm_warehouse TO ROLE hdm_role;  -- USAGE on the warehouse
GRANT USAGE ON DATABASE hdm_database TO ROLE hdm_role;  -- USAGE on the database
GRANT USAGE ON SCHEMA hdm_database.hdm_schema TO ROLE hdm_role;  -- USAGE on the schema

-- [source] for each table that is read; for all: GRANT SELECT ON ALL TABLES IN SCHEMA
GRANT SELECT ON TABLE hdm_database.hdm_schema.hdm_table TO ROLE hdm_role;  -- SELECT on the table

-- [sink] to make the tables, the ledger among them; temporary ones need no right
GRANT CREATE TABLE ON SCHEMA hdm_database.hdm_schema TO ROLE hdm_role;  -- CREATE TABLE on the schema

-- [append, merge, replace] for a table that is there and belongs to another role
GRANT SELECT ON TABLE hdm_database.hdm_schema.hdm_table TO ROLE hdm_role;  -- SELECT on the table
GRANT INSERT ON TABLE hdm_database.hdm_schema.hdm_table TO ROLE hdm_role;  -- INSERT on the table

-- [merge] for such a table, too
GRANT UPDATE ON TABLE hdm_database.hdm_schema.hdm_table TO ROLE hdm_role;  -- UPDATE on the table

-- [replace] for such a table, too
GRANT DELETE ON TABLE hdm_database.hdm_schema.hdm_table TO ROLE hdm_role;  -- DELETE on the table

-- [optional] else files for a load lie on the user's own stage until the session ends
GRANT CREATE STAGE ON SCHEMA hdm_database.hdm_schema TO ROLE hdm_role;  -- CREATE STAGE on the schema

-- [optional] for the sinks that load from an external stage
GRANT USAGE ON STAGE hdm_database.hdm_schema.hdm_stage TO ROLE hdm_role;  -- USAGE on the stage
