"""What DuckDB can declare in DDL, and other facts besides its SQL."""

from __future__ import annotations

from hdm.dialects.facts import Facts
from hdm.dialects.traits import Traits


class DuckDBFacts(Facts):
    """What hdm knows about DuckDB 1.4 or later besides its SQL."""

    relation_kind = """SELECT 'a view' FROM duckdb_views()
        WHERE database_name = current_database() AND lower(schema_name) = lower({schema})
        AND lower(view_name) = lower({table})"""
    server_identity = "SELECT path FROM duckdb_databases() WHERE database_name = current_database()"
    # https://duckdb.org/docs/sql/statements/create_table ; generated columns are virtual only
    traits = Traits(
        actions=frozenset({"RESTRICT"}), index_expression=True, identity="sequence",
        generated=frozenset({"virtual"}), rebuilds=True, fk_across_schemas=False,
        indexes_by_schema=True, keys_are_indexes=True,
    )  # fmt: skip
    default_schema = "main"
    widen_clause = "ALTER COLUMN {name} TYPE {type}"
