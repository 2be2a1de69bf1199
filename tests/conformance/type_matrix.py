"""Moves every awkward value from each system to each sink, and says what became of it.

``python -m tests.conformance.type_matrix`` starts the servers and writes docs/reference/types.md.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hdm.connectors.local import FSSink
from hdm.dialects.types import Fidelity
from hdm.errors import HdmError, RejectedRows, TransientError, UnrepresentableValue, UnsupportedType
from hdm.model import Attempt, Column, Kind, Mode, Table
from tests.conformance import systems
from tests.conformance.awkward_values import canonical, csv_cells, jsonl_cells, parquet_cells
from tests.conformance.systems import System

CASES = Path(__file__).resolve().parents[1] / "fixtures" / "types"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "types.md"
SOURCES = ("sqlite", "postgres", "mysql", "duckdb")
FILES = ("parquet", "csv", "jsonl")
SINKS = (*SOURCES, *FILES)
TITLES = {"sqlite": "SQLite", "postgres": "PostgreSQL", "mysql": "MariaDB", "duckdb": "DuckDB",
          "parquet": "Parquet", "csv": "CSV", "jsonl": "JSON Lines"}  # fmt: skip
HOSTILE_DEFAULTS = (
    "timezone TO 'America/New_York'",
    "datestyle TO 'SQL, DMY'",
    "extra_float_digits TO 0",
    "bytea_output TO 'escape'",
)
"""What a DBA may have set for a database; hdm's sessions must not depend on it."""
REFUSALS = (UnrepresentableValue, RejectedRows, UnsupportedType)


@dataclass
class Case:
    """One column: its native type, and its values as labelled SQL."""

    name: str
    native: str
    values: dict[str, str] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, str]]:
        """NULL first, and the first value again as a tie."""
        first = next(iter(self.values.values()))
        return [("NULL", "NULL"), *self.values.items(), ("tie", first)]


@dataclass
class Fate:
    """What became of one column on the way from one system to one sink."""

    stored: str = ""
    declared: Fidelity = Fidelity.EXACT
    why: str = ""
    refused: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    undeclared: list[str] = field(default_factory=list)


def cases(system: str) -> list[Case]:
    found: list[Case] = []
    for line in (CASES / f"{system}.case").read_text("utf-8").splitlines():
        if line.startswith("[") and line.endswith("]"):
            found.append(Case(f"c{len(found)}", line[1:-1]))
        elif line and not line.startswith("#"):
            label, _, sql = line.partition(" = ")
            found[-1].values[label] = sql
    return found


def fill(system: System) -> None:
    """Create ``awk`` with a column for each case, and one row for each value's number."""
    if system.name == "postgres":
        system.run("CREATE TYPE mood AS ENUM ('sad', 'übel')")
        name = system.run("SELECT current_database()")[0][0]
        for setting in HOSTILE_DEFAULTS:
            system.run(f"ALTER DATABASE {name} SET {setting}")
    known = cases(system.name)
    columns = ", ".join(f"{case.name} {nullable(system, case.native)}" for case in known)
    system.run(f"CREATE TABLE awk (id BIGINT NOT NULL PRIMARY KEY, {columns})")
    for number in range(max(len(case.rows()) for case in known)):
        values = [case.rows()[number][1] if number < len(case.rows()) else "NULL" for case in known]
        system.run(f"INSERT INTO awk VALUES ({number}, {', '.join(values)})")


def nullable(system: System, native: str) -> str:
    return f"{native} NULL" if system.name == "mysql" else native


# -- reading, by each system's own SQL -------------------------------------------------


def shown(system: System, name: str, column: Column) -> str:
    """SQL that shows a column's exact value in this system."""
    quoted = system.dialect.quote(column.name)
    if system.name == "postgres" and column.kind is Kind.BINARY:
        return f"encode({quoted}, 'hex')"
    if system.name == "postgres":
        exact = f"{quoted}::numeric" if column.native == "money" else quoted
        return f"CASE WHEN {quoted} IS NOT NULL THEN concat({exact}, '') END"
    if system.name == "mysql" and column.kind is Kind.BIT and column.native.startswith("bit"):
        return f"LPAD(BIN({quoted}), {column.length}, '0')"
    if system.name == "mysql" and column.native == "point":
        return f"HEX({quoted})"
    if system.name == "mysql" and column.kind in (Kind.FLOAT32, Kind.FLOAT64):
        return f"({quoted} + 0e0)"
    if system.name == "mysql" and column.kind is not Kind.BINARY:
        return f"CAST({quoted} AS CHAR)"
    if system.name == "duckdb" and column.kind not in (Kind.BINARY, Kind.FLOAT32, Kind.FLOAT64):
        return f"CAST({quoted} AS VARCHAR)"
    return quoted


