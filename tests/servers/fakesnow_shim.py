"""What fakesnow lacks of Snowflake, put in before its server starts; nothing of it is in hdm.

- stages with quoted names; columns matched by name in their own case (fakesnow: only upper case)
- COPY with FILES on an internal stage (fakesnow: invalid URL prefix) and below a folder's URL
- ALTER TABLE ... SWAP WITH, as three renames
- SHOW STAGES IN SCHEMA, as SHOW STAGES
- LIST, GET and REMOVE of what begins with a path on an internal stage, with PATTERN
- ROLLBACK of several files' COPY when one fails (fakesnow keeps the first; the transaction around
  it, which hdm always has, puts that right)
- AT(TIMESTAMP => ...) is dropped: a read sees the table as it is
- COMMENT ON TABLE with an apostrophe in the text (fakesnow: an unterminated string)
- $name within a literal is text (fakesnow: a session variable)
- NULL timestamps in Arrow results (fakesnow: 1970-01-01)
- CSV options that DuckDB has no words for: NULL_IF = (), BINARY_FORMAT, ENCODING
- MERGE inside a transaction (fakesnow notes its helper table in another database)
- temporary tables are plain ones, since COPY does not find the others
- BEGIN NAME, SHOW TRANSACTIONS, SYSTEM$ABORT_TRANSACTION, which also ends a statement that waits for a lock
- UPDATE, DELETE and MERGE wait for another transaction that changes the same table (DuckDB: an
  error, after which the connector would ask again for minutes)
- CURRENT_WAREHOUSE()
- COPY GRANTS is dropped: there are no grants
- ALTER SESSION SET QUERY_TAG; SHOW QUERY TAGS, which only this emulator has, lists what was set
- BINARY(n) is BINARY (DuckDB: an error)
- PRIMARY KEY is parsed and forgotten, since Snowflake does not enforce it
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from email.utils import formatdate
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import fakesnow.arrow as arrow
import fakesnow.copy_into as copy_into
import fakesnow.cursor as cursor
import fakesnow.info_schema as info_schema
import fakesnow.transforms.stage as stage
import fakesnow.variables as variables
import pyarrow as pa
import snowflake.connector.errors as errors

_SWAP = re.compile(r"\s*ALTER\s+TABLE\s+(\S+)\s+SWAP\s+WITH\s+(\S+)\s*\Z", re.IGNORECASE)
_ON_STAGE = re.compile(
    r"\s*(LIST|GET|REMOVE)\s+'?@([^/]+)/(.*?)'?(?:\s+'file://(.+?)/')?(?:\s+PATTERN\s*=\s*'(.+)')?\s*\Z",
    re.IGNORECASE,
)
_TRAVEL = re.compile(r" AT\(TIMESTAMP => TO_TIMESTAMP_TZ\('[^']*', '[^']*'\)\)")
_CSV = re.compile(
    r"NULL_IF = \(\) |BINARY_FORMAT = HEX |ENCODING = 'UTF8' |ERROR_ON_COLUMN_COUNT_MISMATCH = TRUE"
    "| PURGE = FALSE| TRUNCATECOLUMNS = FALSE"
)
_KEY = re.compile(r",\s*PRIMARY KEY \([^)]*\)(?=\s*\)\s*\Z)")

_urls = copy_into._source_urls


def _source_urls(source: str, files: list[str]) -> list[str]:
    if urlparse(source).scheme in ("", "file"):
        return [f"{source.rstrip('/')}/{file}" for file in files]
    return _urls(source.rstrip("/") + "/", files)


copy_into._source_urls = _source_urls
_match = copy_into._match_parquet_columns


def _match_columns(names: list[str], targets: list[str], mode: Any) -> dict[str, str]:
    if mode == copy_into.MatchByColumnName.CASE_INSENSITIVE:
        lookup = {name.upper(): name for name in names}
        return {target: lookup[target.upper()] for target in targets if target.upper() in lookup}
    return _match(names, targets, mode)


copy_into._match_parquet_columns = _match_columns
copy_into._get_table_columns = lambda *where: [column[0] for column in copy_into._describe_table(*where)]
_parts = stage.parts_from_var
stage.parts_from_var = lambda *args, **more: tuple(part.strip('"') for part in _parts(*args, **more))
_struct = arrow.timestamp_to_sf_struct


def _with_nulls(stamps: Any) -> Any:
    made = _struct(stamps)
    chunks = made.chunks if isinstance(made, pa.ChunkedArray) else [made]
    nulls = stamps.is_null()
    nulls = nulls.combine_chunks() if isinstance(nulls, pa.ChunkedArray) else nulls
    whole = pa.concat_arrays(chunks) if len(chunks) != 1 else chunks[0]
    fields = [whole.type.field(n) for n in range(whole.type.num_fields)]
    parts = [child.fill_null(0) if pa.types.is_integer(child.type) else child for child in whole.flatten()]
    return pa.StructArray.from_arrays(parts, fields=fields, mask=nulls)


arrow.timestamp_to_sf_struct = _with_nulls
_comment = info_schema.insert_table_comment_sql
info_schema.insert_table_comment_sql = lambda catalog, schema, table, comment: (
    "SELECT 1"
    if table.lower() == "merge_candidates"
    else _comment(catalog, schema, table, comment and comment.replace("'", "''"))
)
_execute = cursor.FakeSnowflakeCursor.execute
_inline = variables.Variables.inline_variables
_LITERAL = re.compile(r"('(?:[^'\\]|''|\\.)*')", re.DOTALL)


def _inlined(self: Any, sql: str) -> str:
    return "".join(part if n % 2 else _inline(self, part) for n, part in enumerate(_LITERAL.split(sql)))


variables.Variables.inline_variables = _inlined


def _renamed(full: str, name: str) -> str:
    head, dot, _ = full.rpartition('."')
    return f'{head}."{name}"' if dot else f'"{name}"'


def _note(self: Any, table: str) -> str:
    """A table's comment, which travels with it."""
    name = table.rpartition('."')[2].strip('"')
    _execute(self, f"SELECT comment FROM information_schema.tables WHERE table_name = '{name}'")
    found = self.fetchall()
    return str(found[0][0] or "").replace("'", "''") if found else ""


