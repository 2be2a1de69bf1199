"""Describes tables and queries by what every JDBC driver tells of them: ``java.sql.DatabaseMetaData``.

https://docs.oracle.com/en/java/javase/17/docs/api/java.sql/java/sql/DatabaseMetaData.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hdm.dialects.base import Dialect
from hdm.model import Column, Dataset, Kind, Table
from hdm.sql.jdbc_session import Session, raised

_WORDS: dict[int, str] = {
    -7: "BOOLEAN", 16: "BOOLEAN", -6: "TINYINT", 5: "SMALLINT", 4: "INTEGER", -5: "BIGINT", 7: "REAL",
    6: "DOUBLE PRECISION", 8: "DOUBLE PRECISION", 2: "NUMERIC", 3: "DECIMAL", 1: "CHAR", 12: "VARCHAR",
    -1: "LONGVARCHAR", 2005: "CLOB", -15: "NCHAR", -9: "NVARCHAR", 2011: "NCLOB", -16: "NCLOB", -2: "BINARY",
    -3: "VARBINARY", -4: "LONGVARBINARY", 2004: "BLOB", 91: "DATE", 92: "TIME", 93: "TIMESTAMP",
    2013: "TIME WITH TIME ZONE", 2014: "TIMESTAMP WITH TIME ZONE",
}  # fmt: skip
"""``java.sql.Types`` -> the standard's words."""
_TABLES = ("TABLE", "BASE TABLE", "VIEW", "MATERIALIZED VIEW", "SYSTEM TABLE", "PARTITIONED TABLE")
_LONGEST = 1_000_000
"""Lengths from here on are a driver's way to say that there is none."""
_CLOCKS = {Kind.TIME: 9, Kind.TIMESTAMP: 20, Kind.TIMESTAMPTZ: 26}
"""Characters of a clock time's text, up to its fraction and without it."""
_NUMBERED = re.compile(r"(TIMESTAMP|TIME)\b")


def native(dialect: Dialect, code: int, name: str, size: int, digits: int | None) -> str:
    """Return a type in the dialect's words, with its numbers.

    ``code`` is of ``java.sql.Types``, ``name`` the driver's own name of the type, ``size`` its length or
    precision, ``digits`` its scale or its digits of a second; where a driver does not tell these, the length
    of a clock time's text does. The driver's name counts if the dialect knows it, else the standard's words
    for the code.
    """
    words = " ".join(re.sub(r"\([^)]*\)", " ", name.upper()).split())
    kind, _, _, _ = dialect.kind(words, None, None, None)
    if kind is Kind.OTHER and code in _WORDS:
        words = _WORDS[code]
        kind, _, _, _ = dialect.kind(words, None, None, None)
    bounded = not words.startswith(("LONG", "CLOB", "BLOB", "NCLOB", "JSON")) and "LARGE OBJECT" not in words
    if kind is Kind.DECIMAL and words != "DECFLOAT" and size > 0:
        return f"{words}({size},{max(digits or 0, 0)})"
    if kind in (Kind.TEXT, Kind.BINARY) and bounded:
        if 0 < size <= _LONGEST:
            return f"{words}({size})"
        return dialect.jdbc.unbounded.get(kind, words)
    if kind in _CLOCKS:
        fraction = max(size - _CLOCKS[kind], 0) if digits is None else digits
        return _NUMBERED.sub(rf"\1({fraction})", words, count=1)
    return words


def columns_of_query(session: Session, dialect: Dialect, sql: str) -> tuple[Column, ...]:
    """Return the columns of a query as the driver describes them, by running it for no rows."""
    cursor = session.cursor()
    try:
        cursor.execute(f"SELECT * FROM {dialect.derived(sql)} WHERE 1 = 0")
        return tuple(
            dialect.column_from_catalog(label, native(dialect, code, name, size, digits), nullable=nullable)
            for label, code, name, size, digits, nullable in cursor.description or ()
        )
    finally:
        cursor.close()


