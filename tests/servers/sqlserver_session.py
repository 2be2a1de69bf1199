"""One session of the stand-in for SQL Server: its settings, its transaction, its answers."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.adapt import Loader
from pysqlbridge.tds.token import EnvChangeType, env_change, error

from tests.servers import sqlserver_wire as wire
from tests.servers.sqlserver_ddl import defined
from tests.servers.sqlserver_errors import described_marks, refused
from tests.servers.sqlserver_procedures import carried_out, used
from tests.servers.sqlserver_sql import Held, Statement, translate
from tests.servers.sqlserver_types import Native, Refused, described, native, without_collation

_SET = re.compile(r"SET\s+(TRANSACTION\s+ISOLATION\s+LEVEL\s+(?:READ\s+\w+|\w+)|IDENTITY_INSERT\s+\S+\s+\w+|"
                  r"\w+(?:\s*,\s*\w+)*\s+(?:'[^']*'|[^\s;]+))\s*;?\s*", re.I)  # fmt: skip
_ONE = re.compile(r"((?:'(?:[^']|'')*'|\[(?:[^\]]|\]\])*\]|--[^\n]*|[^;'\[])*);?")
_END = re.compile(
    r"(?:IF\s+@@TRANCOUNT\s*>\s*0\s+)?(COMMIT|ROLLBACK)(?:\s+(?:TRAN|TRANSACTION|WORK))?\s*\Z", re.I
)
_BEGIN = re.compile(r"BEGIN\s+TRAN(?:SACTION)?\s*\Z", re.I)
_RENAME = re.compile(r"EXEC(?:UTE)?\s+sp_rename\s+N?'((?:[^']|'')*)',\s*N?'((?:[^']|'')*)'", re.I)
_ALONE = re.compile(r"CREATE\s+(?:OR\s+ALTER\s+)?(SCHEMA|VIEW|PROCEDURE|FUNCTION|TRIGGER)\b", re.I)
_SEVERITY = {1205: 13, 2627: 14, 2601: 14, 229: 14, 102: 15, 156: 15}
_ENDING = (1205, 3960)
_MORE, _ERROR, _COUNT = 1, 2, 16


class _Text(Loader):
    """Times as PostgreSQL writes them: no digit gets lost in between."""

    def load(self, data: Any) -> str:
        return bytes(data).decode()


class Broken(Exception):
    """The connection has to break off."""


@dataclass
class Place:
    """A database: its address, the domains that are made, and how often its tables changed."""

    name: str
    dsn: str
    orders: Path
    changes: int = 0

    def __post_init__(self) -> None:
        self.lock, self.domains = threading.Lock(), set[str]()
        self.translated: dict[Any, Statement] = {}

    def refusal(self, sql: str) -> int | None:
        """The error that a test has ordered for this statement."""
        if not self.orders.exists():
            return None
        with self.lock:
            orders = json.loads(self.orders.read_text())
            for one in orders:
                if one["times"] > 0 and re.match(one["statement"], sql):
                    one["times"] -= 1
                    self.orders.write_text(json.dumps(orders))
                    return int(one["number"])
        return None

    def make(self, domains: Sequence[Native]) -> None:
        """Make the domains that are missing, at once and for all."""
        wanted = {one.text: one.domain for one in domains if one.domain}
        with self.lock:
            missing = [sql for text, sql in wanted.items() if text not in self.domains]
            if missing:
                with psycopg.connect(self.dsn, autocommit=True) as connection:
                    for sql in [*missing, *map(without_collation, missing)]:
                        connection.execute(sql.encode())
                self.domains.update(wanted)


class Session:
    """Answers statements as tokens of TDS."""

    def __init__(self, place: Place) -> None:
        self.place = place
        options = "-c search_path=dbo,ms -c TimeZone=UTC -c DateStyle=ISO -c lock_timeout=0"
        self.behind = psycopg.connect(place.dsn, autocommit=True, options=options, prepare_threshold=None,
                                      cursor_factory=psycopg.RawCursor)  # fmt: skip
        for name in ("date", "time", "timestamp", "timestamptz"):
            self.behind.adapters.register_loader(name, _Text)
        self.prepared: dict[int, tuple[str, list[str]]] = {}
        self.handles, self.descriptor = 0, 0
        self.open = False
        self.settle()

    def settle(self) -> None:
        """The settings with which a session begins."""
        self.implicit = self.xact_abort = self.snapshot = self.silent = False
        self.numbering: frozenset[str] = frozenset()

    def close(self) -> None:
        """What was not committed is gone."""
        self.behind.close()

    def reset(self) -> None:
        """A pooled connection begins anew."""
        self.end("ROLLBACK")
        self.behind.execute(b"DISCARD TEMP")
        self.settle()

    # -- transactions ------------------------------------------------------------

    def begin(self) -> bytes:
        """Begin a transaction and say so."""
        if self.open:
            return b""
        self.behind.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ" if self.snapshot else b"BEGIN")
        self.open = True
        self.descriptor += 1
        return bytes(env_change(EnvChangeType.BEGIN_TRAN, self.descriptor.to_bytes(8, "little"), b""))

    def end(self, word: str) -> bytes:
        """COMMIT or ROLLBACK, and say so."""
        if not self.open:
            return b""
        self.open = False
        try:
            self.behind.execute(word.encode())
        except psycopg.Error as failure:
            self.behind.execute(b"ROLLBACK")
            raise refused(failure) from None
        kind = EnvChangeType.COMMIT_TRAN if word == "COMMIT" else EnvChangeType.ROLLBACK_TRAN
        return bytes(env_change(kind, b"", self.descriptor.to_bytes(8, "little")))

    # -- requests ----------------------------------------------------------------

    def batch(self, text: str) -> bytes:
        """Everything that a batch of statements gives."""
        made, last = b"", wire.done(0xFD, 0)
        try:
            for tokens, count in self._each(text, ()):
                made += tokens
                last = wire.done(0xFD, 0 if count is None or self.silent else _COUNT, count or 0)
                made += last[:1] + bytes([last[1] | _MORE]) + last[2:]
        except Refused as told:
            return made + self._failed(told) + wire.done(0xFD, _ERROR)
        return made[: -len(last)] + last if made else last

    def rpc(self, call: wire.Call, more: bool) -> bytes:
        """A called procedure's answer."""
        status = _MORE if more else 0
        made, handle, silent = b"", None, self.silent
        try:
            text, parameters, handle, runs = self._called(call)
            for tokens, count in self._each(text, parameters) if runs else ():
                counted = 0 if count is None or self.silent else _COUNT
                made += tokens + wire.done(0xFF, counted | _MORE, count or 0)
            if text.startswith("sp_describe"):
                made += described_marks(self.behind, self._look, parameters[0].value) + wire.done(0xFF, _MORE)
        except Refused as told:
            return made + self._failed(told) + wire.done(0xFE, _ERROR | status)
        finally:
            self.silent = silent  # what a procedure sets ends with it
        return made + wire.returned(handle) + wire.done(0xFE, status)

    def _called(self, call: wire.Call) -> tuple[str, list[wire.Parameter], int | None, bool]:
        given, name = call.parameters, call.procedure
        if name == "sp_executesql":
            named = _named(given[1].value if len(given) > 1 else "", given[2:])
            return str(given[0].value), named, None, True
        if name in ("sp_prepare", "sp_prepexec"):
            self.handles += 1
            names = re.findall(r"@(\w+)\s", str(given[1].value or ""))
            self.prepared[self.handles] = (str(given[2].value), names)
            values = given[3:] if name == "sp_prepexec" else []
            return str(given[2].value), _as_named(names, values), self.handles, name == "sp_prepexec"
        if name in ("sp_execute", "sp_unprepare"):
            if given[0].value not in self.prepared:
                raise Refused(8179, f"Could not find prepared statement with handle {given[0].value}.")
            text, names = self.prepared[given[0].value]
            if name == "sp_unprepare":
                del self.prepared[given[0].value]
                return "", [], None, False
            return text, _as_named(names, given[1:]), None, True
        if name == "sp_describe_undeclared_parameters":
            return name, given, None, False
        raise Refused(2812, f"Could not find stored procedure '{call.procedure}'.")

    def _failed(self, failure: Refused) -> bytes:
        """The error, and the end of the transaction where the error ends it."""
        number = failure.number
        told = bytes(error(number, str(failure), server="standin", severity=_SEVERITY.get(number, 16)))
        if self.open and (self.xact_abort or number in _ENDING):
            return told + self.end("ROLLBACK")
        return told

    # -- statements --------------------------------------------------------------

    def _each(self, text: str, parameters: Sequence[wire.Parameter]) -> Iterator[tuple[bytes, int | None]]:
        statements = list(_statements(text))
        for one in statements:
            if (found := _ALONE.match(one)) and len(statements) > 1:
                raise Refused(
                    111, f"'CREATE {found[1].upper()}' must be the first statement in a query batch."
                )
        for one in statements:
            yield self._one(one, parameters)

    def _one(self, sql: str, parameters: Sequence[wire.Parameter]) -> tuple[bytes, int | None]:
        if number := self.place.refusal(sql):
            if number < 50:
                raise Broken
            raise Refused(number, "This is what a test has ordered.")
        if found := _SET.fullmatch(sql):
            self._set(re.sub(r"\s+", " ", found[1]))
            return b"", None
        if found := _END.match(sql):
            if not self.open and not sql.upper().startswith("IF"):
                word = found[1].upper()
                number = 3902 if word == "COMMIT" else 3903
                raise Refused(number, f"The {word} TRANSACTION request has no BEGIN TRANSACTION.")
            return self.end(found[1].upper()), None
        if _BEGIN.match(sql):
            return self.begin(), None
        if carried_out(self.behind, sql, parameters, self.open):
            return b"", None
        sql = sql.replace("@@TRANCOUNT", str(int(self.open))).replace(
            "@@SPID", str(self.behind.info.backend_pid)
        )
        for one in parameters:
            if isinstance(one.value, float) and (one.value != one.value or abs(one.value) == float("inf")):
                raise Refused(8023, f"The supplied value of parameter @{one.name} is not a valid float.")
        if found := _RENAME.match(sql):
            return self._run(self._rename(found[1], found[2]), ())
        key = (sql, tuple((p.name, p.kind, p.wide) for p in parameters), self.place.changes, self.numbering,
               "#" in sql and id(self))  # fmt: skip
        made = self.place.translated.get(key)
        if made is None:
            try:
                made = defined(sql, self._look) or translate(sql, self._look, parameters, self.numbering)
            except (ValueError, AttributeError, KeyError, TypeError) as failure:
                logging.exception("not understood: %s", sql)
                raise Refused(50000, f"the stand-in does not understand this: {failure}") from None
            if "#" not in sql:
                self.place.translated[key] = made
        self.place.make(made.domains)
        return self._run(made, parameters)

    def _run(self, made: Statement, parameters: Sequence[wire.Parameter]) -> tuple[bytes, int | None]:
        began = self.begin() if self.implicit and made.begins else b""
        keep = self.open and not self.xact_abort
        try:
            if keep:
                self.behind.execute(b"SAVEPOINT hdm_statement")
            for one in made.before if self.open else ():
                self.behind.execute(one.encode())
            cursor = self.behind.execute(*used(made.sql, [one.value for one in parameters]))
        except (psycopg.Error, UnicodeError) as failure:
            if keep and not self.behind.closed:
                self.behind.execute(b"ROLLBACK TO SAVEPOINT hdm_statement")
            raise refused(failure) from None
        if made.kind not in ("select", "union", "insert", "update", "delete", "into"):
            self.place.changes += 1
        if cursor.description is None:
            counted = made.kind in ("insert", "update", "delete", "into")
            return began, (max(cursor.rowcount, 0) if counted else None)
        found = cursor.fetchall()
        return began + wire.rows(self._columns(cursor, made, found), found), len(found)

    def _columns(self, cursor: Any, made: Statement, found: Sequence[Sequence[Any]]) -> list[wire.Sent]:
        columns, result = [], cursor.pgresult
        natives = made.natives if len(made.natives) == len(cursor.description) else []
        of = [(result.ftable(n), result.ftablecol(n)) for n in range(len(cursor.description))]
        known = self._declared({table for table, _ in of if table})
        for n, one in enumerate(cursor.description):
            name = "" if one.name in ("?column?", "case", "coalesce") else one.name
            if natives and (kind := natives[n]) is not None:
                columns.append(kind.sent(name))
            elif of[n] in known:
                said, nullable, identity = known[of[n]]
                columns.append(native(said).sent(name, nullable, identity))
            else:
                modifier = result.fmod(n)
                columns.append(described(name, one.type_code, modifier, [row[n] for row in found]))
        return columns

    def _declared(self, tables: set[int]) -> dict[tuple[int, int], tuple[str, bool, bool]]:
        if not tables:
            return {}
        sql = b"""SELECT object_id, column_id, declared, is_nullable, is_identity FROM ms.columns
            WHERE object_id = ANY ($1)"""
        rows = self.behind.execute(sql, [list(tables)]).fetchall()
        return {(a, b): (said, bool(null), bool(own)) for a, b, said, null, own in rows}

    def _look(self, schema: str, name: str, temporary: bool) -> Held | None:
        sql = """SELECT o.place, o.name, c.name, c.declared, c.is_identity FROM ms.objects o
            JOIN ms.columns c ON c.object_id = o.object_id
            WHERE lower(o.name) = $1 AND lower(o.place) = $2 ORDER BY c.column_id"""
        sought = "pg_temp" if temporary else schema.lower()
        try:
            rows = self.behind.execute(sql.encode(), [name.lower(), sought]).fetchall()
        except psycopg.Error as failure:
            raise refused(failure) from None
        if not rows:
            return None
        columns = {column.lower(): (column, native(said)) for _, _, column, said, _ in rows}
        place = "pg_temp" if temporary else f'"{rows[0][0]}"'
        numbered = frozenset(column.lower() for _, _, column, _, own in rows if own)
        return Held(f'{place}."{rows[0][1]}"', columns, numbered)

    def _rename(self, old: str, new: str) -> Statement:
        path = re.findall(r"\[((?:[^\]]|\]\])*)\]|(\w+)", old.replace("''", "'"))
        parts = [(a or b).replace("]]", "]") for a, b in path]
        held = self._look(parts[-2] if len(parts) > 1 else "dbo", parts[-1], False)
        if held is None:
            raise Refused(15225, f"No item by the name of '{old}' could be found.")
        if self._look(parts[-2] if len(parts) > 1 else "dbo", new, False):
            raise Refused(15335, f"The new name '{new}' is already in use as a OBJECT name.")
        return Statement("alter", f'ALTER TABLE {held.name} RENAME TO "{new}"')

    def _set(self, said: str) -> None:
        name, _, value = said.partition(" ")
        name, on = name.upper(), value.upper() == "ON"
        if name in ("IMPLICIT_TRANSACTIONS", "ANSI_DEFAULTS"):
            self.implicit = on
        elif name == "XACT_ABORT":
            self.xact_abort = on
        elif name == "NOCOUNT":
            self.silent = on
        elif name == "TRANSACTION":
            self.snapshot = said.upper().endswith("SNAPSHOT")
        elif name == "LOCK_TIMEOUT":
            self.behind.execute(f"SET lock_timeout = {max(int(value), 0)}".encode())
        elif name == "IDENTITY_INSERT":
            table, _, word = value.rpartition(" ")
            parts = re.findall(r"\[((?:[^\]]|\]\])*)\]|(\w+)", table)
            path = [(a or b).replace("]]", "]") for a, b in parts]
            held = self._look(path[-2] if len(path) > 1 else "dbo", path[-1], False)
            if held is None:
                raise Refused(1088, f"Cannot find the object {table}.")
            if not held.identities:
                raise Refused(8106, f"Table {table} does not have the identity property.")
            if word.upper() == "ON" and self.numbering - {held.name}:
                raise Refused(8107, "IDENTITY_INSERT is already ON for another table.")
            self.numbering = frozenset({held.name}) if word.upper() == "ON" else frozenset()


def _statements(text: str) -> Iterator[str]:
    at, text = 0, text.strip()
    while at < len(text):
        found = _SET.match(text, at) or _ONE.match(text, at)
        if found is None or found.end() == at:
            raise Refused(102, "Incorrect syntax.")
        one = found[0].strip().rstrip(";").strip()
        at = found.end()
        while at < len(text) and text[at].isspace():
            at += 1
        if one:
            yield one


def _named(declared: Any, given: Sequence[wire.Parameter]) -> list[wire.Parameter]:
    return _as_named(re.findall(r"@(\w+)\s", str(declared or "")), given)


def _as_named(names: Sequence[str], given: Sequence[wire.Parameter]) -> list[wire.Parameter]:
    pairs = zip(names, given, strict=False)
    return [wire.Parameter(p.name or name, p.value, p.kind, p.wide) for name, p in pairs]