_open: dict[tuple[str, str], Any] = {}
_tags: list[str] = []
_CHANGE = re.compile(r"\s*(?:UPDATE|DELETE\s+FROM|MERGE\s+INTO)\s+(\S+)", re.IGNORECASE)
_ENDS = re.compile(r"\s*(COMMIT|ROLLBACK)\s*\Z", re.IGNORECASE)
_LOCK_TIMEOUT = 4
_held: dict[str, Any] = {}
_within: set[int] = set()
_aborts: Counter[int] = Counter()
"""How many transactions of a connection (by its id) others have aborted. A statement that waits meanwhile
ends too: its client may be dead, and were it to go on, it would begin a transaction that nobody ends.
Statements that begin later are of the next transaction."""
_released = threading.Condition()


def _lock(connection: Any, table: str) -> None:
    with _released:
        mine, before = id(connection), _aborts[id(connection)]
        free = _released.wait_for(
            lambda: _aborts[mine] != before or _held.get(table, connection) is connection, _LOCK_TIMEOUT
        )
        if _aborts[mine] != before:
            raise errors.ProgrammingError(msg="the transaction was aborted", errno=604, sqlstate="57014")
        if not free:
            raise errors.ProgrammingError(msg="lock timeout", errno=625, sqlstate="57014")
        _held[table] = connection


def _release(connection: Any) -> None:
    with _released:
        _within.discard(id(connection))
        for table in [table for table, by in _held.items() if by is connection]:
            del _held[table]
        _released.notify_all()


