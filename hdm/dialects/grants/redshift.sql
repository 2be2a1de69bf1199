-- Amazon Redshift: the least privileges that hdm needs. Replace the names that begin with hdm_; as an owner or superuser.
-- The IAM role itself needs s3:GetObject and s3:ListBucket on the staging folder (https://docs.aws.amazon.com/redshift/latest/dg/r_GRANT.html).

-- [source, sink] to see the schema
GRANT USAGE ON SCHEMA hdm_schema TO hdm_user;  -- USAGE on the schema

-- [source] for each table that is read; for all: GRANT SELECT ON ALL TABLES IN SCHEMA
GRANT SELECT ON TABLE hdm_schema.hdm_table TO hdm_user;  -- SELECT on the table

-- [sink] to make the tables, the ledger among them; rows arrive in temporary tables
GRANT CREATE ON SCHEMA hdm_schema TO hdm_user;  -- CREATE on the schema
GRANT TEMPORARY ON DATABASE hdm_database TO hdm_user;  -- TEMPORARY on the database

-- [append, merge, replace] for a table that is there and belongs to another user
GRANT SELECT ON TABLE hdm_schema.hdm_table TO hdm_user;  -- SELECT on the table
GRANT INSERT ON TABLE hdm_schema.hdm_table TO hdm_user;  -- INSERT on the table

-- [merge] for such a table, too
GRANT UPDATE ON TABLE hdm_schema.hdm_table TO hdm_user;  -- UPDATE on the table

-- [replace] for such a table, too
GRANT DELETE ON TABLE hdm_schema.hdm_table TO hdm_user;  -- DELETE on the table
