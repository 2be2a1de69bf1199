"""MySQL and MariaDB: https://mariadb.com/kb/en/create-table/. A schema is a database."""

from __future__ import annotations

import re

from hdm.catalog.model import Identity, IndexPart, Key, Relation
from hdm.catalog.writers.base import Writer
from hdm.model import Column

_PLAIN = re.compile(
    r"(?:'(?:[^']|'')*'|[+-]?[\d.]+|NULL|TRUE|FALSE|CURRENT_TIMESTAMP(?:\(\d*\))?)\Z", re.IGNORECASE
)
OPTIONS = "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
"""Binary collation: no two keys of another system may fall into one."""


class MySQLWriter(Writer):
    """Comments stand in the table; the key that numbers a column stands beside it."""

    system = "mysql"

    def column(self, relation: Relation, column: Column) -> str:
        """TIMESTAMP columns are spelled with NULL, or old servers make them NOT NULL."""
        made = super().column(relation, column)
        if column.nullable and column.native.lower().startswith("timestamp"):
            made = made.replace(column.native, f"{column.native} NULL", 1)
        return made + (f" COMMENT {self.dialect.string(column.comment)}" if column.comment else "")

    def default(self, column: Column) -> str:
        """Expressions stand in brackets."""
        text = column.default or ""
        base, on_update = _split_on_update(text)
        plain = _PLAIN.match(base) and not column.native.lower().endswith(("text", "blob", "json"))
        if not plain and not (base.startswith("(") and base.endswith(")")):
            base = base if self.schema.flavour == "mariadb" and _PLAIN.match(base) else f"({base})"
        return f"DEFAULT {base}{on_update}"

    def identity(self, relation: Relation, identity: Identity) -> str:
        """AUTO_INCREMENT counts by the server's step."""
        del relation, identity
        return "AUTO_INCREMENT"

    def late_uniques(self, relation: Relation) -> tuple[Key, ...]:
        """A numbered column must have its key from the start."""
        counted = {one.column for one in relation.identities}
        return tuple(key for key in relation.uniques if key.columns[0] not in counted)

    def suffix(self, relation: Relation) -> str:
        """Engine, collation, comment, partitions."""
        made = f" {relation.options or OPTIONS}"
        if relation.identities and relation.identities[0].start > 1:
            made += f" AUTO_INCREMENT={relation.identities[0].start:d}"
        made += f" COMMENT={self.dialect.string(relation.comment)}" if relation.comment else ""
        return made + (f"\n{relation.partitioning.text}" if relation.partitioning else "")

    def index_part(self, part: IndexPart) -> str:
        """With the prefix's length."""
        made = super().index_part(part)
        if part.column is None or part.length is None:
            return made
        name = self.q(part.column)
        return made.replace(name, f"{name}({part.length:d})", 1)


def _split_on_update(text: str) -> tuple[str, str]:
    found = re.search(r"\s+on\s+update\s+.*\Z", text, re.IGNORECASE | re.DOTALL)
    return (text[: found.start()], text[found.start() :]) if found else (text, "")
