-- SAP HANA: the least privileges that hdm needs. Replace the names that begin with hdm_; as the schema's owner or an administrator. hdm only reads HANA.
-- What a user may not see, the views of SYS leave out: a table that is not visible looks like one that is not there.

-- [source] for each table or view that is read; for all: GRANT SELECT ON SCHEMA hdm_schema
GRANT SELECT ON hdm_schema.hdm_table TO hdm_user;  -- SELECT on the table