def _transactions(self: Any, command: str) -> Any:
    """SHOW TRANSACTIONS, SYSTEM$ABORT_TRANSACTION and named BEGINs."""
    if found := re.match(r"\s*BEGIN\s+NAME\s+(\w+)\s*\Z", command, re.IGNORECASE):
        _open[self._conn.database, found[1]] = self._conn
        return _execute(self, "BEGIN")
    if re.match(r"\s*SHOW\s+TRANSACTIONS\b", command, re.IGNORECASE):
        rows = [
            f'SELECT {id(held)} AS "id", \'{name}\' AS "name"'
            for (_, name), held in _open.items()
            if held.database == self._conn.database  # an account sees its own
        ]
        return _execute(self, " UNION ALL ".join(rows) or 'SELECT 0 AS "id", \'\' AS "name"')
    if re.match(r"\s*(COMMIT|ROLLBACK)\s*\Z", command, re.IGNORECASE):
        for name in [name for name, held in _open.items() if held is self._conn]:
            del _open[name]
    return None


def _on_stage(self: Any, verb: str, name: str, path: str, to: str | None, pattern: re.Pattern[str]) -> Any:
    parts = stage.parts_from_var(name, self._conn.database, self._conn.schema)
    sql = (
        "SELECT 1 FROM _fs_global._fs_information_schema._fs_stages "
        "WHERE database_name = ? AND schema_name = ? AND name = ?"
    )
    if not name.startswith("~") and not self._duck_conn.cursor().execute(sql, list(parts)).fetchall():
        raise stage.not_found_error(".".join(parts))
    folder = Path(stage.internal_dir(".".join(parts)))
    below = sorted(one for one in folder.rglob("*") if one.is_file())
    files = [one for one in below if one.relative_to(folder).as_posix().startswith(path)]
    files = [one for one in files if pattern.fullmatch(one.relative_to(folder).as_posix())]
    if verb == "GET":
        _lets_download()
        done = _execute(self, "SELECT 1")
        where = {"locationType": "LOCAL_FS", "location": "/", "creds": {}}
        self._last_transformed.args["put_stage_data"] = {
            "command": "DOWNLOAD", "stageInfo": where, "src_locations": list(map(str, files)),
            "localLocation": to,
        }  # fmt: skip
        return done
    rows = []
    for one in files:
        seen = one.stat()
        shown = f"{parts[-1].lower()}/{one.relative_to(folder).as_posix()}"
        if verb == "REMOVE":
            one.unlink()
            rows.append((shown, "removed"))
        else:
            rows.append((shown, seen.st_size, "0" * 32, formatdate(seen.st_mtime, usegmt=True)))
    columns = ("name", "result") if verb == "REMOVE" else ("name", "size", "md5", "last_modified")
    return _execute(self, _table(columns, rows))


@cache
def _lets_download() -> None:
    """Leave it to the client to copy from where files lie; the server takes all answers for uploads."""
    import fakesnow.server as server  # not before its app, which prepares what it begins with

    upload = server.gcs_stage_info
    server.gcs_stage_info = lambda request, expr, data: (
        data["stageInfo"] if data["command"] == "DOWNLOAD" else upload(request, expr, data)
    )


