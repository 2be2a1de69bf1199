-- MySQL and MariaDB: the least privileges that hdm needs. Replace the names that begin with hdm_.
-- A user is written with its host: 'mover'@'%' (https://mariadb.com/docs/server/reference/sql-statements/account-management-sql-statements/grant).

-- [source] for each table that is read; for all: GRANT SELECT ON hdm_database.*
GRANT SELECT ON hdm_database.hdm_table TO hdm_user;  -- SELECT on the table

-- [sink, state] to make tables, the ledger among them, and to fill them
GRANT SELECT ON hdm_database.* TO hdm_user;  -- SELECT on the database
GRANT INSERT ON hdm_database.* TO hdm_user;  -- INSERT on the database
GRANT UPDATE ON hdm_database.* TO hdm_user;  -- UPDATE on the database
GRANT CREATE ON hdm_database.* TO hdm_user;  -- CREATE on the database

-- [merge] rows to be merged lie in a temporary table
GRANT CREATE TEMPORARY TABLES ON hdm_database.* TO hdm_user;  -- CREATE TEMPORARY TABLES on the database

-- [replace, state] to put one table in the place of another, or new rows in the place of the old
GRANT DELETE ON hdm_database.* TO hdm_user;  -- DELETE on the database
GRANT DROP ON hdm_database.* TO hdm_user;  -- DROP on the database
GRANT ALTER ON hdm_database.* TO hdm_user;  -- ALTER on the database

-- [state] its tables have indexes, and there is a view
GRANT INDEX ON hdm_database.* TO hdm_user;  -- INDEX on the database
GRANT CREATE VIEW ON hdm_database.* TO hdm_user;  -- CREATE VIEW on the database

-- [state of MySQL] MariaDB needs no right for foreign keys
GRANT REFERENCES ON hdm_database.* TO hdm_user;  -- REFERENCES on the database

-- [optional] so that a table that is truncated while it is read is noticed, and late transactions are seen
GRANT PROCESS ON *.* TO hdm_user;  -- PROCESS
