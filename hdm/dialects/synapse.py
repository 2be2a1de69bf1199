"""Types of dedicated SQL pools of Azure Synapse, for schemas to be created there.

They are SQL Server's, less some.
https://learn.microsoft.com/en-us/azure/synapse-analytics/sql-data-warehouse/sql-data-warehouse-tables-data-types
"""

from __future__ import annotations

from hdm.dialects.sqlserver import SQLServerDialect
from hdm.dialects.traits import NONE, Traits


class SynapseDialect(SQLServerDialect):
    """The SQL of Synapse: SQL Server's, but xml, geography, hierarchyid and the like are stored as text."""

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
