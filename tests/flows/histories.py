"""Tables with a seeded history: what happens to one at its source between the runs that move it."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pymysql

from tests.flows.kit import Done, Place, on_sqlite
from tests.runner.tables import show_at_the_end
from tests.servers.process import Database

BEGAN = datetime(2024, 1, 1)
Rows = Counter[tuple[Any, ...]]


@dataclass
class Told:
    """How many histories there were in this run of the tests, and how their runs ended."""

    counts: Counter[str] = field(default_factory=Counter)

    def merge(self, other: Told) -> None:
        self.counts += other.counts

    def lines(self) -> list[str]:
        if not self.counts:
            return []
        words = ("runs", "equal", "said", "said though equal")
        ended = ", ".join(f"{self.counts[word]} {word}" for word in words)
        return [f"histories: {self.counts['histories']}: {ended}"]


TOLD = show_at_the_end("histories", Told())


@dataclass
class Source:
    """A real database that holds table ``t``; ``connect`` opens a session that commits by hand."""

    type: str
    profile: dict[str, Any]
    stamp: str
    connect: Callable[[], Any]
    mark: str = "?"
    has_writers: bool = False
    sees_changes: bool = False
    """Whether a row that is changed without its cursor is noticed below the watermark."""

    @contextlib.contextmanager
    def session(self) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
        connection = self.connect()
        try:
            yield lambda sql, *values: _run(connection, sql.replace("?", self.mark), values)
            connection.commit()
        finally:
            connection.close()

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.session() as run:
            return run(sql, *values)


def _run(connection: Any, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    cursor = connection.cursor()
    cursor.execute(sql, values) if values else cursor.execute(sql)
    return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def postgres(database: Database) -> Source:
    profile = {
        "host": database.host, "port": database.port, "database": database.database,
        "user": database.user, "password": database.password, "insecure": True,
    }  # fmt: skip
    return Source(
        "PostgresSource", profile, "timestamp", lambda: psycopg.connect(database.dsn), "%s",
        has_writers=True, sees_changes=True,
    )  # fmt: skip


def mariadb(database: Database) -> Source:
    where = {
        "host": database.host, "port": database.port, "database": database.database,
        "user": database.user, "password": database.password,
    }  # fmt: skip
    return Source(
        "MariaDBSource", where, "datetime", lambda: pymysql.connect(**where), "%s", has_writers=True
    )


def sqlite(folder: Path) -> Source:
    path = folder / "history.db"
    return Source("SQLiteSource", {"path": str(path)}, "timestamp", lambda: sqlite3.connect(path))


def duck(folder: Path) -> Source:
    path = folder / "history.duckdb"
    return Source("DuckDBSource", {"path": str(path)}, "timestamp", lambda: _Duck(duckdb.connect(str(path))))


class _Duck:
    """DuckDB begins no transaction by itself."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def cursor(self) -> Any:
        return _DuckCursor(self.inner)

    def commit(self) -> None:
        return

    def close(self) -> None:
        self.inner.close()


class _DuckCursor:
    def __init__(self, inner: Any) -> None:
        self.inner, self.description = inner, None

    def execute(self, sql: str, values: Any = None) -> None:
        self.inner.execute(sql, values) if values else self.inner.execute(sql)
        self.description = self.inner.description

    def fetchall(self) -> Any:
        return self.inner.fetchall()


