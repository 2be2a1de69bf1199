"""Reads the catalogue and the rows of MySQL and MariaDB."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from hdm.connectors.mysql import held, text_codec, wire
from hdm.connectors.mysql.connecting import MySQLConnecting
from hdm.dialects import mysql_catalog
from hdm.errors import HdmError, RejectedRows
from hdm.model import Column, Kind, Table

_LOG = logging.getLogger(__name__)
_BATCH_ROWS, _BATCH_BYTES = 32_768, 8 * 1024 * 1024
_FEW_ROWS = 50_000
_BEHIND = 12
"""Hours by which the clock of a time zone is behind UTC at most."""


class MySQLReading(MySQLConnecting):
    """The part of ``MySQLDatabase`` that reads the catalogue and rows.

    ``zero_dates`` and ``times`` are settings of ``MySQLSourceConfig``.
    """

    zero_dates: str = "error"
    times: str = "clock"

    # -- catalogue -------------------------------------------------------------

    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """Return a table as information_schema describes it; None if there is none.

        A small table has no estimate of its rows.
        """
        schema, name = path[-2:]
        found = self.run(connection, mysql_catalog.NAMES, (schema, name))
        same = [row for row in found if row[0] == name] or (found if len(found) == 1 else [])
        if not same:
            return None
        name, _, rows, size = same[0]
        checks: list[str] = []
        if "mariadb" in connection.get_server_info().lower():
            checks = [str(row[0]) for row in self.run(connection, mysql_catalog.CHECKS, (schema, name))]
        described = self.run(connection, mysql_catalog.COLUMNS, (schema, name))
        key = tuple(str(row[0]) for row in self.run(connection, mysql_catalog.KEY, (schema, name)))
        known = rows is not None and rows > _FEW_ROWS
        columns = self._carried(mysql_catalog.columns(self.dialect, described, checks))
        full = (schema, str(name))
        return Table(
            self.dataset(full),
            full,
            columns,
            key,
            rows=rows if known else None,
            bytes=size if known else None,
        )

    def relation(self, connection: Any, origin: str, path: Sequence[str] | None) -> str | None:
        """Return a digest that identifies the storage of a table's rows; None for a query."""
        return None if path is None else held.relation(self, connection, origin, path)

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Return the columns of a query, from the metadata of an empty result."""
        with self.classified(), connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {self.dialect.derived(sql)} LIMIT 0")
            fields = cursor._result.fields
        return self._carried(tuple(mysql_catalog.field_column(self.dialect, field) for field in fields))

    def _carried(self, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        dated = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
        if self.zero_dates == "text":
            columns = mysql_catalog.as_text(columns, dated)
        if self.zero_dates == "null":
            columns = tuple(replace(c, nullable=True) if c.kind in dated else c for c in columns)
        return mysql_catalog.as_text(columns, frozenset({Kind.TIME})) if self.times == "text" else columns

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """Return the tables of the database whose names start with ``prefix``."""
        sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
        names = [str(row[0]) for row in self.run(connection, sql, (path[-2],))]
        return [(*path[:-1], name) for name in names if name.startswith(prefix)]

    def horizon(self, connection: Any, table: Table, column: Column, *, utc: bool = False) -> str | None:
        """Return SQL for the start of the oldest open writing transaction, for cursors of dates or times.

        None for another cursor, if no such transaction is open, or if the user lacks PROCESS. The answer is
        read before the snapshot in which the window is planned, so the snapshot is taken anew after it. A
        TIMESTAMP is kept in UTC. A DATETIME is what the clock of the writer's session showed, which may be up
        to ``_BEHIND`` hours behind UTC: rows of these last hours wait until no writing transaction is open,
        unless every session writes in ``utc``.
        """
        if column.kind not in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            return None
        try:
            # InnoDB refreshes its list of transactions every 0.1 s at most
            self.run(connection, "DO SLEEP(0.15)")
            oldest = str(self.run(connection, mysql_catalog.OLDEST_WRITER)[0][0])
        except HdmError:
            return None
        self.begin(connection)
        if oldest.startswith("9999"):
            return None
        moment = self.dialect.literal(oldest, column)
        return moment if utc or column.kind is Kind.TIMESTAMPTZ else f"({moment} - INTERVAL {_BEHIND:d} HOUR)"

    def edges(
        self, connection: Any, origin: str, column: Column, where: str, step: int, rows: int
    ) -> list[str]:
        """Return a column's value at about every ``step``-th row, found along an index, else by one sort."""
        dialect, name = self.dialect, self.dialect.quote(column.name)
        shown = dialect.text_of(name, column)

        def beyond(edge: str | None) -> str:
            filters = [where, f"{name} > {dialect.literal(edge, column)}" if edge is not None else ""]
            return " AND ".join(filter(None, [f"{name} IS NOT NULL", *filters]))

        def at(edge: str | None, offset: int) -> str:
            return f"SELECT {shown} FROM {origin} WHERE {beyond(edge)} ORDER BY {name} LIMIT {offset:d}, 1"

        explained = str(self.run(connection, "EXPLAIN " + at(None, step - 1))).lower()
        if "filesort" in explained or "temporary" in explained or "derived" in explained:
            numbered = (
                f"SELECT {name} AS hdm_c, ROW_NUMBER() OVER (ORDER BY {name}) AS hdm_n "
                f"FROM {origin} WHERE {beyond(None)}"
            )
            value = dialect.text_of("hdm_c", column)
            cut = f"WHERE {dialect.modulo('hdm_n', step)} = 0 ORDER BY hdm_n"
            sql = f"SELECT {value} FROM {dialect.derived(numbered)} {cut}"
            return [str(row[0]) for row in self.run(connection, sql)]
        found: list[str] = []
        edge: str | None = None
        while there := self.run(connection, at(edge, step - 1)):
            edge = str(there[0][0])
            same = f"{name} = {dialect.literal(edge, column)}"
            filters = " AND ".join(filter(None, [where, same]))
            held = int(self.run(connection, f"SELECT COUNT(*) FROM {origin} WHERE {filters}")[0][0])
            found += [edge] * (1 + held // (step + 1))
        return found

    # -- rows --------------------------------------------------------------------

    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a SELECT as batches.

        Short columns come as one CSV line per row, which Arrow parses at once, the other columns beside it.
        Raises ``RejectedRows`` for a line longer than max_allowed_packet.
        """
        layout = text_codec.Layout(columns, zero_dates=self.zero_dates)
        wrapped = f"SELECT {layout.select(self.dialect.quote)} FROM ({sql}) AS hdm_w"
        gone: dict[str, int] = {}
        with self.classified():
            blocks = wire.rows(connection, wrapped, max_rows=_BATCH_ROWS, max_bytes=_BATCH_BYTES)
            for values, count in self.called(connection, blocks):
                lines, beside = (values[0], values[1:]) if layout.has_line else ([], values)
                if None in lines:
                    raise RejectedRows(
                        f"{self._address}: a row is longer than the server's max_allowed_packet",
                        hint="raise max_allowed_packet on the server, or read fewer columns",
                    )
                batch, nulled = layout.batch([line for line in lines if line is not None], beside, count)
                for name, number in nulled.items():
                    gone[name] = gone.get(name, 0) + number
                yield batch
        for name, number in gone.items():
            _LOG.warning("column %s: %d zero dates were read as NULL", name, number)

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return results for ``hdm doctor``: connection, version, bulk loads, guards against late commits."""
        found = super().probe()
        if not found[0][1]:
            return found
        connection = self.connect("hdm:doctor")
        try:
            version, infile = self.run(connection, "SELECT VERSION(), @@local_infile")[0]
            try:
                self.run(connection, mysql_catalog.OLDEST_WRITER)
                guard = f"windows wait for open writers (DATETIME: {_BEHIND} hours more, unless zone: utc)"
            except HdmError:
                guard = "PROCESS is not granted: windows do not wait for open writers"
            guard += "; missing ids are looked for again; other late rows are counted and said"
            same = held.told(self, connection)
        finally:
            connection.close()
        return [
            *found,
            ("version", True, str(version)),
            ("bulk load", True, "LOAD DATA LOCAL" if int(infile) else "INSERT, slower: local_infile is off"),
            ("snapshot", True, "one per chunk: sessions cannot share a snapshot here"),
            ("same table", True, same),
            ("late commits", True, guard),
        ]
