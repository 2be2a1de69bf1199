"""Writes DDL for BigQuery.

See https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language.
"""

from __future__ import annotations

from dataclasses import replace

from hdm.catalog.model import ForeignKey, Key, Relation, View
from hdm.catalog.writers.base import Writer
from hdm.model import Column

_CLUSTERING = frozenset(
    {"BIGNUMERIC", "BOOL", "DATE", "DATETIME", "GEOGRAPHY", "INT64", "NUMERIC", "STRING", "TIMESTAMP"}
)


class BigQueryWriter(Writer):
    """Writes DDL for BigQuery: keys are NOT ENFORCED, comments are the option ``description``."""

    system = "bigquery"
    named_constraints = True

    def column(self, relation: Relation, column: Column) -> str:
        """Return a column's declaration with its comment, as the option ``description``."""
        made = super().column(relation, column)
        return made + (
            f" OPTIONS(description={self.dialect.string(column.comment)})" if column.comment else ""
        )

    def primary(self, key: Key) -> str:
        """Return the PRIMARY KEY clause, which has no name and is NOT ENFORCED."""
        return f"PRIMARY KEY ({self.dialect.names(key.columns)}) NOT ENFORCED"

    def foreign(self, key: ForeignKey) -> str:
        """Return the FOREIGN KEY clause, which is NOT ENFORCED."""
        return super().foreign(key) + " NOT ENFORCED"

    def table_lines(self, relation: Relation) -> list[str]:
        """Return the lines of CREATE TABLE without unique constraints, which BigQuery does not have."""
        return super().table_lines(replace(relation, uniques=()))

    def late_uniques(self, relation: Relation) -> tuple[Key, ...]:
        """Return no constraints, since BigQuery has no unique ones."""
        del relation
        return ()

    def suffix(self, relation: Relation) -> str:
        """Return the CLUSTER BY clause and the table's description.

        Columns of some types cannot cluster: https://cloud.google.com/bigquery/docs/clustered-tables.
        """
        natives = {column.name: self.dialect.stored(column).native for column in relation.table.columns}
        able = relation.distribution.sort if relation.distribution else ()
        sort = [name for name in able if natives.get(name, "").partition("(")[0] in _CLUSTERING][:4]
        made = f" CLUSTER BY {self.dialect.names(sort)}" if sort else ""
        if relation.comment:
            made += f" OPTIONS(description={self.dialect.string(relation.comment)})"
        return made

    def create_view(self, view: View) -> list[str]:
        """Return CREATE VIEW with the view's comment, as the option ``description``."""
        options = f" OPTIONS(description={self.dialect.string(view.comment)})" if view.comment else ""
        names = f" ({self.dialect.names(view.columns)})" if view.columns else ""
        return [f"CREATE VIEW {self.path(view.path)}{names}{options} AS\n{view.sql.strip().rstrip(';')}"]
