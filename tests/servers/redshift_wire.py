"""The wire of the stand-in of Redshift: startup, COPY from S3, errors, and answers that get lost.

The driver sends until Sync and then waits until ReadyForQuery, so one thread serves a connection.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from tests.servers.process import HOST
from tests.servers.redshift_sql import Copy, read, refusal

_FITS = {
    "bool": ("boolean",), "int8": ("smallint",), "int16": ("smallint",), "int32": ("integer",),
    "int64": ("bigint",), "float": ("real",), "double": ("double precision",), "date32[day]": ("date",),
    "string": ("character varying", "character"), "binary": ("varbyte",),
}  # fmt: skip
"""Parquet's types and the columns that take them; all else is an incompatible schema."""
ROLES = ("default", "arn:aws:iam::123456789012:role/loader")


class Gone(Exception):
    """An end of the connection is closed."""


class Failed(Exception):
    """A COPY failed with the server's ErrorResponse, whole."""


def _exactly(end: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        try:
            some = end.recv(size - len(found))
        except OSError:
            raise Gone from None
        if not some:
            raise Gone
        found += some
    return bytes(found)


def _message(end: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(end, 5)
    return head[:1], _exactly(end, struct.unpack("!i", head[1:])[0] - 4)


def _packed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _error(**fields: str) -> bytes:
    return _packed(b"E", b"".join(k.encode() + v.encode() + b"\0" for k, v in fields.items()) + b"\0")


class RedshiftWire:
    """A port that speaks to redshift_connector, before a PostgreSQL.

    The files of ``folder`` say what goes wrong in a database: ``NAME.lose`` has patterns of statements whose
    answer is lost, ``NAME.cut`` of those that never arrive; each counts once. ``NAME.seen`` gets each
    statement, as JSON.
    """

    def __init__(self, port: int, target: int, s3: Callable[[], Any], folder: Path) -> None:
        self.target, self.s3, self.folder = target, s3, folder
        self._lock = threading.Lock()
        self._listener = socket.create_server((HOST, port))

    def saw(self, database: str, sql: str) -> None:
        with self._lock, (self.folder / f"{database}.seen").open("a") as file:
            file.write(json.dumps(sql) + "\n")

    def is_due(self, database: str, how: str, sql: str) -> bool:
        path = self.folder / f"{database}.{how}"
        with self._lock:
            if not path.exists():
                return False
            waiting = path.read_text().splitlines()
            due = next((one for one in waiting if re.search(one, sql, re.IGNORECASE)), None)
            if due is not None:
                waiting.remove(due)
                path.write_text("".join(one + "\n" for one in waiting))
            return due is not None

    def serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((HOST, self.target))
        except OSError:
            client.close()
            return
        with client, server, contextlib.suppress(Gone, OSError):
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _Talk(self, client, server).run()


class _Talk:
    """One connection."""

    def __init__(self, wire: RedshiftWire, client: socket.socket, server: socket.socket) -> None:
        self.wire, self.client, self.server = wire, client, server
        self.statements: dict[bytes, str] = {}
        self.copies: dict[bytes, Copy] = {}
        self.status = b"I"
        self.database = ""

    def run(self) -> None:
        size = struct.unpack("!i", _exactly(self.client, 4))[0]
        body = _exactly(self.client, size - 4)
        words = body[4:].split(b"\0")
        given = dict(zip(words[::2], words[1::2], strict=False))
        self.database = given[b"database"].decode()
        kept = {k: given[k] for k in (b"user", b"database", b"application_name") if k in given}
        start = body[:4] + b"".join(k + b"\0" + v + b"\0" for k, v in kept.items()) + b"\0"
        self.server.sendall(struct.pack("!i", len(start) + 4) + start)
        self._relay(login=True)
        while True:
            self._batch()

    def _relay(self, *, login: bool = False) -> None:
        out = bytearray()
        while True:
            kind, body = _message(self.server)
            if kind == b"S" and body.startswith(b"server_version\0"):
                body = b"server_version\x008.0.2\0"
            if kind == b"E":
                body = _as_redshift(body)
            out += _packed(kind, body)
            asks = login and kind == b"R" and struct.unpack("!i", body[:4])[0] not in (0, 12)
            if kind == b"Z" or asks or (login and kind == b"E"):
                self.client.sendall(bytes(out))
                out.clear()
            if asks:
                kind, body = _message(self.client)
                self.server.sendall(_packed(kind, body))
            if kind == b"Z":
                self.status = body
                return

    def _batch(self) -> None:
        """Carry over the messages up to Sync or a query, and the answers to them."""
        out, run = bytearray(), ""
        while True:
            kind, body = _message(self.client)
            if kind == b"X":
                raise Gone
            if kind == b"P":
                body = self._parse(body)
            elif kind == b"B":
                name = body.split(b"\0", 2)[1]
                run = self.statements.get(name, "")
                self.wire.saw(self.database, run)
                if self.wire.is_due(self.database, "cut", run):
                    raise Gone
                if name in self.copies and not self._copied(self.copies[name]):
                    if self.wire.is_due(self.database, "lose", run):
                        raise Gone
                    return
            out += _packed(kind, body)
            if kind in (b"S", b"Q"):
                break
        self.server.sendall(bytes(out))
        if run and self.wire.is_due(self.database, "lose", run):
            while _message(self.server)[0] != b"Z":
                pass
            raise Gone
        self._relay()

    def _parse(self, body: bytes) -> bytes:
        name, sql, rest = body.split(b"\0", 2)
        self.statements[name] = sql.decode()
        self.copies.pop(name, None)
        made = read(sql.decode())
        if isinstance(made, Copy):
            self.copies[name] = made
            made = "SET rs.noop TO '1'"
        return name + b"\0" + made.encode() + b"\0" + rest

    # -- COPY ----------------------------------------------------------------------

    def _copied(self, copy: Copy) -> bool:
        """Load the files; False if that failed: the client was told, and its messages up to Sync are void."""
        try:
            rows = self._load(copy)
            self._query(f"SET rs.copied TO '{rows}'")
            return True
        except Failed as error:
            while _message(self.client)[0] != b"S":
                pass
            self.client.sendall(_packed(b"E", _as_redshift(error.args[0])) + _packed(b"Z", self.status))
            return False

    def _load(self, copy: Copy) -> int:
        said = self._files(copy)
        if isinstance(said, str):
            self._query(refusal("XX000", said))
            return 0
        columns = self._columns(copy.table)
        total = 0
        for table in said:
            if len(columns) != table.num_columns:
                self._query(refusal("XX000", "Spectrum Scan Error: another number of columns"))
            for field, native in zip(table.schema, columns, strict=True):
                if not _takes(field.type, native):
                    why = f"file has an incompatible Parquet schema for column {field.name}: {native}"
                    self._query(refusal("XX000", f"Spectrum Scan Error: {why}"))
            self._stdin(copy.table, table)
            total += table.num_rows
        return total

    def _files(self, copy: Copy) -> list[pa.Table] | str:
        if any(role not in ROLES for role in copy.role.split(",")):
            return "User arn:aws:redshift is not authorized to assume IAM Role"
        client = self.wire.s3()
        found = []
        try:
            entries = json.loads(self._object(client, copy.url))["entries"]
            for entry in entries:
                if entry.get("mandatory") is not True:
                    return "the stand-in wants each file of the manifest to be mandatory"
                body = self._object(client, entry["url"])
                if entry.get("meta", {}).get("content_length") != len(body):
                    return "S3ServiceException: content_length of the manifest is not the file's"
                found.append(pq.read_table(BytesIO(body)))
        except client.exceptions.NoSuchKey:
            return "S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey"
        except (ValueError, KeyError, pa.ArrowInvalid):
            return "the manifest or a file of it cannot be read: invalid manifest"
        return found

    @staticmethod
    def _object(client: Any, url: str) -> bytes:
        split = urlsplit(url)
        found: bytes = client.get_object(Bucket=split.netloc, Key=split.path[1:])["Body"].read()
        return found

    def _columns(self, table: str) -> list[str]:
        rows = self._query(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
            f"WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
        return [body[6:].decode() for kind, body in rows if kind == b"D"]

    def _stdin(self, into: str, table: pa.Table) -> None:
        self.server.sendall(_packed(b"Q", f"COPY {into} FROM STDIN (FORMAT csv)\0".encode()))
        kind, body = _message(self.server)
        if kind == b"E":
            self._answers()
            raise Failed(body)
        for batch in table.to_batches(max_chunksize=2000):
            rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            lines = "".join(",".join(_field(value) for value in row) + "\n" for row in rows)
            self.server.sendall(_packed(b"d", lines.encode()))
        self.server.sendall(_packed(b"c", b""))
        try:
            self._answers()
        except Failed as error:
            if re.search(rb"\0C2[23]", b"\0" + error.args[0]):
                said = f"Load into table {into} failed. Check sys_load_error_detail for details."
                raise Failed(_error(S="ERROR", C="XX000", M=said)[5:]) from None
            raise

    def _query(self, sql: str) -> list[tuple[bytes, bytes]]:
        self.server.sendall(_packed(b"Q", sql.encode() + b"\0"))
        return self._answers()

    def _answers(self) -> list[tuple[bytes, bytes]]:
        found = []
        failed = None
        while True:
            kind, body = _message(self.server)
            found.append((kind, body))
            if kind == b"E":
                failed = body
            if kind == b"Z":
                self.status = body
                if failed is not None:
                    raise Failed(failed)
                return found


def _takes(kind: pa.DataType, native: str) -> bool:
    if pa.types.is_decimal(kind):
        return native == f"numeric({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return native == "timestamp without time zone" and kind.unit in ("ms", "us")
    return native.partition("(")[0] in _FITS.get(str(kind), ())


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if hasattr(value, "tzinfo") and value.tzinfo is not None:
        value = value.replace(tzinfo=None)
    return '"' + str(value).replace('"', '""') + '"'


def _as_redshift(body: bytes) -> bytes:
    """An ErrorResponse as Redshift would word it."""
    if b"\0C40001\0" in b"\0" + body or b"\0C40P01\0" in b"\0" + body:
        why = "Serializable isolation violation on table - 100, transactions forming the cycle are: 7, 8"
        return _error(S="ERROR", C="XX000", M="1023", D=why)[5:]
    return body


def main(port: str, target: str, endpoint: str, folder: str) -> None:
    """Serve until the process is ended."""
    import boto3

    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test",
        region_name="us-east-1",
    )  # fmt: skip
    RedshiftWire(int(port), int(target), lambda: client, Path(folder)).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
