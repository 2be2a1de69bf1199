"""Keys for fakesnow as Snowflake has them: kept without being enforced, and shown by SHOW ... KEYS.

fakesnow enforces PRIMARY KEY, refuses FOREIGN KEY, forgets UNIQUE. COMMENT ON COLUMN, which it does
but then fails to answer, is answered here. Comes around ``fakesnow_shim``.
"""

from __future__ import annotations

import re
from typing import Any

import fakesnow.cursor as cursor
import shim  # noqa: F401 (first: this comes around it)

_NAME = r'(?:"(?:[^"]|"")*"|\w+)'
_PATH = rf"{_NAME}(?:\.{_NAME})*"
_LIST = rf"\(\s*({_NAME}(?:\s*,\s*{_NAME})*)\s*\)"
_CONSTRAINT = rf"""(?:CONSTRAINT\s+({_NAME})\s+)?(PRIMARY\s+KEY|UNIQUE|FOREIGN\s+KEY)\s*{_LIST}
(?:\s*REFERENCES\s+({_PATH})\s*{_LIST}((?:\s+ON\s+\w+\s+(?:NO\s+ACTION|SET\s+\w+|\w+))*)
(?:\s+DEFERRABLE\s+INITIALLY\s+DEFERRED)?)?""".replace("\n", "")
_KEY = re.compile(r",\s*" + _CONSTRAINT, re.IGNORECASE)
_ADD_KEY = re.compile(rf"\s*ALTER\s+TABLE\s+({_PATH})\s+ADD\s+{_CONSTRAINT}\s*\Z", re.IGNORECASE)
_CREATE = re.compile(
    rf"\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMPORARY\s+)?TABLE\s+(IF\s+NOT\s+EXISTS\s+)?({_PATH})",
    re.IGNORECASE,
)
_LIKE = re.compile(rf"\sLIKE\s+({_PATH})", re.IGNORECASE)
_DROP = re.compile(rf"\s*DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?({_PATH})", re.IGNORECASE)
_MOVE = re.compile(
    rf"\s*ALTER\s+TABLE\s+({_PATH})\s+(RENAME|SWAP)\s+(?:TO|WITH)\s+({_PATH})\s*\Z", re.IGNORECASE
)
_COLUMN = re.compile(r"\s*COMMENT\s+ON\s+COLUMN\b", re.IGNORECASE)
_DONE = "SELECT 'Statement executed successfully.' AS \"status\""
_SHOW_KEYS = re.compile(
    rf"\s*SHOW\s+(PRIMARY|UNIQUE|IMPORTED)\s+KEYS(?:\s+IN\s+(SCHEMA|TABLE)\s+({_PATH}))?\s*\Z", re.IGNORECASE
)
_KEY_SHOWN = ("created_on", "database_name", "schema_name", "table_name", "column_name", "key_sequence",
              "constraint_name", "rely", "comment")  # fmt: skip
_FOREIGN_SHOWN = ("created_on", "pk_database_name", "pk_schema_name", "pk_table_name", "pk_column_name",
                  "fk_database_name", "fk_schema_name", "fk_table_name", "fk_column_name", "key_sequence",
                  "update_rule", "delete_rule", "fk_name", "pk_name", "deferrability", "rely",
                  "comment")  # fmt: skip

_execute = cursor.FakeSnowflakeCursor.execute
_keys: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
"""(database, schema, table) -> its constraints, as ``_CONSTRAINT`` finds them."""


def _names(text: str) -> list[str]:
    found = re.findall(_NAME, text)
    return [one[1:-1].replace('""', '"') if one.startswith('"') else one.upper() for one in found]


def _full(self: Any, path: str) -> tuple[str, ...]:
    parts = _names(path)
    return (*(str(self._conn.database), str(self._conn.schema))[: 3 - len(parts)], *parts)


def execute(self: Any, command: str, *args: Any, **kwargs: Any) -> Any:
    """CREATE TABLE, DROP TABLE, RENAME, SWAP, ADD of a key and SHOW ... KEYS."""
    if found := _CREATE.match(command):
        done = _execute(self, _KEY.sub("", command), *args, **kwargs)
        place = _full(self, found[2])
        if not (found[1] and place in _keys):
            like = _LIKE.search(command)
            held = _keys.get(_full(self, like[1]), []) if like else []
            _keys[place] = [*held, *(one.groups("") for one in _KEY.finditer(command))]
        return done
    if found := _DROP.match(command):
        _keys.pop(_full(self, found[1]), None)
        return _execute(self, command, *args, **kwargs)
    if found := _ADD_KEY.match(command):
        _keys.setdefault(_full(self, found[1]), []).append(found.groups("")[1:])
        return _execute(self, _DONE)
    if found := _SHOW_KEYS.match(command):
        return _show_keys(self, found[1].upper(), (found[2] or "").upper(), found[3] or "")
    if found := _MOVE.match(command):
        done = _execute(self, command, *args, **kwargs)
        old, new = _full(self, found[1]), _full(self, found[3])
        if found[2].upper() == "SWAP":
            _keys[old], _keys[new] = _keys.pop(new, []), _keys.pop(old, [])
        else:
            _keys[(*old[:-1], new[-1])] = _keys.pop(old, [])
        return done
    if _COLUMN.match(command):
        _execute(self, command)
        return _execute(self, _DONE)
    return _execute(self, command, *args, **kwargs)


def _show_keys(self: Any, kind: str, scope: str, path: str) -> Any:
    parts = _names(path)
    within = (str(self._conn.database), *parts)[-2 if parts else 0 :]
    where = _full(self, path) if scope == "TABLE" else within
    rows = []
    for place, constraints in sorted(_keys.items()):
        if place[: len(where)] != where:
            continue
        for number, (name, what, columns, target, others, actions) in enumerate(constraints):
            mine = _names(columns)
            named = (_names(name) or [f"SYS_CONSTRAINT_{place[-1]}_{number}"])[0]
            if kind == "IMPORTED" and what.upper().startswith("FOREIGN"):
                rules = [_rule(actions, verb) for verb in ("UPDATE", "DELETE")]
                rows += [
                    ("", *_full(self, target), other, *place, column, n, *rules, named, "", "", "false", "")
                    for n, (column, other) in enumerate(zip(mine, _names(others), strict=True), 1)
                ]
            elif what.upper().startswith(kind):
                rows += [("", *place, column, n, named, "false", "") for n, column in enumerate(mine, 1)]
    shown = ", ".join(f'"{one}"' for one in (_FOREIGN_SHOWN if kind == "IMPORTED" else _KEY_SHOWN))
    values = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)
    nothing = "(" + ", ".join(["''"] * (shown.count(",") + 1)) + ")"
    rest = "" if rows else " WHERE 1 = 0"
    return _execute(self, f"SELECT * FROM (VALUES {values or nothing}) AS t({shown}){rest}")


def _rule(actions: str, verb: str) -> str:
    found = re.search(rf"ON\s+{verb}\s+(NO\s+ACTION|SET\s+\w+|\w+)", actions, re.IGNORECASE)
    return found[1].upper() if found else "NO ACTION"


def _literal(value: Any) -> str:
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


cursor.FakeSnowflakeCursor.execute = execute
