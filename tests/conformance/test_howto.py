"""docs/howto/write-a-source.md and write-a-sink.md: their code is typed, passes its suite, moves rows."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/howto/write-a-source.md"
SINK_PAGE = ROOT / "docs/howto/write-a-sink.md"
DAYS = (1, 2, 3, 5, 8, 9)


def shown(page: Path, folder: Path) -> Path:
    """The folder, with every file that the page shows."""
    for name, body in re.findall(r"```\w+\n# (\S+)\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        (folder / name).write_text(body, "utf-8")
    (folder / "profiles.yml").chmod(0o600)
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What the page on sources shows, and six days of orders."""
    shown(PAGE, tmp_path)
    (tmp_path / "days").mkdir()
    for day in DAYS:
        write_day(tmp_path, day)
    return tmp_path


def write_day(place: Path, day: int) -> None:
    (place / "days" / f"{day}.csv").write_text(f'day,item\n{day},"first, {day}"\n{day},\n', "utf-8")


def python(place: Path, *words: str, path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *path))), "HOME": str(place)}
    return subprocess.run(
        [sys.executable, *words], cwd=place, env=env, capture_output=True, text=True, timeout=300, check=False
    )


def move(place: Path, *path: Path) -> list[tuple[int, str]]:
    done = python(place, "-m", "hdm", "orders.yml", "-e", "dev", "--profiles", "profiles.yml", path=path)
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(place / "warehouse.db") as connection:
        rows = connection.execute("SELECT day, item FROM orders ORDER BY day, item").fetchall()
    connection.close()
    return rows


def expected(days: tuple[int, ...]) -> list[tuple[int, str]]:
    return [row for day in days for row in ((day, ""), (day, f"first, {day}"))]


def test_the_source_has_25_lines_at_most(place: Path) -> None:
    assert len([line for line in (place / "plant.py").read_text().splitlines() if line.strip()]) <= 25


def test_the_manifest_moves_each_day_once(place: Path) -> None:
    assert move(place) == expected(DAYS)
    assert move(place) == expected(DAYS)
    write_day(place, 12)
    assert move(place) == expected((*DAYS, 12))


def test_an_installed_plugin_is_found_by_its_entry_point(place: Path, tmp_path: Path) -> None:
    point = re.search(r"```toml\n# pyproject.toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert point is not None
    group, line = point[1].strip().splitlines()
    site = tmp_path / "site"
    info = site / "plant-1.0.dist-info"
    info.mkdir(parents=True)
    (place / "plant.py").rename(site / "plant.py")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plant\nVersion: 1.0\n")
    name = re.sub(r'.*"(.*)".*', r"\1", group)
    (info / "entry_points.txt").write_text(f"[{name}]\n{line.replace(chr(34), '')}\n")
    manifest = (place / "orders.yml").read_text()
    (place / "orders.yml").write_text(manifest.replace("plugins: [plant]\n", ""))
    assert move(place, site) == expected(DAYS)


def test_its_own_suite_passes(place: Path) -> None:
    done = python(place, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_plant.py", path=(place,))
    assert done.returncode == 0, done.stdout
    assert "failed" not in done.stdout and "passed" in done.stdout


def test_the_suite_catches_a_lost_row(place: Path) -> None:
    code = (place / "plant.py").read_text()
    (place / "plant.py").write_text(code.replace(".to_batches() if", ".slice(1).to_batches() if"))
    done = python(place, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_plant.py", path=(place,))
    assert done.returncode == 1
    assert "every_row_once" in done.stdout


# -- the page on sinks -----------------------------------------------------------------


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """What the page on sinks shows, and a shop with ten orders."""
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, cents INTEGER)")
        connection.executemany("INSERT INTO orders VALUES (?, ?)", [(n, n * 2) for n in range(10)])
    return shown(SINK_PAGE, tmp_path)


def suite(place: Path, name: str) -> subprocess.CompletedProcess[str]:
    return python(place, "-m", "pytest", "-q", "-p", "no:cacheprovider", name, path=(place,))


def stock(place: Path) -> subprocess.CompletedProcess[str]:
    return python(place, "-m", "hdm", "vault.yml", "-e", "dev", "--profiles", "profiles.yml")


def kept(place: Path) -> list[tuple[int, int]]:
    with contextlib.closing(sqlite3.connect(place / "vault.db")) as connection:
        return connection.execute("SELECT id, cents FROM orders ORDER BY id").fetchall()


def test_the_vault_gets_each_row_once(vault: Path) -> None:
    for _ in range(2):
        done = stock(vault)
        assert done.returncode == 0, done.stderr
        assert kept(vault) == [(n, n * 2) for n in range(10)]


def test_the_check_stops_a_chunk_before_anything_is_visible(vault: Path) -> None:
    with contextlib.closing(sqlite3.connect(vault / "shop.db")) as connection, connection:
        connection.execute("UPDATE orders SET cents = 7 WHERE id = 3")
    done = stock(vault)
    assert done.returncode == 1
    assert "EvenCents: 1 odd values in cents" in done.stderr
    assert kept(vault) == []


def test_the_sinks_suite_passes(vault: Path) -> None:
    done = suite(vault, "test_vault.py")
    assert done.returncode == 0, done.stdout
    assert "failed" not in done.stdout and "passed" in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong", "caught"),
    [
        ("            if winner is not None:", "            if False:", "twice_is_once"),
        ('vault.execute("BEGIN IMMEDIATE")', "pass", "exploding_stream_leaves_nothing"),
        ("payload.tally.complete(Receipt(chunk.chunk_id, attempt.number, count))",
         "Receipt(chunk.chunk_id, attempt.number, count)", "ledger_keeps_the_counts"),
        ("attempt.check()\n", "pass\n", "lost_lease_leaves_nothing"),
        ("(job_key,)).fetchall()", "('',)).fetchall()", "ledger_lists_the_chunk"),
        ("raise ConnectionLost(\"the vault cannot be opened\") from None", "raise", "errors_are_classified"),
        ("count += len(rows)", "count = len(rows)", "every_batch_arrives"),
    ],
    ids=lambda text: text if text.isidentifier() else "",
)  # fmt: skip
def test_the_sinks_suite_catches_what_the_page_warns_of(
    vault: Path, right: str, wrong: str, caught: str
) -> None:
    code = (vault / "vault.py").read_text()
    assert right in code
    (vault / "vault.py").write_text(code.replace(right, wrong))
    done = suite(vault, "test_vault.py")
    assert done.returncode == 1
    assert f"[{caught}]" in done.stdout
