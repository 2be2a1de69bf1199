"""Queries that read a database's own catalogue, as SQL with ``?`` for schema and table.

``names`` gives (schema, table) for a name in any case. ``columns`` gives (name, native type, nullable,
length, precision, scale, default, identity, generated, comment) in order. ``key`` gives the primary key's
columns in its order, ``size`` (rows, bytes) as the system estimates them. ``relation`` gives values that
identify the storage which holds the rows now, and change if the table is replaced; of a view, it gives no
row.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdm.dialects import dialect, names_with
from hdm.errors import UsageError


@dataclass(frozen=True, slots=True)
class CatalogueSql:
    """The SQL queries that look a table up in one system's catalogue.

    Each takes a schema and a table's name, ``tables`` a schema only. ``schema`` is the schema of a table that
    is named without one.
    """

    names: str
    columns: str
    key: str
    size: str
    relation: str
    schema: str | None = None
    tables: str | None = None
    """The names of a schema's tables, with a mark for the schema; None: they cannot be listed."""


def catalogue_sql(name: str) -> CatalogueSql:
    """Return the catalogue queries of the dialect called ``name``.

    Raises ``UsageError`` if it has none.
    """
    known = dialect(name)
    if known.catalog_queries is None:
        raise UsageError(
            f"the catalogue of {name} is not known",
            hint="use one of: " + ", ".join(names_with("catalog_queries")),
        )
    return known.catalog_queries
