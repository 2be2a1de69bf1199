"""Snowflake: https://docs.snowflake.com/en/sql-reference/sql/create-table."""

from __future__ import annotations

from hdm.catalog.model import Identity, Relation, View
from hdm.catalog.writers.base import Writer


class SnowflakeWriter(Writer):
    """Keys are declared for optimisers and readers; only NOT NULL is enforced."""

    system = "snowflake"

    def identity(self, relation: Relation, identity: Identity) -> str:
        """Numbers may have gaps."""
        del relation
        return f"AUTOINCREMENT START {identity.start:d} INCREMENT {identity.increment:d}"

    def generated(self, expression: str, virtual: bool) -> str:
        """Computed when read."""
        del virtual
        return f"AS ({expression})"

    def suffix(self, relation: Relation) -> str:
        """Sort columns become clustering."""
        sort = relation.distribution.sort if relation.distribution else ()
        return f" CLUSTER BY ({self.dialect.names(sort)})" if sort else ""

    def comment_view(self, view: View) -> list[str]:
        """A view is commented as a view."""
        return [f"COMMENT ON VIEW {self.path(view.path)} IS {self.dialect.string(view.comment or '')}"]
