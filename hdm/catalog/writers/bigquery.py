"""BigQuery: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language."""

from __future__ import annotations

from dataclasses import replace

from hdm.catalog.model import ForeignKey, Key, Relation, View
from hdm.catalog.writers.base import Writer
from hdm.model import Column


class BigQueryWriter(Writer):
    """Keys are declared NOT ENFORCED; descriptions are options."""

    system = "bigquery"
    named_constraints = True

    def column(self, relation: Relation, column: Column) -> str:
        """With its description."""
        made = super().column(relation, column)
        return made + (
            f" OPTIONS(description={self.dialect.string(column.comment)})" if column.comment else ""
        )

    def primary(self, key: Key) -> str:
        """Has no name."""
        return f"PRIMARY KEY ({self.dialect.names(key.columns)}) NOT ENFORCED"

    def foreign(self, key: ForeignKey) -> str:
        """Declared."""
        return super().foreign(key) + " NOT ENFORCED"

    def table_lines(self, relation: Relation) -> list[str]:
        """There are no unique constraints."""
        return super().table_lines(replace(relation, uniques=()))

    def late_uniques(self, relation: Relation) -> tuple[Key, ...]:
        """There are none."""
        del relation
        return ()

    def suffix(self, relation: Relation) -> str:
        """Clustering and description."""
        sort = relation.distribution.sort[:4] if relation.distribution else ()
        made = f" CLUSTER BY {self.dialect.names(sort)}" if sort else ""
        if relation.comment:
            made += f" OPTIONS(description={self.dialect.string(relation.comment)})"
        return made

    def create_view(self, view: View) -> list[str]:
        """With its description."""
        options = f" OPTIONS(description={self.dialect.string(view.comment)})" if view.comment else ""
        names = f" ({self.dialect.names(view.columns)})" if view.columns else ""
        return [f"CREATE VIEW {self.path(view.path)}{names}{options} AS\n{view.sql.strip().rstrip(';')}"]
