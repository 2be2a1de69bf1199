"""A server that speaks Netezza's protocol to the real nzpy, with a PostgreSQL behind it.

The protocol is read from nzpy 1.17.8 (``handshake.py``, ``core.py``). It keeps transactions as Netezza does:
a statement outside BEGIN commits, and BEGIN within or COMMIT without a transaction is refused. CHAR and
VARCHAR go out as Latin-9 bytes, NVARCHAR as UTF-8, VARBINARY as it is. What Netezza refuses is refused: a
cast of bytes, functions that it has not, correlated NOT EXISTS. What PostgreSQL spells otherwise is
translated; of Netezza's planner, limits and conflicts it knows nothing.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg

from tests.servers.process import HOST, Database

_OPTIONS = " DISTRIBUTE ON RANDOM"
_DONE, _VERSION, _SECURITY = 1000, 1, 11
_INT8, _VARCHAR, _VARBINARY, _NVARCHAR = 20, 16, 23, 26
_LATIN = "iso8859-15"
_QUOTED = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")""")
_UNLOAD = re.compile(r"CREATE EXTERNAL TABLE '((?:[^']|'')*)' USING \((.*?)\) AS (.*)\Z", re.DOTALL)
_LOAD = re.compile(
    r"(INSERT INTO .*) FROM EXTERNAL '((?:[^']|'')*)' \((.*)\) USING \((REMOTESOURCE 'python' .*)\)\Z",
    re.DOTALL,
)
_PLACED = re.compile(r"(CREATE TABLE (\S+) .*) DISTRIBUTE ON (\(.*\))\Z", re.DOTALL)
_UPDATED = re.compile(r"UPDATE (\S+) t SET (.*?) FROM ", re.DOTALL)
_FIELD = re.compile(r"((?:[^|\\\n]|\\.)*)([|\n])", re.DOTALL)
_GREETINGS = (
    (re.compile("select version"), ["11.2", "python", "x", "linux", "hdm"]),
    (re.compile("select ascii"), [" ", "utf8"]),
    (re.compile("select feature"), ["x"]),
    (re.compile("select identifier_case"), ["UPPERCASE", "SALES", "HDM"]),
)
_VIEWS = """
CREATE VIEW _v_relation_column AS
  SELECT current_database()::text AS database, n.nspname::text AS schema, c.relname::text AS name,
    a.attname::text AS attname, a.attnum::bigint, a.attnotnull, NULL::text AS coldefault,
    NULL::text AS description, CASE WHEN a.atttypid = 'bytea'::regtype THEN 'BINARY VARYING(2000)' ELSE
    replace(replace(upper(format_type(a.atttypid, a.atttypmod)), ' WITHOUT TIME ZONE', ''),
    'CHARACTER VARYING', 'NATIONAL CHARACTER VARYING') END AS format_type
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE a.attnum > 0 AND NOT a.attisdropped;
CREATE VIEW _v_relation_keydata AS
  SELECT n.nspname::text AS schema, c.relname::text AS relation, a.attname::text AS attname,
    k.contype::text AS contype, array_position(k.conkey, a.attnum)::bigint AS conseq
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (k.conkey);
CREATE VIEW _v_table AS
  SELECT current_database()::text AS database, n.nspname::text AS schema, c.relname::text AS tablename,
    c.oid::bigint AS objid, 0::bigint AS reltuples
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r';
CREATE VIEW _v_dslice AS SELECT generate_series(1, 4)::bigint AS ds_id;
CREATE TABLE _placed (schema text, tablename text, attname text, distseqno bigint);
CREATE VIEW _v_table_dist_map AS SELECT *, current_database()::text AS database FROM _placed;
CREATE SCHEMA "ADMIN";
"""


class RefusedError(Exception):
    """What the server answers with an error message."""


