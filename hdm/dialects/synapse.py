"""Azure Synapse dedicated SQL pools as a target of DDL: SQL Server's types, less what they lack.

https://learn.microsoft.com/en-us/azure/synapse-analytics/sql-data-warehouse/sql-data-warehouse-tables-data-types.
"""

from __future__ import annotations

from hdm.dialects.sqlserver import SQLServerDialect


class SynapseDialect(SQLServerDialect):
    """SQL Server's words; xml, geography, hierarchyid and the like are kept as text."""

    name = "synapse"
    enforces_keys = False
    referring_keys = None
    all_keys = None
