"""A folder with a source, a manifest and profiles, and hdm commands run in it, in this process."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hdm.cli import main
from hdm.errors import SchemaOutOfDate
from hdm.state import StateManager

ROOT = Path(__file__).resolve().parents[2]
TABLES = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, cents INTEGER, changed INTEGER);
CREATE TABLE items (order_id INTEGER NOT NULL, line INTEGER NOT NULL, what TEXT,
  PRIMARY KEY (order_id, line));
"""


@dataclass(frozen=True)
class Done:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each line of standard output, as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Place:
    """One project: ``work.db`` to read from, ``stage`` and ``target.db`` to write to."""

    folder: Path
    manifest: dict[str, Any] = field(default_factory=dict)
    profiles: dict[str, Any] = field(default_factory=dict)

    tampered: bool = False
    """Whether the test changed the state database past hdm."""

    def __post_init__(self) -> None:
        self.source, self.target = self.folder / "source.db", self.folder / "target.db"
        self.stage, self.home = self.folder / "stage", self.folder / "home"
        self.profiles = {"src": {"path": str(self.source)}, "dst": {"path": str(self.target)}}

    @property
    def args(self) -> list[str]:
        return [str(self.folder / "m.yml"), "-e", "dev", "--profiles", str(self.folder / "p.yml")]

    @property
    def env(self) -> dict[str, str]:
        return {"HDM_HOME": str(self.home), "HDM_LEASE_TTL": "3", "PYTHONPATH": str(ROOT)}

    def write(self) -> Place:
        (self.folder / "m.yml").write_text(yaml.safe_dump(self.manifest, sort_keys=False))
        profiles = self.folder / "p.yml"
        profiles.write_text(yaml.safe_dump({"dev": self.profiles}))
        profiles.chmod(0o600)
        return self

    def hdm(self, *words: str, env: Mapping[str, str] | None = None) -> Done:
        """``hdm VERB ...`` on this project, in this process: ``words`` are the verb and options."""
        verb, *rest = words
        before = {"lineage": 1, "reload": 1, "catalog": 1}.get(verb, 0) + (verb in ("state", "quarantine"))
        done = run([verb, *rest[:before], *self.args, *rest[before:]], {**self.env, **(env or {})})
        if verb in ("run", "retry", "reload", "waive", "gc") and not self.tampered:
            self.trail_holds()
        return done

    def trail_holds(self) -> None:
        """Hold every table of the embedded state database against the events that tell of it."""
        file = self.home / ".hashmap_data_migrator" / "state.db"
        with contextlib.suppress(SchemaOutOfDate), contextlib.ExitStack() as stack:
            if file.exists():
                store = stack.enter_context(StateManager.open(f"sqlite:///{file}", create=False))
                breaks = store.trail.verify().breaks
                assert not breaks, [str(one) for one in breaks]

    def start(self, verb: str, *rest: str, **env: str) -> subprocess.Popen[str]:
        """The same as a process of its own."""
        return self.python(["-m", "hdm", verb, *self.args, *rest], env)

    def python(self, args: Sequence[str], env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """A Python process in this project's environment; its output goes to ``out.txt``."""
        with (self.folder / "out.txt").open("a") as out:
            return subprocess.Popen(
                [sys.executable, *args],
                env={**os.environ, **self.env, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                text=True,
            )

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> bool:
        """Wait until it is true; whether it became so in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(sqlite3.OperationalError):
                if condition():
                    return True
            time.sleep(0.1)
        return False

    def sql(self, statement: str, rows: Sequence[Sequence[Any]] | None = None) -> list[tuple[Any, ...]]:
        """Run SQL at the source."""
        return on_sqlite(self.source, statement, rows)

    def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """What the target holds, sorted."""
        return sorted(on_sqlite(self.target, f"SELECT {columns} FROM {table}"), key=repr)

    def source_rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        return sorted(self.sql(f"SELECT {columns} FROM {table}"), key=repr)

    def files(self) -> set[str]:
        """Everything there is in the folder, by relative path."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}

    def state(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the embedded state database, or change it past hdm."""
        self.tampered |= not statement.lstrip().upper().startswith("SELECT")
        return on_sqlite(self.home / ".hashmap_data_migrator" / "state.db", statement)


def on_sqlite(
    path: Path, statement: str, rows: Sequence[Sequence[Any]] | None = None
) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        if rows is not None:
            connection.executemany(statement, rows)
            return []
        return connection.execute(statement).fetchall()


def shop(folder: Path, orders: int = 250, items: int = 60) -> Place:
    """Two tables and a manifest SQLite -> files -> SQLite; ``orders`` has ties and NULLs in ``changed``."""
    place = Place(folder)
    with contextlib.closing(sqlite3.connect(place.source)) as connection:
        connection.executescript(TABLES)
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?)",
            [(n, f"c{n % 7}", n * 100, None if n % 50 == 0 else n // 7) for n in range(orders)],
        )
        connection.executemany(
            "INSERT INTO items VALUES (?, ?, ?)", [(n // 3, n % 3, f"t{n}") for n in range(items)]
        )
        connection.commit()
    place.manifest = {
        "version": 1,
        "orchestrator": {"type": "DeclaredOrchestrator", "conf": {"workers": 2}},
        "declared_data_links": {
            "stages": [
                stage("orders", place, watermark={"column": "changed"}),
                stage("items", place),
                load(place),
            ]
        },
    }
    return place.write()


def stage(table: str, place: Place, **conf: Any) -> dict[str, Any]:
    """A link that stages one table of the source."""
    own = {"env": "src", "table_name": table, "chunk": {"rows": 50}, **conf}
    return {
        "source": {"name": f"src_{table}", "type": "SQLiteSource", "conf": own},
        "sink": {"name": "files", "type": "FSSink", "conf": {"directory": str(place.stage)}},
    }


def load(place: Place, **conf: Any) -> dict[str, Any]:
    """The link that loads whatever was staged."""
    return {
        "source": {"name": "files", "type": "FSSource", "conf": {"directory": str(place.stage)}},
        "sink": {"name": "dst", "type": "SQLiteSink", "conf": {"env": "dst", **conf}},
    }


def direct(place: Place, table: str, sink: str = "SQLiteSink", **conf: Any) -> dict[str, Any]:
    """A link straight from the source's table into the target."""
    own = {"env": "src", "table_name": table, "chunk": {"rows": 50}, **conf}
    return {
        "source": {"name": "src", "type": "SQLiteSource", "conf": own},
        "sink": {"name": "dst", "type": sink, "conf": {"env": "dst"}},
    }


def only(place: Place, *links: dict[str, Any]) -> Place:
    """The project with these links instead."""
    place.manifest["declared_data_links"] = {"stages": list(links)}
    return place.write()


def run(args: Sequence[str], env: Mapping[str, str]) -> Done:
    """``hdm ARGS`` in this process; logging and environment are as before afterwards."""
    out, err = io.StringIO(), io.StringIO()
    with _environment(env), _logging(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(list(args))
            code: Any = 0
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int)
    return Done(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _environment(env: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.pop("COLUMNS", None)  # xdist sets it: output would be folded as on a narrow screen
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for made in set(root.handlers) - set(handlers):
            made.close()
        root.handlers[:] = handlers
        root.setLevel(level)
