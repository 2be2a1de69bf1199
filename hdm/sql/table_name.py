"""Reads a table's name in a manifest: dotted, a list, or ``{database, schema, table}``."""

from __future__ import annotations

from pydantic import Field

from hdm.components.settings import Settings
from hdm.errors import UsageError


class TableName(Settings):
    """Configuration of a table's name in parts, for names that a dotted text cannot express."""

    database: str | None = None
    """Names the database, the outermost part; left out, the name has none."""
    schema_name: str | None = Field(None, alias="schema")
    """Names the schema; left out, the profile's default one."""
    table: str
    """Names the table, which may hold dots here."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The given parts of the name, outermost first."""
        return tuple(part for part in (self.database, self.schema_name, self.table) if part)


TableNameLike = str | list[str] | TableName


def name_parts(name: TableNameLike) -> tuple[str, ...]:
    """Return the parts of a table's name: ``schema.table``, ``[schema, table]`` or ``{schema, table}``.

    Raises ``UsageError`` if there is none, or one is empty.
    """
    if isinstance(name, TableName):
        return name.parts
    parts = tuple(name.split(".")) if isinstance(name, str) else tuple(name)
    if not parts or not all(parts):
        raise UsageError(f"not a table name: {name!r}", hint="write schema.table, or a list of parts")
    return parts