@dataclass
class History:
    """One table's life: ``step`` lets something happen, ``holds`` compares after a run."""

    seed: int
    source: Source
    place: Place
    mode: str
    cursor: str
    happened: list[str] = field(default_factory=list)
    odd: bool = False
    """Whether anything happened that the cursor does not tell, so that something may be said."""
    _next: int = 1
    _clock: int = 0
    _open: Any = None
    _locked: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self._make()
        conf = {
            "env": "src", "table_name": "t", "watermark": {"column": self.cursor}, "chunk": {"rows": 7},
        }  # fmt: skip
        if self.mode == "replace":
            del conf["watermark"]
        self.place.profiles["src"] = self.source.profile
        self.place.manifest = {
            "version": 1,
            "orchestrator": {"type": "DeclaredOrchestrator", "conf": {"workers": 2}},
            "declared_data_links": {
                "stages": [
                    {
                        "mode": self.mode,
                        "source": {"name": "src", "type": self.source.type, "conf": conf},
                        "sink": {
                            "name": "dst",
                            "type": "SQLiteSink",
                            "conf": {"env": "dst", "table_name": "t"},
                        },
                    }
                ]
            },
        }
        self.place.write()
        self.insert(20)

    def _make(self) -> None:
        columns = f"id bigint NOT NULL PRIMARY KEY, s {self.source.stamp} NULL, v varchar(20)"
        self.source.run(f"CREATE TABLE t ({columns})")

    # -- what may happen -------------------------------------------------------------

    def step(self) -> None:
        """One to three things, drawn by the seed."""
        self.close()
        usual = [(self.insert, 6), (self.raise_, 4), (self.tie, 2), (self.nothing, 1)]
        strange = [(self.late, 2), (self.delete, 2), (self.truncate, 1), (self.rename, 1), (self.swap_tie, 2)]
        if self.cursor == "s":
            strange.append((self.ahead, 1))
        if self.source.has_writers:
            strange.append((self.late_commit, 2))
        if self._sees_changes:
            strange.append((self.touch, 2))
        chosen = [*usual, *strange]
        acts, weights = [a for a, _ in chosen], [w for _, w in chosen]
        drawn = self.chance.choices(acts, weights, k=self.chance.randint(1, 3))
        # What a transaction holds open comes last and once: nothing else could pass it.
        opens = [self.late_commit] if self.late_commit in drawn else []
        for act in [*(one for one in drawn if one != self.late_commit), *opens]:
            self.happened.append(act.__name__)
            act()

    def nothing(self) -> None:
        return

    def insert(self, count: int = 0) -> None:
        for _ in range(count or self.chance.randint(1, 9)):
            self._put(self._id(), self._stamp())

    def tie(self) -> None:
        """Rows with the stamp that was given last, or with none."""
        none = self.chance.random() < 0.4
        for _ in range(self.chance.randint(1, 3)):
            self._put(self._id(), None if none else self._stamp(0))

    def swap_tie(self) -> None:
        """One row of the newest stamp goes, another comes."""
        self.odd = True
        newest = self.source.run("SELECT MAX(s) FROM t WHERE s < '2100-01-01'")[0][0]
        if newest is not None:
            found = self.source.run("SELECT MIN(id) FROM t WHERE s = ?", newest)[0][0]
            self.source.run("DELETE FROM t WHERE id = ?", found)
            self._put(self._id(), self._stamp(0))

    def raise_(self) -> None:
        """Rows are changed and say so; appending is for rows that are not. Where the id is the cursor,
        nothing says so."""
        if self.mode == "append" or (self.cursor == "id" and not self._sees_changes):
            return
        for one in self._some(4):
            self.source.run("UPDATE t SET v = ?, s = ? WHERE id = ?", self._value(), self._stamp(), one)
            self.odd = self.odd or self.cursor == "id"

    def touch(self) -> None:
        """Rows are changed and nothing says so."""
        self.odd = True
        for one in self._some(3):
            self.source.run("UPDATE t SET v = ? WHERE id = ?", self._value(), one)

    def late(self) -> None:
        """Rows whose ids were handed out before, or whose stamps are older."""
        for _ in range(self.chance.randint(1, 3)):
            self._put(self._missing() if self.cursor == "id" else self._id(), self._old())

    def late_commit(self) -> None:
        """A transaction that stays open over the next run; half of what it writes under a savepoint."""
        self._open = self.source.connect()
        one, two = self._locked = [self._id(), self._id()]
        insert = f"INSERT INTO t VALUES ({', '.join([self.source.mark] * 3)})"
        _run(self._open, insert, (one, self._stamp(), self._value()))
        _run(self._open, "SAVEPOINT a", ())
        _run(self._open, insert, (two, self._stamp(), self._value()))
        _run(self._open, "RELEASE SAVEPOINT a", ())
        self.insert(2)

    def ahead(self) -> None:
        """A stamp that no clock showed."""
        self._put(self._id(), datetime(2999, 12, 31) + timedelta(seconds=self.chance.randint(0, 2)))

    def delete(self) -> None:
        self.odd = True
        for one in self._some(3):
            self.source.run("DELETE FROM t WHERE id = ?", one)

    def truncate(self) -> None:
        """The table begins anew, with small ids and old stamps."""
        self.odd = True
        self.source.run(
            "DELETE FROM t" if self.source.type.startswith(("SQLite", "Duck")) else "TRUNCATE TABLE t"
        )
        for number in range(1, self.chance.randint(2, 12)):
            self._put(number, self._old())

    def rename(self) -> None:
        """Another table takes the name."""
        self.odd = True
        kept = self.source.run("SELECT id, s, v FROM t ORDER BY id")
        self.source.run(f"ALTER TABLE t RENAME TO gone_{len(self.happened)}")
        self._make()
        for row in kept[:: self.chance.randint(1, 3)]:
            self.source.run("INSERT INTO t VALUES (?, ?, ?)", *row)

    def close(self) -> None:
        """What was left open commits."""
        if self._open is not None:
            self._open.commit()
            self._open.close()
            self._open, self._locked = None, []

    @property
    def _sees_changes(self) -> bool:
        return self.source.sees_changes or self.mode == "replace"

    # -- what is compared ----------------------------------------------------------------

    def holds(self) -> Rows:
        return _plain(on_sqlite(self.place.target, "SELECT id, s, v FROM t"))

    def held(self) -> Rows:
        return _plain(self.source.run("SELECT id, s, v FROM t"))

    # -- drawing -------------------------------------------------------------------------

    def _put(self, number: int, stamp: datetime | None) -> None:
        if not self.source.run("SELECT 1 FROM t WHERE id = ?", number):
            text = None if stamp is None else stamp.isoformat(" ")
            self.source.run("INSERT INTO t VALUES (?, ?, ?)", number, text, self._value())

    def _id(self) -> int:
        self._next += 1 if self.chance.random() < 0.7 else 3
        return self._next

    def _missing(self) -> int:
        there = {*self._locked, *(row[0] for row in self.source.run("SELECT id FROM t"))}
        return next((n for n in range(self._next - 1, 0, -1) if n not in there), self._id())

    def _stamp(self, step: int | None = None) -> datetime:
        self._clock += self.chance.randint(1, 3) if step is None else step
        return BEGAN + timedelta(seconds=self._clock)

    def _old(self) -> datetime:
        return BEGAN + timedelta(seconds=self.chance.randint(0, self._clock))

    def _value(self) -> str:
        return f"v{self.chance.randint(0, 10**9)}"

    def _some(self, most: int) -> list[int]:
        found = [row[0] for row in self.source.run("SELECT id FROM t ORDER BY id")]
        return self.chance.sample(found, min(len(found), self.chance.randint(1, most)))


def _plain(rows: list[tuple[Any, ...]]) -> Rows:
    return Counter((int(n), None if s is None else str(s).replace("T", " ")[:19], v) for n, s, v in rows)


def said(done: Done) -> bool:
    """Whether the run's last word, or its end, tells that not all is as at the source."""
    return done.code != 0 or "from the source below the watermark" in done.err.splitlines()[-1]
