"""SHOW OBJECTS and SHOW SCHEMAS as Snowflake answers them; comes around ``fakesnow_keys``.

fakesnow counts no rows, says of every table that it was made in 1970, so that another table of the same name
could not be told from it, and takes a schema or database that is missing for an empty one.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import fakesnow.cursor as cursor
import keys  # first: this comes around it
import snowflake.connector.errors as errors

_SHOW = re.compile(
    rf"\s*SHOW\s+OBJECTS\s+LIKE\s+'((?:[^'\\]|''|\\.)*)'(?:\s+IN\s+SCHEMA\s+({keys._PATH}))?\s*\Z",
    re.IGNORECASE,
)
_SCHEMAS = re.compile(
    rf"\s*SHOW\s+SCHEMAS\b.*\bIN\s+DATABASE\s+({keys._NAME})\s*\Z", re.IGNORECASE | re.DOTALL
)
_SHOWN = ("created_on", "name", "database_name", "schema_name", "kind", "rows", "bytes")
_born: dict[tuple[str, ...], float] = {}
"""(database, schema, table) -> when it was made, in seconds since 1970."""
_moments = itertools.count(1_700_000_000.0)
"""A second of its own for each table: the answer's text has whole seconds."""
_execute = cursor.FakeSnowflakeCursor.execute


def execute(self: Any, command: str, *args: Any, **kwargs: Any) -> Any:
    """Notes when tables are made, and how they are renamed."""
    if found := _SHOW.match(command):
        return _objects(self, found[1], found[2] or "")
    if found := _SCHEMAS.match(command):
        _must_be_there(self, "catalog_name = ?", keys._names(found[1]))
    done = _execute(self, command, *args, **kwargs)
    if found := keys._CREATE.match(command):
        place = keys._full(self, found[2])
        if not (found[1] and place in _born):
            _born[place] = next(_moments)
    elif found := keys._DROP.match(command):
        _born.pop(keys._full(self, found[1]), None)
    elif found := keys._MOVE.match(command):
        old, new = keys._full(self, found[1]), keys._full(self, found[3])
        if found[2].upper() == "SWAP":
            _born[old], _born[new] = _born.pop(new, 0), _born.pop(old, 0)
        else:
            _born[(*old[:-1], new[-1])] = _born.pop(old, 0)
    return done


def _must_be_there(self: Any, where: str, names: list[str]) -> None:
    sql = f"SELECT 1 FROM information_schema.schemata WHERE {where}"
    if not self._duck_conn.cursor().execute(sql, names).fetchall():
        raise errors.ProgrammingError(
            msg="Object does not exist, or operation cannot be performed.", errno=2043, sqlstate="02000"
        )


def _objects(self: Any, like: str, path: str) -> Any:
    place = [*keys._names(path)] if path else [str(self._conn.schema)]
    home, schema = (*[str(self._conn.database)], *place)[-2:]
    _must_be_there(self, "catalog_name = ? AND schema_name = ?", [home, schema])
    wanted = re.sub(r"\\(.)", r"\1", like.replace("''", "'"))
    pattern = "".join({"%": ".*", "_": "."}.get(one, re.escape(one)) for one in wanted)
    found = self._duck_conn.cursor().execute(
        "SELECT table_name, 'TABLE', estimated_size FROM duckdb_tables() "
        "WHERE database_name = ? AND schema_name = ? UNION ALL SELECT view_name, 'VIEW', 0 "
        "FROM duckdb_views() WHERE database_name = ? AND schema_name = ?",
        [home, schema, home, schema],
    )
    rows = [
        (_born.get((home, schema, name), 0.0), name, home, schema,
         kind, int(count), int(count) * 8)
        for name, kind, count in sorted(found.fetchall())
        if re.fullmatch(pattern, name, re.IGNORECASE | re.DOTALL)
    ]  # fmt: skip
    values = ", ".join(
        f"(to_timestamp({born!r}), {', '.join(map(keys._literal, rest))})" for born, *rest in rows
    )
    nothing = "(to_timestamp(0), '', '', '', '', 0, 0)"
    shown = ", ".join(f'"{one}"' for one in _SHOWN)
    rest = "" if rows else " WHERE 1 = 0"
    return _execute(self, f"SELECT * FROM (VALUES {values or nothing}) AS t({shown}){rest}")


cursor.FakeSnowflakeCursor.execute = execute