class Netezza:
    """Listens until it is closed. ``said`` holds every statement as it came, greetings aside.

    ``dies_at``: the connection breaks off before a statement that starts so is run.
    ``escapes``: whether a backslash in a text is an escape, which IBM's pages leave open.
    """

    def __init__(self, database: Database, *, escapes: bool = False, password: str = "canary") -> None:
        self.database, self.escapes, self.password = database, escapes, password
        self.said: list[str] = []
        self.cut_unloads = False
        self.loads = True
        """Whether the user may make external tables."""
        self.refuses: tuple[str, ...] = ()
        """How statements begin that the user lacks the right for."""
        self.dies_at: str | None = None
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            connection.execute(_VIEWS.encode())
        self._socket = socket.create_server((HOST, 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, suppress(OSError, EOFError, struct.error):
            session = _Session(self, client)
            if session.greet():
                session.run()


class _Session:
    def __init__(self, server: Netezza, client: socket.socket) -> None:
        self.server, self.wire = server, client.makefile("rwb")
        self.began = self.read_only = False

    # -- the wire --------------------------------------------------------------

    def take(self, count: int) -> bytes:
        self.wire.flush()
        found: bytes = self.wire.read(count)
        if len(found) < count:
            raise EOFError
        return found

    def number(self) -> int:
        return int(struct.unpack("!i", self.take(4))[0])

    def give(self, *parts: bytes) -> None:
        self.wire.write(b"".join(parts))

    def message(self, code: bytes, data: bytes) -> None:
        self.give(code, bytes(4), struct.pack("!i", len(data)), data)

    def greet(self) -> bool:
        """Version, database, no TLS, user and the rest; then the password."""
        while True:
            packet = self.take(self.number() - 4)
            (code,) = struct.unpack("!h", packet[:2])
            if code == _DONE:
                break
            self.give(b"N")
        self.give(b"R", struct.pack("!i", 3))
        right = self.take(self.number() - 4).rstrip(b"\0") == self.server.password.encode()
        if right:
            self.give(b"R", struct.pack("!i", 0), b"Z", bytes(4), struct.pack("!i", 0))
        else:
            self.message(b"E", b"ERROR:  Password authentication failed for user 'x'\0")
        self.wire.flush()
        return right

    def run(self) -> None:
        settings = f"-c standard_conforming_strings={'off' if self.server.escapes else 'on'}"
        settings += " -c escape_string_warning=off -c backslash_quote=on"
        behind = psycopg.connect(self.server.database.dsn, autocommit=True, options=settings)
        try:
            while self.take(1) == b"P":
                self.take(4)
                text = bytearray()
                while (one := self.take(1)) != b"\0":
                    text += one
                self.answer(behind, text.decode())
        finally:
            behind.close()  # whatever was not committed is gone

    def answer(self, behind: psycopg.Connection[Any], sql: str) -> None:
        """One statement's rows, count or error."""
        for pattern, row in _GREETINGS:
            if pattern.match(sql):
                self.rows([row], [_NVARCHAR] * len(row))
                return self.done("SELECT")
        if sql.upper().startswith("SET "):
            if sql.startswith("SET SESSION READ "):
                self.read_only = sql.endswith("ONLY")
            return self.done("SET VARIABLE")
        self.server.said.append(sql)
        if self.server.dies_at and sql.startswith(self.server.dies_at):
            raise EOFError
        try:
            self.done(self.statement(behind, sql))
        except (RefusedError, psycopg.Error) as error:
            self.message(b"E", f"ERROR:  {str(error).splitlines()[0]}\0".encode())
            self.give(b"Z", bytes(8))

    def done(self, status: str) -> None:
        self.message(b"C", status.encode() + b"\0")
        self.give(b"Z", bytes(8))

    # -- statements --------------------------------------------------------------

    def statement(self, behind: psycopg.Connection[Any], sql: str) -> str:
        word = sql.split(None, 1)[0].upper()
        if word in ("BEGIN", "COMMIT", "ROLLBACK"):
            if self.began is (word == "BEGIN"):
                raise RefusedError(f"{word}: {'already a' if self.began else 'no'} transaction in progress")
            self.began = word == "BEGIN"
        if self.read_only and not re.match(r"(SELECT|BEGIN|COMMIT|ROLLBACK|(CREATE TEMP|DROP) TABLE)\b", sql):
            raise RefusedError("Read-only session, cannot process this request")
        if sql.startswith(self.server.refuses or ("\0",)):
            raise RefusedError(f"{' '.join(sql.split()[:3])}: permission denied.")
        if word in ("GROOM", "GENERATE"):  # of which PostgreSQL knows nothing
            if self.began:
                raise RefusedError(
                    "GROOM TABLE: may not be called in a transaction block or stored procedure"
                )
            return word
        if found := _UNLOAD.match(sql):
            return self.unload(behind, found[1].replace("''", "'"), found[2], found[3])
        if found := _LOAD.match(sql):
            return self.load(behind, *found.groups())
        if found := _PLACED.match(sql):
            self.place(behind, found[2], found[3])
            sql = found[1]
        if found := _UPDATED.match(sql):
            self.may_update(behind, found[1], found[2])
        cursor = behind.execute(translated(sql).encode())
        if cursor.description is not None:
            rows = cursor.fetchall()
            self.rows(rows, [_kind([row[n] for row in rows]) for n in range(len(cursor.description))])
        return cursor.statusmessage or ""

    def place(self, behind: psycopg.Connection[Any], table: str, columns: str) -> None:
        """Keep which columns decide the slice of a row."""
        for number, name in enumerate(re.findall(r'"([^"]*)"', columns), 1):
            row = (*re.findall(r'"([^"]*)"', table), name, number)
            behind.execute(b"INSERT INTO _placed VALUES (%s, %s, %s, %s)", row)

    def may_update(self, behind: psycopg.Connection[Any], table: str, assigned: str) -> None:
        """Refuse to set a column of distribution."""
        path = re.findall(r'"([^"]*)"', table)
        found = behind.execute(b"SELECT attname FROM _placed WHERE schema = %s AND tablename = %s", path[-2:])
        if {row[0] for row in found} & set(re.findall(r'"([^"]*)" = ', assigned)):
            raise RefusedError("update of a distribution column is not allowed")

    def unload(self, behind: psycopg.Connection[Any], path: str, options: str, query: str) -> str:
        """The client opens the file, then is sent blocks."""
        if "CTRLCHARS" in options:
            raise RefusedError("option CTRLCHARS is not supported for unload")
        rows = behind.execute(translated(query).encode()).fetchall()
        lines = ["|".join(_field(value) for value in row) + "\n" for row in rows]
        data = "".join(lines[:-1] if self.server.cut_unloads else lines).encode()
        name = path.encode()
        self.give(b"u", bytes(4), bytes(26), struct.pack("!i", len(name)), name)
        self.number()  # the client has opened it
        self.give(b"U", bytes(4), bytes(4), struct.pack("!ii", 1, len(data)), data, struct.pack("!i", 3))
        return f"INSERT 0 {len(rows)}"

    def load(self, behind: psycopg.Connection[Any], insert: str, path: str, fields: str, options: str) -> str:
        """The client is told the file's name, and sends blocks of it. One bad line ends the load."""
        if not self.server.loads:
            raise RefusedError("permission denied.  CREATE EXTERNAL TABLE")
        name = path.replace("''", "'").encode()
        self.give(b"l", bytes(8), name, b"\0", struct.pack("!i", 1))
        self.number()  # the client's version
        self.give(struct.pack("!ii", 1, 64))
        data = b""
        while (status := self.number()) == 1:
            data += self.take(self.number())
        if status != 3:
            raise RefusedError("external table: the client broke off")
        kinds = re.findall(r"[fv]\d+ ((?:[^(),]|\([^)]*\))+)", fields)
        behind.execute(translated(f"CREATE TEMP TABLE _external ({fields})").encode())
        try:
            for line in _lines(data.decode(), options):
                if len(line) != len(kinds):
                    raise RefusedError("bad external table input: number of fields")
                marks = ", ".join(f"%s::text::{one}" for one in map(translated, kinds))
                for value, kind in zip(line, kinds, strict=True):
                    size = re.search(r"CHAR.*\((\d+)\)", kind)
                    if size and value and len(value) > int(size[1]):
                        raise RefusedError("bad external table input: string too long")
                behind.execute(f"INSERT INTO _external VALUES ({marks})".encode(), line)
            cursor = behind.execute(f"{translated(insert)} FROM _external".encode())
            return cursor.statusmessage or ""
        finally:
            behind.execute(b"DROP TABLE _external")

    # -- rows --------------------------------------------------------------------

    def rows(self, rows: Sequence[Sequence[Any]], kinds: Sequence[int]) -> None:
        """nzpy's ``DbosTupleDesc``, then each row: null bits, fixed fields, then the others."""
        count = len(kinds)
        head = 2 + -(-count // 8)
        fixed = [n for n, kind in enumerate(kinds) if kind == _INT8]
        others = [n for n in range(count) if n not in fixed]
        start = head + 8 * len(fixed)
        described = struct.pack("!9i", 1, 1, 2, 2, len(fixed), len(others), start, 65535, count)
        for number, kind in enumerate(kinds):
            is_fixed = number in fixed
            place = head + 8 * fixed.index(number) if is_fixed else others.index(number)
            described += struct.pack(
                "!9i", kind, 8 if is_fixed else 0, 8, place, number, number, 1, is_fixed, 0
            )
        described += struct.pack("!2i", 0, 0)
        names = b"".join(b"c%d\0" % n + struct.pack("!ihi", 25, 0, 0) + b"\0" for n in range(count))
        self.message(b"T", struct.pack("!h", count) + names)
        self.message(b"X", described)
        for row in rows:
            bits = bytearray(head - 2)
            for number, value in enumerate(row):
                if value is None:
                    bits[number // 8] |= 1 << number % 8
            body = b"".join(struct.pack("<q", int(row[n] or 0)) for n in fixed)
            for number in others:
                data = _bytes(row[number], kinds[number])
                body += struct.pack("<H", len(data) + 2) + data + b"\0" * (len(data) % 2)
            data = struct.pack("<H", 2 + len(bits) + len(body)) + bytes(bits) + body
            self.give(b"Y", bytes(4), struct.pack("!ii", 0, len(data)), data)


def _lines(text: str, options: str) -> list[list[str | None]]:
    """The rows of a file; an empty field is NULL. A control character is refused unless CTRLCHARS is on."""
    if "CTRLCHARS TRUE" not in options and re.search(r"[\x01-\x09\x0b-\x1f]", text):
        raise RefusedError("bad external table input: unescaped control character")
    lines: list[list[str | None]] = [[]]
    for found in _FIELD.finditer(text):
        lines[-1].append(re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL) or None)
        if found[2] == "\n":
            lines.append([])
    return lines[:-1]


def translated(sql: str) -> str:
    """As PostgreSQL spells it. Raises ``RefusedError`` for what Netezza refuses."""
    if re.search(r"HEX_TO_BINARY|BINARY_TO_HEX|EEEE", sql):
        raise RefusedError("function is not known")
    if re.search(r"NOT EXISTS \(SELECT", sql) or re.search(r"EXISTS \(SELECT .* OR ", sql):
        raise RefusedError("(2) This form of correlated query is not supported - consider rewriting")
    parts = _QUOTED.split(sql)
    for place in range(0, len(parts), 2):
        text = parts[place].replace(_OPTIONS, "").replace("ROWID", "ctid")
        text = re.sub(r"\b(NVARCHAR|NATIONAL CHARACTER VARYING)\(", "VARCHAR(", text)
        text = re.sub(r"\b(VARBINARY|BINARY VARYING)\(\d+\)", "BYTEA", text)
        text = text.replace("BYTEINT", "SMALLINT")
        if text.endswith("x") and place + 1 < len(parts):
            text, parts[place + 1] = text[:-1], f"decode({parts[place + 1]}, 'hex')"
        parts[place] = text
    made = "".join(parts)
    return re.sub(r"^DROP TABLE (.*) IF EXISTS$", r"DROP TABLE IF EXISTS \1", made)


def _kind(values: Sequence[Any]) -> int:
    """What Netezza would say of a column, by its values."""
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, bytes) for value in known):
        return _VARBINARY
    if known and all(isinstance(value, int) and not isinstance(value, bool) for value in known):
        return _INT8
    with suppress(UnicodeEncodeError):
        for value in known:
            str(value).encode(_LATIN)
        return _VARCHAR
    return _NVARCHAR


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "t" if value else "f"
    return "" if value is None else str(value)


def _bytes(value: Any, kind: int) -> bytes:
    if isinstance(value, bytes):
        return value
    return _text(value).encode("utf-8" if kind == _NVARCHAR else _LATIN)


def _field(value: Any) -> str:
    out = _text(value)
    for mark in ("\\", "|", "\n", "\r"):
        out = out.replace(mark, "\\" + mark)
    return out
