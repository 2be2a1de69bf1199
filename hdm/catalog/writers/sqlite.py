"""Writes DDL for SQLite: https://sqlite.org/lang_createtable.html.

All constraints stand in CREATE TABLE.
"""

from __future__ import annotations

import re

from hdm.catalog.model import Identity, Relation
from hdm.catalog.writers.base import Writer
from hdm.model import Column

_PLAIN = re.compile(
    r"(?:'(?:[^']|'')*'|x'[0-9a-f]*'|[+-]?[\d.]+(?:e[+-]?\d+)?|NULL|TRUE|FALSE|CURRENT_(?:TIMESTAMP|DATE|TIME))\Z",
    re.IGNORECASE,
)


class SQLiteWriter(Writer):
    """Writes DDL for SQLite, in which ``INTEGER PRIMARY KEY`` numbers a column."""

    system = "sqlite"
    inline_uniques = True
    inline_foreign = True

    def column(self, relation: Relation, column: Column) -> str:
        """Return a column's declaration; that of a numbered column contains the primary key."""
        identity = relation.identity(column.name)
        if identity is not None:
            word = "" if identity.style == "rowid" else " AUTOINCREMENT"
            name = self.constraint(relation.primary_key.name if relation.primary_key else "")
            not_null = "" if column.nullable else " NOT NULL"
            return f"{self.q(column.name)} INTEGER{not_null} {name}PRIMARY KEY{word}"
        return super().column(relation, column)

    def identity(self, relation: Relation, identity: Identity) -> str:
        """Return an empty text, since ``column`` writes the whole declaration of a numbered column."""
        del relation, identity
        return ""

    def table_lines(self, relation: Relation) -> list[str]:
        """Return the lines within CREATE TABLE, without a second primary key for a numbered column."""
        lines = super().table_lines(relation)
        if relation.identities and relation.primary_key:
            lines.remove(self.primary(relation.primary_key))
        return lines

    def default(self, column: Column) -> str:
        """Return the DEFAULT clause, with expressions in brackets."""
        text = column.default or ""
        return f"DEFAULT {text}" if _PLAIN.match(text) else f"DEFAULT ({text})"

    def suffix(self, relation: Relation) -> str:
        """Return the table options STRICT and WITHOUT ROWID."""
        return f" {relation.options}" if relation.options else ""
