"""Describe Azure Synapse dedicated SQL pools, for schemas created there: SQL Server's types, less some.

https://learn.microsoft.com/en-us/azure/synapse-analytics/sql-data-warehouse/sql-data-warehouse-tables-data-
types.
"""

from __future__ import annotations

from hdm.dialects.sqlserver import SQLServerDialect
from hdm.dialects.traits import NONE, Traits


class SynapseDialect(SQLServerDialect):
    """Synapse: SQL Server's SQL; xml, geography, hierarchyid and similar types are stored as text."""

    name = "synapse"
    enforces_keys = False
    referring_keys = None
    all_keys = None
    catalog_queries = None
    # https://learn.microsoft.com/en-us/azure/synapse-analytics/sql-data-warehouse/sql-data-warehouse-table-constraints
    traits = Traits(
        fk="none", keys_enforced=False, check=False, index=True, generated=NONE, sequences=False,
        comments="none", default_expressions=False, actions=NONE, update_actions=False, distribution="kept",
        constraints_by_schema=True, identity_load="set IDENTITY_INSERT while loading",
    )  # fmt: skip
    limits = None