def read(system: System, name: str, columns: list[Column]) -> dict[tuple[int, str], Any]:
    """Every value of a table, by row and column."""
    sql = ", ".join(shown(system, name, column) for column in columns)
    connection = system.connect()
    try:
        cursor = connection.cursor()
        for statement in () if system.name == "mysql" else system.dialect.session:
            cursor.execute(statement)
        cursor.execute(f"SELECT id, {sql} FROM {name}")
        rows = cursor.fetchall()
    finally:
        connection.close()
    return {
        (int(row[0]), column.name): value.hex() if isinstance(value, bytes) else value
        for row in rows
        for column, value in zip(columns, row[1:], strict=True)
    }


# -- moving ------------------------------------------------------------------------------


@dataclass
class Target:
    """One sink that takes tables under names of their own."""

    name: str
    system: System | None
    folder: Path
    number: int = 0

    def sink(self) -> Any:
        self.number += 1
        if self.system is not None:
            return self.system.sink(table_name=f"{self.name[:2]}_{self.number}", key=[])
        conf = FSSink.Config(directory=str(self.folder / str(self.number)), file_format=self.name)
        return FSSink(conf, name="files")

    def take(self, source: Any) -> dict[tuple[int, str], Any]:
        """Move the source's rows into a new table, trying again as a worker would; what is there then."""
        for _ in range(4):
            with suppress(TransientError):
                return self.once(source)
        return self.once(source)

    def once(self, source: Any) -> dict[tuple[int, str], Any]:
        """One try."""
        sink, table = self.sink(), source.describe()
        job = f"matrix {self.number}"
        sink.prepare(table, job, 1, Mode.APPEND)
        receipts = []
        for chunk in source.split(table, source.window(), job, None):
            receipt = sink.write(table, chunk, Attempt(1), source.read(table, chunk), Mode.APPEND)
            receipts.append(sink.publish(table, chunk, receipt))
        if self.system is not None:
            target = sink.target(table)
            kept = [column for column in target.columns if column.name != "id"]
            return read(self.system, target.path[-1], kept)
        return {key: value for receipt in receipts for key, value in self._cells(sink, receipt, table)}

    def _cells(self, sink: Any, receipt: Any, table: Table) -> Iterator[tuple[tuple[int, str], Any]]:
        for file in receipt.files:
            path = sink.store.path(sink.store.key(file.uri))
            if self.name == "jsonl":
                cells = jsonl_cells(path, table.columns)
            else:
                cells = parquet_cells(path) if self.name == "parquet" else csv_cells(path)
            for name in cells:
                for number, value in zip(cells["id"], cells[name], strict=True):
                    yield (int(number), name), value


def stored(target: Target, column: Column) -> Fate:
    """What the sink declares of a column."""
    if target.system is None:
        return Fate(str(column.type))
    made = target.system.dialect.stored(column)
    return Fate(made.native, made.fidelity, made.why)


def judge(source: System, target: Target) -> dict[str, Fate]:
    """Move all columns; those that refuse go again, value by value."""
    known = {case.name: case for case in cases(source.name)}
    table: Table = source.source("awk").describe()
    before = read(source, "awk", [column for column in table.columns if column.name != "id"])
    fates = {name: stored(target, table.column(name)) for name in known}
    together, alone = list(known), []
    while True:
        try:
            after = target.take(source.source("awk", columns=["id", *together]))
            break
        except HdmError as error:
            name = named(error, together)
            assert name, f"{source.name} -> {target.name}: no column is named in: {error!r}"
            together.remove(name)
            alone.append(name)
    for name in together:
        for number, (label, _) in enumerate(known[name].rows()):
            compare(fates[name], label, table.column(name), before[number, name], after[number, name])
    for number in range(max((len(known[name].rows()) - 1 for name in alone), default=0)):
        labels = {
            name: known[name].rows()[number][0] for name in alone if number < len(known[name].rows()) - 1
        }
        one_by_one(source, target, number, labels, table, before, fates)
    return fates


def one_by_one(
    source: System,
    target: Target,
    number: int,
    labels: dict[str, str],
    table: Table,
    before: dict[tuple[int, str], Any],
    fates: dict[str, Fate],
) -> None:
    """One row of the columns that refuse some value; those that refuse this one step aside."""
    left = list(labels)
    while left:
        try:
            after = target.take(source.source("awk", columns=["id", *left], where=f"id = {number}"))
        except HdmError as error:
            name = named(error, left)
            assert name, f"{source.name} -> {target.name}: no column is named in: {error!r}"
            refused(fates[name], labels[name], error)
            left.remove(name)
        else:
            for name in left:
                compare(
                    fates[name], labels[name], table.column(name), before[number, name], after[number, name]
                )
            return


