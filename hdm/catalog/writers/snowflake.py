"""Writes DDL for Snowflake: https://docs.snowflake.com/en/sql-reference/sql/create-table."""

from __future__ import annotations

from hdm.catalog.model import Identity, Relation, View
from hdm.catalog.writers.base import Writer


class SnowflakeWriter(Writer):
    """Writes DDL for Snowflake, which enforces only NOT NULL; keys inform its optimiser and readers."""

    system = "snowflake"

    def identity(self, relation: Relation, identity: Identity) -> str:
        """Return the AUTOINCREMENT clause; the numbers may have gaps."""
        del relation
        return f"AUTOINCREMENT START {identity.start:d} INCREMENT {identity.increment:d}"

    def generated(self, expression: str, virtual: bool) -> str:
        """Return the clause of a generated column; Snowflake computes each value when it is read."""
        del virtual
        return f"AS ({expression})"

    def suffix(self, relation: Relation) -> str:
        """Return the CLUSTER BY clause with the table's sort columns."""
        sort = relation.distribution.sort if relation.distribution else ()
        return f" CLUSTER BY ({self.dialect.names(sort)})" if sort else ""

    def comment_view(self, view: View) -> list[str]:
        """Return COMMENT ON VIEW, for materialized views as well."""
        return [f"COMMENT ON VIEW {self.path(view.path)} IS {self.dialect.string(view.comment or '')}"]
