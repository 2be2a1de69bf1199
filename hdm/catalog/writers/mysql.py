"""Writes DDL for MySQL and MariaDB: https://mariadb.com/kb/en/create-table/.

A schema is a database.
"""

from __future__ import annotations

import re

from hdm.catalog.model import Identity, IndexPart, Key, Relation
from hdm.catalog.writers.base import Writer
from hdm.model import Column

_PLAIN = re.compile(
    r"(?:'(?:[^']|'')*'|[+-]?[\d.]+|NULL|TRUE|FALSE|CURRENT_TIMESTAMP(?:\(\d*\))?)\Z", re.IGNORECASE
)
OPTIONS = "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
"""Table options for tables of other systems; with the binary collation, no two of their keys become equal."""


class MySQLWriter(Writer):
    """Writes DDL for MySQL and MariaDB, with comments and the key of a numbered column in CREATE TABLE."""

    system = "mysql"

    def column(self, relation: Relation, column: Column) -> str:
        """Return a column's declaration with its comment.

        A nullable TIMESTAMP is spelled with NULL, since old servers make it NOT NULL otherwise.
        """
        made = super().column(relation, column)
        if column.nullable and column.native.lower().startswith("timestamp"):
            made = made.replace(column.native, f"{column.native} NULL", 1)
        return made + (f" COMMENT {self.dialect.string(column.comment)}" if column.comment else "")

    def default(self, column: Column) -> str:
        """Return the DEFAULT clause, with expressions in brackets."""
        text = column.default or ""
        base, on_update = _split_on_update(text)
        plain = _PLAIN.match(base) and not column.native.lower().endswith(("text", "blob", "json"))
        if not plain and not (base.startswith("(") and base.endswith(")")):
            base = base if self.schema.flavour == "mariadb" and _PLAIN.match(base) else f"({base})"
        return f"DEFAULT {base}{on_update}"

    def identity(self, relation: Relation, identity: Identity) -> str:
        """Return AUTO_INCREMENT, which counts by the server's own step."""
        del relation, identity
        return "AUTO_INCREMENT"

    def late_uniques(self, relation: Relation) -> tuple[Key, ...]:
        """Return the unique constraints to add after the load: all but those of numbered columns.

        A numbered column must have its key from the start.
        """
        counted = {one.column for one in relation.identities}
        return tuple(key for key in relation.uniques if key.columns[0] not in counted)

    def suffix(self, relation: Relation) -> str:
        """Return the part of CREATE TABLE for engine, collation, first number, comment and partitions."""
        made = f" {relation.options or OPTIONS}"
        if relation.identities and relation.identities[0].start > 1:
            made += f" AUTO_INCREMENT={relation.identities[0].start:d}"
        made += f" COMMENT={self.dialect.string(relation.comment)}" if relation.comment else ""
        return made + (f"\n{relation.partitioning.text}" if relation.partitioning else "")

    def index_part(self, part: IndexPart) -> str:
        """Return a column or an expression of CREATE INDEX, with the length of its prefix."""
        made = super().index_part(part)
        if part.column is None or part.length is None:
            return made
        name = self.q(part.column)
        return made.replace(name, f"{name}({part.length:d})", 1)


def _split_on_update(text: str) -> tuple[str, str]:
    found = re.search(r"\s+on\s+update\s+.*\Z", text, re.IGNORECASE | re.DOTALL)
    return (text[: found.start()], text[found.start() :]) if found else (text, "")
