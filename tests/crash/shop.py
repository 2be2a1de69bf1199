"""The pipeline that is killed: three tables of a shop, SQLite -> Parquet files -> a database.

``orders`` has a watermark with ties and NULLs, ``items`` a composite key and no watermark,
``stock`` is replaced as a whole. Small chunks make every boundary come many times.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TABLES = ("orders", "items", "stock")
ROWS = {"orders": 140, "items": 90, "stock": 60}
CHUNK = 30


@dataclass(frozen=True)
class Target:
    """Where the rows go: the sink's type, its profile entry, and how to query it.

    ``quote`` stands around names where bare ones are read in another case.
    """

    name: str
    sink: str
    profile: dict[str, Any]
    query: Callable[[str], list[tuple[Any, ...]]]
    quote: str = ""

    def names(self, listed: str) -> str:
        """``a, b`` as its SQL wants them."""
        return ", ".join(f"{self.quote}{name}{self.quote}" for name in listed.split(", "))

    def has(self, table: str) -> bool:
        """Whether the table is there: a run that lost it has not even left an empty one."""
        if self.name == "sqlite":
            return bool(self.query(f"SELECT 1 FROM sqlite_master WHERE name = '{table}'"))
        schema = "DATABASE()" if self.name == "mariadb" else "CURRENT_SCHEMA()"
        where = f"table_schema = {schema} AND table_name = '{table}'"
        return bool(self.query(f"SELECT 1 FROM information_schema.tables WHERE {where}"))


@dataclass(frozen=True)
class State:
    """Where the state is: the manager's type, its profile entry, and how to query it."""

    name: str
    manager: str
    profile: dict[str, Any]
    query: Callable[[str], list[tuple[Any, ...]]]


@dataclass
class Shop:
    """A folder with a source, a manifest, profiles and a stage."""

    folder: Path
    state: State
    target: Target
    workers: int = 2

    def __post_init__(self) -> None:
        self.source = self.folder / "shop.db"
        self.stage = self.folder / "stage"
        self.manifest = self.folder / "manifest.yml"
        self.profiles = self.folder / "profiles.yml"
        self.stage.mkdir(parents=True)
        make_source(self.source)
        self.manifest.write_text(yaml.safe_dump(self._manifest(), sort_keys=False))
        self._write_profiles()

    def _write_profiles(self) -> None:
        entries = {
            "shop": {"path": str(self.source)},
            "state": self.state.profile,
            "target": self.target.profile,
        }
        self.profiles.write_text(yaml.safe_dump({"dev": entries}))
        os.chmod(self.profiles, 0o600)

    def lose_state(self, instead: State) -> None:
        """Go on with an empty state database, as after a restore that came too late."""
        self.state = instead
        self._write_profiles()

    @property
    def args(self) -> list[str]:
        return [str(self.manifest), "-e", "dev", "--profiles", str(self.profiles)]

    @property
    def env(self) -> dict[str, str]:
        return {"HDM_HOME": str(self.folder), "HDM_LEASE_TTL": "3", "HDM_FAILPOINT": ""}

    def _manifest(self) -> dict[str, Any]:
        stages = []
        for table in TABLES:
            conf: dict[str, Any] = {"env": "shop", "table_name": table, "chunk": {"rows": CHUNK}}
            if table == "orders":
                conf["watermark"] = {"column": "changed"}
            mode = {"mode": "replace"} if table == "stock" else {}
            stage = f"stage_{table}"
            stages.append(
                {
                    **mode,
                    "source": {"name": f"shop_{table}", "type": "SQLiteSource", "conf": conf},
                    "sink": {"name": stage, "type": "FSSink", "conf": {"directory": str(self.stage)}},
                }
            )
            sink = {"env": "target", "row_lineage": True}
            stages.append(
                {
                    **mode,
                    "source": {"name": stage, "type": "FSSource", "conf": {"directory": str(self.stage)}},
                    "sink": {"name": f"target_{table}", "type": self.target.sink, "conf": sink},
                }
            )
        return {
            "version": 1,
            "orchestrator": {"type": "DeclaredOrchestrator", "conf": {"workers": self.workers}},
            "state_manager": {"type": self.state.manager, "connection": "state"},
            "declared_data_links": {"stages": stages},
        }

    def rows_of_source(self, table: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.source) as connection:
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()
        connection.close()
        return sorted(rows, key=repr)

    def rows_of_target(self, table: str) -> list[tuple[Any, ...]]:
        names = {
            "orders": "id, customer, cents, note, changed",
            "items": "order_id, line, what",
            "stock": "sku, count",
        }
        if not self.target.has(table):
            return []
        origin = self.target.names(table)
        columns = self.target.names(names[table])
        return sorted(map(tuple, self.target.query(f"SELECT {columns} FROM {origin}")), key=repr)

    def add_orders(self, first: int, count: int, changed: int | None) -> None:
        with sqlite3.connect(self.source) as connection:
            connection.executemany(
                "INSERT INTO orders VALUES (?, ?, ?, ?, ?)",
                [(first + n, f"c{n % 7}", n * 100, None, changed) for n in range(count)],
            )
        connection.close()


def make_source(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, cents INTEGER, note TEXT,"
            " changed INTEGER);"
            "CREATE TABLE items (order_id INTEGER NOT NULL, line INTEGER NOT NULL, what TEXT,"
            " PRIMARY KEY (order_id, line));"
            "CREATE TABLE stock (sku TEXT PRIMARY KEY, count INTEGER);"
        )
        orders = [
            (n, f"c{n % 7}", n * 100, None if n % 5 else f"note '{n}'", None if n % 23 == 0 else n // 4)
            for n in range(ROWS["orders"])
        ]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", orders)
        items = [(n // 3, n % 3, f"thing {n}\n") for n in range(ROWS["items"])]
        connection.executemany("INSERT INTO items VALUES (?, ?, ?)", items)
        stock = [(f"sku-{n:04}", n * n) for n in range(ROWS["stock"])]
        connection.executemany("INSERT INTO stock VALUES (?, ?)", stock)
    connection.close()
