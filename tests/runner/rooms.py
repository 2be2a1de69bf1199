"""Picks the tests of one room or one system: ``make test ROOM=state``, ``ROOM=snowflake``.

A test belongs to a room by the words of its path and parameters, by a server it asks for, or by the
table below. The crash suite is a room of its own.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = (
    "postgres",
    "mysql",
    "sqlite",
    "duckdb",
    "snowflake",
    "bigquery",
    "netezza",
    "oracle",
    "sqlserver",
    "odbc",
    "s3",
    "azure",
    "gcs",
    "sftp",
)
ALSO = {
    "files": ("test_local", "test_stores", "test_moves"),
    "mysql": ("mariadb",),
    "state": ("test_lost_state", "test_sites", "test_other_sites"),
    "planning": ("test_bad_input", "test_sites"),
    "sql": ("relational", "test_wrong_targets"),
    "catalog": ("test_catalogs", "test_catalog_auto_batch"),
    "cli": ("test_commands", "test_bad_input"),
    "testing": ("conformance",),
    "docs": ("test_howto", "test_docs"),
}
"""Words that count as the room's own."""
APART = ("crash", "flows", "conformance", "unit", "docs")


def known() -> list[str]:
    """The folders of hdm/, the systems, and the suites."""
    folders = {path.parent.name for path in (ROOT / "hdm").glob("*/__init__.py")}
    return sorted(folders | set(SYSTEMS) | set(APART))


def choose(room: str, items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """The tests of the room, and the others."""
    if room not in known():
        raise pytest.UsageError(f"no room {room!r}; there are: {', '.join(known())}")
    own = {room, *ALSO.get(room, ())}
    inside = [
        item for item in items if own & _words(item) and ("crash" not in _words(item) or room == "crash")
    ]
    kept = set(inside)
    return inside, [item for item in items if item not in kept]


def _words(item: pytest.Item) -> set[str]:
    path = item.path.relative_to(ROOT).with_suffix("")
    parts = [*path.parts, *(word for part in path.parts for word in part.split("_"))]
    asked = [name for name in getattr(item, "fixturenames", ()) if name.endswith("_server")]
    said = re.findall(r"[a-z0-9]+", item.name.partition("[")[2].lower())
    return {*parts, *(name.removesuffix("_server") for name in asked), *said}
