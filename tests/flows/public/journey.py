"""One schema on its way: SQLite, PostgreSQL, then MariaDB and DuckDB, and Snowflake, by AutoBatch."""

from __future__ import annotations

import io
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from hdm.cli import main
from tests.flows.public import proof
from tests.servers.process import Database

OWN = ["_hdm*", "hdm_*"]
"""hdm's own ledger in a target that is the next leg's source."""
Comments = Mapping[str, tuple[str, Mapping[str, str]]]
"""Table -> what is said of it and of its columns."""


_BEFORE: dict[str, tuple[str, ...]] = {"pg": (), "maria": ("pg",), "duck": ("pg", "maria"), "snow": ("pg",)}
NAMES = {"pg": "SQLite -> PostgreSQL", "maria": "PostgreSQL -> MariaDB", "duck": "MariaDB -> DuckDB",
          "snow": "PostgreSQL -> Snowflake"}  # fmt: skip


@dataclass(frozen=True)
class Public:
    """A schema with data: how its SQLite file is made and what is in it, at least."""

    name: str
    make: Callable[[Path], None]
    tables: int
    filled: int
    rows: int
    foreign_keys: int = 0
    comments: Callable[[], Comments] = dict
    """SQLite keeps none: they are told to PostgreSQL, and go on from there."""
    views: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    """What the crawler names as not read: indexes for full-text search, which hold no row of their own,
    and the triggers that fill them."""
    again: bool = False
    """Whether each leg is run twice."""


@dataclass
class Journey:
    """The servers of one journey; ``said`` is what hdm said last."""

    public: Public
    folder: Path
    postgres: Database
    mariadb: Database
    snowflake: dict[str, Any]
    said: str = ""
    notes: list[str] = field(default_factory=list)
    counts: dict[str, str] = field(default_factory=dict)
    """Leg -> how many objects were converted, approximated, left to a person, as its first run said it."""
    left_out: set[tuple[str, tuple[str, ...], str]] = field(default_factory=set)
    """Foreign keys that the target of some leg cannot have."""
    codes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.file, self.duck = self.folder / "source.db", self.folder / "target.duckdb"
        self.public.make(self.file)
        entries = {
            "sqlite": {"path": str(self.file)},
            "pg": self.postgres.profile,
            "maria": self.mariadb.profile,
            "duck": {"path": str(self.duck)},
            "snow": self.snowflake,
            "state": {"path": str(self.folder / "state.db")},
        }
        self.profiles = self.folder / "profiles.yml"
        self.profiles.write_text(yaml.safe_dump({"test": entries}))
        self.profiles.chmod(0o600)
        maria = self.mariadb.database
        self.legs: dict[str, tuple[str, str, str, dict[str, Any]]] = {
            "pg": ("SQLiteSource sqlite", "PostgresSink pg", "*", {}),
            "maria": ("PostgresSource pg", "MariaDBSink maria", "public.*", {"schemas": {"public": maria}}),
            "duck": ("MariaDBSource maria", "DuckDBSink duck", f"{maria}.*", {"into": "main"}),
            "snow": ("PostgresSource pg", "SnowflakeCopySink snow", "public.*", {"into": "PUBLIC"}),
        }

    def go(self, leg: str) -> int:
        """Carry everything over one leg; the exit code."""
        source, sink, include, conf = self.legs[leg]
        (source_type, source_env), (sink_type, sink_env) = source.split(), sink.split()
        conf = {"workers": 3, "exclude": OWN, "measure": True, **conf}
        reads = {"env": source_env, "include": [include]}
        link = {
            "source": {"name": source_env, "type": source_type, "conf": reads},
            "sink": {"name": f"{sink_env} ", "type": sink_type, "conf": {"env": sink_env}},
        }
        body = {
            "version": 1,
            "state_manager": {"type": "SQLiteStateManager", "conf": {"env": "state"}},
            "orchestrator": {"type": "AutoBatchOrchestrator", "conf": conf},
            "template_data_links": {"templates": [link]},
        }
        self.manifest(leg).write_text(yaml.safe_dump(body))
        code = self.hdm("run", str(self.manifest(leg)))
        self.notes = re.findall(r"note: (.*)", self.said)
        (counts,) = [re.sub(r"^\S+ -> \S+: ", "", note) for note in self.notes if " converted" in note] or [
            ""
        ]
        self.counts.setdefault(leg, counts)
        return code

    def reach(self, leg: str) -> int:
        """As ``go``, once, with the legs before it; PostgreSQL is told the comments after its leg."""
        for one in (*_BEFORE[leg], leg):
            if one not in self.codes:
                self.codes[one] = self.go(one)
                assert self.codes[one] == 0, self.said
                if one == "pg":
                    self.comment()
        return self.codes[leg]

    def source(self, leg: str) -> str:
        return self.legs[leg][0].split()[1]

    @cached_property
    def expected(self) -> dict[str, tuple[proof.Kinds, Counter[proof.Row]]]:
        """Table -> columns and rows of the file that everything begins with."""
        with closing(sqlite3.connect(self.file)) as connection:
            listed = connection.execute("SELECT name FROM pragma_table_list WHERE type = 'table'").fetchall()
        return self._rows(name for (name,) in listed if not name.startswith("sqlite_"))

    @cached_property
    def views(self) -> dict[str, tuple[proof.Kinds, Counter[proof.Row]]]:
        """View -> columns and rows, likewise."""
        return self._rows(self.public.views)

    def _rows(self, names: Iterable[str]) -> dict[str, tuple[proof.Kinds, Counter[proof.Row]]]:
        read = proof.of_sqlite(self.file)
        columns = {name: proof.kinds(self.postgres, name) for name in names}
        return {name: (found, proof.rows(read, name, found)) for name, found in columns.items()}

    def manifest(self, leg: str) -> Path:
        return self.folder / f"{leg}.yml"

    def fates(self, leg: str) -> dict[tuple[str, str], tuple[str, str]]:
        """(kind, name) -> (fate, reason) of what ``hdm catalog map`` says of a leg."""
        code = self.hdm("catalog", "map", str(self.manifest(leg)), "--out", str(self.folder / leg), "--json")
        assert code == 0, self.said
        found = json.loads((self.folder / leg / "report.json").read_text())
        return {(one["kind"], one["name"]): (one["status"], one["reason"]) for one in found["findings"]}

    def hdm(self, *words: str) -> int:
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as ended:
            main([*words, "-e", "test", "--profiles", str(self.profiles)])
        self.said = said.getvalue()
        return int(ended.value.code or 0)

    def comment(self) -> None:
        """Tell PostgreSQL what the makers say of their tables and columns."""
        from psycopg import sql

        with psycopg.connect(self.postgres.dsn, autocommit=True) as connection:
            there = {row[0] for row in connection.execute("SELECT relname FROM pg_class")}
            for table, (about, columns) in self.public.comments().items():
                if table not in there:  # an index for full-text search, which does not go along
                    continue
                place = sql.Identifier("public", table)
                if about:
                    connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(place, sql.Literal(about)))
                for column, text in columns.items():
                    where = sql.Identifier("public", table, column)
                    connection.execute(sql.SQL("COMMENT ON COLUMN {} IS {}").format(where, sql.Literal(text)))