def _table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A SELECT that gives these rows."""

    def literal(value: Any) -> str:
        return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"

    values = ", ".join("(" + ", ".join(map(literal, row)) + ")" for row in rows)
    nothing = "(" + ", ".join(["''"] * len(columns)) + ")"
    shown = ", ".join(f'"{one}"' for one in columns)
    return f"SELECT * FROM (VALUES {values or nothing}) AS t({shown})" + ("" if rows else " WHERE 1 = 0")


def execute(self: Any, command: str, *args: Any, **kwargs: Any) -> Any:
    if re.match(r"\s*BEGIN\b", command, re.IGNORECASE):
        _within.add(id(self._conn))
    if found := _CHANGE.match(command):
        _lock(self._conn, found[1].upper())
    try:
        return _perform(self, command, *args, **kwargs)
    finally:
        if _ENDS.match(command) or id(self._conn) not in _within:
            _release(self._conn)


def _perform(self: Any, command: str, *args: Any, **kwargs: Any) -> Any:
    done = _transactions(self, command)
    if done is not None:
        return done
    if found := re.search(r"SYSTEM\$ABORT_TRANSACTION\((\d+)\)", command):
        for name in [name for name, held in _open.items() if id(held) == int(found[1])]:
            held = _open.pop(name)
            with _released:
                _aborts[id(held)] += 1
                _released.notify_all()
            held.cursor().execute("ROLLBACK")
        return _execute(self, "SELECT 'aborted' AS result")
    if found := re.match(r"\s*ALTER\s+SESSION\s+SET\s+QUERY_TAG\s*=\s*('.*')\s*\Z", command, re.DOTALL):
        _tags.append(found[1])
        return _execute(self, "SELECT 'Statement executed successfully.' AS \"status\"")
    if re.match(r"\s*SHOW\s+QUERY\s+TAGS\b", command, re.IGNORECASE):  # the emulator's own, for tests
        return _execute(self, " UNION ALL ".join(f'SELECT {tag} AS "tag"' for tag in _tags))
    command = _TRAVEL.sub("", command)
    if found := re.match(r"\s*ALTER\s+TABLE\s+(\S+)\s+RENAME\s+TO\s+(\S+)\s*\Z", command, re.IGNORECASE):
        note = _note(self, found[1])
        _execute(self, command)
        return _execute(self, f"COMMENT ON TABLE {found[2]} IS '{note}'")
    if re.match(r"\s*COPY\b", command, re.IGNORECASE):
        command = _CSV.sub("", command)
    if found := _SWAP.match(command):
        one, other = found[1], found[2]
        notes = [_note(self, one), _note(self, other)]
        spare = _renamed(one, "fakesnow_shim_spare")
        for old, new in ((one, spare), (other, one), (spare, other)):
            _execute(self, f"ALTER TABLE {old} RENAME TO {new}")
        for table, note in ((one, notes[1]), (other, notes[0])):
            _execute(self, f"COMMENT ON TABLE {table} IS '{note}'")
        return self
    if found := _ON_STAGE.match(command):
        return _on_stage(self, found[1].upper(), found[2], found[3], found[4], re.compile(found[5] or ".*"))
    if re.match(r"\s*SHOW\s+STAGES\s+IN\s+SCHEMA\b", command, re.IGNORECASE):
        command = "SHOW STAGES"
    if re.match(r"\s*CREATE\s+(TEMPORARY\s+)?TABLE\b", command, re.IGNORECASE):
        command = _KEY.sub("", command).replace("CREATE TEMPORARY TABLE", "CREATE TABLE")
        command = command.removesuffix(" COPY GRANTS")
    if re.match(r"\s*(CREATE|ALTER)\b.*\bTABLE\b", command, re.IGNORECASE):
        command = re.sub(r"\bBINARY\(\d+\)", "BINARY", command)
    command = command.replace("CURRENT_WAREHOUSE()", "'FAKE_WH'")
    return _execute(self, command, *args, **kwargs)


_describe = cursor.FakeSnowflakeCursor._describe_last_sql
_known: dict[str, list[Any]] = {}


def _described(self: Any) -> list[Any]:
    """The types of the last result. Those of a statement that reads no table are asked for once: DuckDB plans
    each statement anew for them, which took two fifths of this server's time."""
    sql = str(self._last_sql)
    if self._last_params or re.search(r"\bFROM\b", sql, re.IGNORECASE):
        return list(_describe(self))
    if sql not in _known:
        _known[sql] = _describe(self)
    return _known[sql]


cursor.FakeSnowflakeCursor._describe_last_sql = _described
cursor.FakeSnowflakeCursor.execute = execute