def described(
    session: Session, dialect: Dialect, path: Sequence[str], dataset: Callable[[Sequence[str]], Dataset]
) -> Table | None:
    """Return a table with its key as the driver's metadata describe it; None if there is none.

    A name that is not there as it is written is looked for in the case in which the system stores names.
    """
    with raised():
        meta = session.java.getMetaData()
        catalogue = path[-3] if len(path) > 2 else session.java.getCatalog()
        schema = path[-2] if len(path) > 1 else session.java.getSchema()
        place = _place(meta, catalogue, schema, path[-1])
        if place is None:
            return None
        schema, name = place
        columns = tuple(_columns(meta, dialect, catalogue, schema, name))
        key = [
            (int(row.getShort("KEY_SEQ")), str(row.getString("COLUMN_NAME")))
            for row in _rows(meta.getPrimaryKeys(catalogue, schema, name))
        ]
    full = (*path[:-2], schema or "", name) if len(path) > 1 else (name,)
    named = tuple(name for _, name in sorted(key))
    return Table(dataset(full), tuple(part for part in full if part), columns, named)


def names_like(session: Session, path: Sequence[str], prefix: str) -> list[str]:
    """Return the names of the tables beside ``path`` that begin with ``prefix``."""
    with raised():
        meta = session.java.getMetaData()
        schema = path[-2] if len(path) > 1 else session.java.getSchema()
        found = _rows(meta.getTables(session.java.getCatalog(), _escaped(meta, schema), "%", None))
        names = [str(row.getString("TABLE_NAME")) for row in found]
    return [name for name in names if name.startswith(prefix)]


def _rows(result: Any) -> Iterator[Any]:
    try:
        while result.next():
            yield result
    finally:
        result.close()


def _escaped(meta: Any, name: str | None) -> str | None:
    """Return a name in which the wildcards of JDBC's patterns stand for themselves."""
    mark = str(meta.getSearchStringEscape() or "")
    if name is None or not mark:
        return name
    return re.sub(r"[%_\\]" if mark == "\\" else r"[%_]", lambda found: mark + found[0], name)


def _place(meta: Any, catalogue: str | None, schema: str | None, name: str) -> tuple[str | None, str] | None:
    forms = [(schema, name)]
    for asked, case in (
        (meta.storesUpperCaseIdentifiers, str.upper),
        (meta.storesLowerCaseIdentifiers, str.lower),
    ):
        if asked():
            forms.append((schema, case(name)))
            forms.append((schema and case(schema), case(name)))
    for within, form in forms:
        found = meta.getTables(catalogue, _escaped(meta, within), _escaped(meta, form), None)
        for row in _rows(found):
            if str(row.getString("TABLE_NAME")) == form and str(row.getString("TABLE_TYPE")).endswith(
                _TABLES
            ):
                place = row.getString("TABLE_SCHEM")
                return (None if place is None else str(place)), form
    return None


def _columns(
    meta: Any, dialect: Dialect, catalogue: str | None, schema: str | None, table: str
) -> Iterator[Column]:
    found = meta.getColumns(catalogue, _escaped(meta, schema), _escaped(meta, table), "%")
    made: list[tuple[int, Column]] = []
    for row in _rows(found):
        if str(row.getString("TABLE_NAME")) != table:
            continue
        code, name = int(row.getInt("DATA_TYPE")), str(row.getString("TYPE_NAME"))
        size, scale = int(row.getInt("COLUMN_SIZE")), row.getString("DECIMAL_DIGITS")
        digits = None if scale is None else int(scale)
        default, comment = row.getString("COLUMN_DEF"), row.getString("REMARKS")
        grows = _optional(row, "IS_AUTOINCREMENT") == "YES"
        generated = _optional(row, "IS_GENERATEDCOLUMN") == "YES" and not grows
        column = dialect.column_from_catalog(
            str(row.getString("COLUMN_NAME")),
            native(dialect, code, name, size, digits),
            nullable=int(row.getInt("NULLABLE")) != 0,
            default=None if default is None or grows or generated else str(default),
            identity=grows,
            generated=str(default) if generated else None,
            comment=str(comment) if comment else None,
        )
        made.append((int(row.getInt("ORDINAL_POSITION")), column))
    yield from (column for _, column in sorted(made, key=lambda one: one[0]))


def _optional(row: Any, name: str) -> str | None:
    """Return a text that older drivers do not have."""
    try:
        found = row.getString(name)
    except Exception:  # noqa: BLE001 -- a driver of JDBC 4.0 has no such column
        return None
    return None if found is None else str(found)
