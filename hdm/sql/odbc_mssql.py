"""Handles text that SQL Server would alter or refuse: long fractions of seconds, and code pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hdm.arrow import rows as row_codec
from hdm.sql.database import Database

_CODE_PAGES = """SELECT c.name, c.collation_name FROM {home}sys.columns c
JOIN {home}sys.types t ON t.user_type_id = c.system_type_id
WHERE c.object_id = OBJECT_ID({path}) AND t.name IN ('char', 'varchar', 'text')"""

_SHORTER = (
    (r"(\.\d{7})\d+", r"\1"),
    (r"(\.\d*[1-9])0+([+-]|$)", r"\1\2"),
    (r"\.0+([+-]|$)", r"\1"),
)


def shortest(texts: pa.Array) -> pa.Array:
    """Return times and timestamps with at most seven digits of a second, without trailing zeros.

    ``datetime`` takes three digits and ``datetime2`` seven; a text with more is refused.
    """
    for pattern, kept in _SHORTER:
        texts = pc.replace_substring_regex(texts, pattern=pattern, replacement=kept)
    return texts


def watched(batches: Iterator[pa.RecordBatch], seen: dict[str, set[str]]) -> Iterator[pa.RecordBatch]:
    """Yield the batches unchanged; collect in ``seen`` the non-ASCII characters of each text column."""
    for batch in batches:
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
                beyond = array.filter(pc.match_substring_regex(array, r"[^\x00-\x7F]"))
                for text in beyond.to_pylist():
                    seen.setdefault(name, set()).update(mark for mark in text if not mark.isascii())
        yield batch


def must_keep(database: Database, connection: Any, path: Sequence[str], seen: Mapping[str, set[str]]) -> None:
    """Raise ``UnrepresentableValue`` if a varchar column's code page lacks a character in ``seen``."""
    dialect = database.dialect
    qualified = dialect.qualify(path)
    home = "tempdb." if qualified.startswith("[#") else ""
    where = dialect.string(f"tempdb..{qualified}" if home else qualified)
    for name, collation in database.run(connection, _CODE_PAGES.format(home=home, path=where)):
        marks = dialect.string("".join(sorted(seen.get(name, ()))))
        kept = f"CAST(CAST({marks} COLLATE {collation} AS varchar(max)) AS nvarchar(max))"
        if name in seen and database.run(
            connection, f"SELECT 1 WHERE {kept} COLLATE Latin1_General_BIN2 <> {marks}"
        ):
            raise row_codec.unrepresentable(
                name, f"the target is varchar, and the code page of {collation} lacks some of its characters"
            )
