-- Teradata: the least privileges that hdm needs. Replace the names that begin with hdm_; as a user who may grant them. hdm only reads Teradata.
-- Everyone may read the views of DBC that end in V unless a DBA has taken that away; what they show is filtered by privileges.

-- [source] for each table or view that is read; for all: ... ON hdm_database
GRANT SELECT ON hdm_database.hdm_table TO hdm_user;  -- SELECT on the table

-- [source] the dictionary: names, columns, indexes, sizes
GRANT SELECT ON DBC.TablesV TO hdm_user;  -- SELECT on DBC.TablesV
GRANT SELECT ON DBC.ColumnsV TO hdm_user;  -- SELECT on DBC.ColumnsV
GRANT SELECT ON DBC.IndicesV TO hdm_user;  -- SELECT on DBC.IndicesV
GRANT SELECT ON DBC.TableSizeV TO hdm_user;  -- SELECT on DBC.TableSizeV
GRANT SELECT ON DBC.TableStatsV TO hdm_user;  -- SELECT on DBC.TableStatsV

-- [views] the columns of a view that is read
GRANT SELECT ON DBC.ColumnsQV TO hdm_user;  -- SELECT on DBC.ColumnsQV