def named(error: HdmError, names: list[str]) -> str | None:
    found = re.findall(r"\bc\d+\b", error.message)
    return next((name for name in found if name in names), None)


def refused(fate: Fate, label: str, error: HdmError) -> None:
    """A refusal is honest if it is permanent and names the column."""
    if label == "NULL" or not isinstance(error, REFUSALS):
        fate.undeclared.append(f"{label}: {type(error).__name__}: {error.message}")
    else:
        fate.refused.append(label)


def compare(fate: Fate, label: str, column: Column, before: Any, after: Any) -> None:
    was, now = canonical(before, column), canonical(after, column)
    if was == now:
        return
    only_sign = column.kind in (Kind.FLOAT32, Kind.FLOAT64) and {was, now} == {"-0.0", "0.0"}
    if fate.declared is Fidelity.LOSSY or (only_sign and fate.declared is Fidelity.APPROXIMATED):
        fate.altered.append(label)
    else:
        fate.undeclared.append(f"{label}: {str(was)[:60]!r} became {str(now)[:60]!r}")


# -- the page ------------------------------------------------------------------------------

HEAD = """# Types

What becomes of each type on its way from one system to another: every type below, with the values that
tools like to damage (extremes, NULL, ties, NUL, newlines, quotes, NaN, infinities, dates before Christ and
beyond year 9999, zero dates), was moved by hdm and read back by the target's own SQL. Written by
`python -m tests.conformance.type_matrix` (or `make types-page`) from the test; do not edit.

- **exact**: every value is there unaltered; behind it the type it has there, if it is another.
- **weaker**: every value is there unaltered, but the declaration says less: why, stands behind it.
- **lossy**: values may change; the plan shows it, and refuses unless the link says `allow_loss`.
- **refuses**: these values stop their chunk, with an error that names the column. None is altered.
"""


def cell(fate: Fate, native: str) -> str:
    words = {Fidelity.EXACT: "exact", Fidelity.APPROXIMATED: "weaker", Fidelity.LOSSY: "lossy"}[fate.declared]
    as_what = f" as {fate.stored}" if fate.stored.lower() != native.lower() else ""
    text = words + as_what
    if fate.why:
        text += f" ({fate.why})"
    if fate.altered:
        text += f"; alters {', '.join(fate.altered)}"
    if fate.refused:
        text += f"; refuses {', '.join(fate.refused)}"
    return text.replace("|", "\\|")


def page(results: dict[tuple[str, str], dict[str, Fate]]) -> str:
    parts = [HEAD]
    for source in SOURCES:
        parts.append(f"## From {TITLES[source]}\n")
        parts.append(
            "| type | " + " | ".join(TITLES[sink] for sink in SINKS) + " |\n|" + "---|" * (len(SINKS) + 1)
        )
        for case in cases(source):
            row = [cell(results[source, sink][case.name], case.native) for sink in SINKS]
            parts[-1] += f"\n| `{case.native or '(none)'}` | " + " | ".join(row) + " |"
        parts[-1] += "\n"
    return "\n".join(parts)


def run(make: Callable[[str], System], folder: Path) -> dict[tuple[str, str], dict[str, Fate]]:
    """Every pair. ``make`` gives a fresh, empty system."""
    results = {}
    targets = {name: make(name) for name in SOURCES}
    for source_name in SOURCES:
        source = make(source_name)
        fill(source)
        for sink_name in SINKS:
            target = Target(sink_name, targets.get(sink_name), folder / source_name / sink_name)
            target.number = 1000 * SOURCES.index(source_name)
            results[source_name, sink_name] = judge(source, target)
    return results


def main() -> None:
    """Write the page."""
    away_from_greenwich()
    from tests.servers import mariadb, postgres

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {
            "postgres": stack.enter_context(postgres.running()),
            "mysql": stack.enter_context(mariadb.running()),
        }
        PAGE.write_text(
            page(run(maker(servers["postgres"].fresh, servers["mysql"].fresh, folder), folder)), "utf-8"
        )


def away_from_greenwich() -> None:
    """Let this process live in a zone with a half hour."""
    os.environ["TZ"] = "Asia/Kolkata"
    time.tzset()


def maker(fresh_postgres: Any, fresh_mariadb: Any, folder: Path) -> Callable[[str], System]:
    def make(name: str) -> System:
        if name == "postgres":
            return systems.postgres_system(fresh_postgres())
        if name == "mysql":
            return systems.mariadb_system(fresh_mariadb())
        place = Path(tempfile.mkdtemp(dir=folder))
        return systems.sqlite_system(place) if name == "sqlite" else systems.duckdb_system(place)

    return make


if __name__ == "__main__":
    main()
