-- Oracle and Exadata: the least privileges that hdm needs. Replace the names that begin with hdm_; as SYSTEM.
-- AS OF SCN needs FLASHBACK besides SELECT (https://docs.oracle.com/en/database/oracle/oracle-database/19/sqlrf/GRANT.html).

-- [source, sink] to log in
GRANT CREATE SESSION TO hdm_user;  -- CREATE SESSION

-- [source] for each table that is read
GRANT SELECT ON hdm_schema.hdm_table TO hdm_user;  -- SELECT on the table
GRANT FLASHBACK ON hdm_schema.hdm_table TO hdm_user;  -- FLASHBACK on the table

-- [source] as SYS; GRANT EXECUTE ON sys.dbms_flashback does, too
GRANT SELECT ON sys.v_$database TO hdm_user;  -- the current SCN

-- [sink] the sink logs in as the owner of the schema that it fills, and needs no right to the schemas of others
GRANT CREATE TABLE TO hdm_user;  -- CREATE TABLE
ALTER USER hdm_user QUOTA UNLIMITED ON hdm_tablespace;  -- a quota on the tablespace
