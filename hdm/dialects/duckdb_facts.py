"""What DuckDB can declare in DDL, and other facts besides its SQL."""

from __future__ import annotations

from hdm.dialects.facts import Facts
from hdm.dialects.traits import Traits


class DuckDBFacts(Facts):
    """What hdm knows about DuckDB 1.4 or later besides its SQL."""

    # https://duckdb.org/docs/sql/statements/create_table ; generated columns are virtual only
    traits = Traits(
        actions=frozenset({"RESTRICT"}), index_expression=True, identity="sequence",
        generated=frozenset({"virtual"}), rebuilds=True, fk_across_schemas=False,
        indexes_by_schema=True, keys_are_indexes=True,
    )  # fmt: skip
    default_schema = "main"
    widen_clause = "ALTER COLUMN {name} TYPE {type}"
