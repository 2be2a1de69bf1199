"""SIGKILL at random times with 2 and 4 workers, and processes that are stopped and come back."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.crash.figures import FIGURES
from tests.crash.harness import KILLED, Hdm, Running, until
from tests.crash.invariants import inspect
from tests.crash.shop import Shop
from tests.crash.test_failpoints import recover
from tests.runner.sample import Sample

STATES = ("sqlite", "postgres", "mariadb")
ZOMBIES = (
    ("sqlite", "postgres", "C7:2"),
    ("sqlite", "postgres", "L2:2"),
    ("postgres", "mariadb", "L4:2"),
    ("postgres", "mariadb", "C3:2"),
    ("mariadb", "postgres", "L2:2"),
    ("mariadb", "sqlite", "C7:2"),
    ("sqlite", "postgres", "W2:1"),
    ("sqlite", "mariadb", "W2:1"),
)


@pytest.mark.draw("state, processes", [(state, count) for state in STATES for count in (2, 4)], 3)
def test_random_kills(
    state: str, processes: int, hdm: Hdm, make_shop: Callable[..., Shop], sample: Sample
) -> None:
    chance = random.Random(f"{sample.seed} {state} {processes}")
    for _ in range(20 if sample.whole else 1):
        shop = make_shop(state, workers=2)
        kills = 0
        for _ in range(4):
            kills += kill_some(hdm, shop, processes, chance)
        recover(hdm, shop)
        damage = inspect(shop)
        FIGURES.note(f"random, {processes} processes", kills, damage)
        assert not damage.any, f"{damage} in {shop.folder}, --seed {sample.seed}"


def kill_some(hdm: Hdm, shop: Shop, processes: int, chance: random.Random) -> int:
    """Start that many processes on the same manifest and kill each at its own random time."""
    running: list[Running] = [hdm.start(shop.args, shop.env) for _ in range(processes)]
    for one in running:
        time.sleep(chance.uniform(0.0, 0.6))
        one.signal(signal.SIGKILL)
    for one in running:
        one.wait()
    return sum(one.code == KILLED for one in running)


@pytest.mark.draw(("state", "target", "point"), ZOMBIES, 4)
def test_zombie(state: str, target: str, point: str, hdm: Hdm, make_shop: Callable[..., Shop]) -> None:
    """Stopped for longer than its lease, overtaken, and woken up again: it must touch nothing."""
    make = partial(make_shop, state, workers=1, target=target)
    shop, sleeper = put_to_sleep(hdm, make, f"{point}:stop")
    other = hdm.run(shop.args, shop.env, seconds=90)
    finished = other.code
    text = other.text()
    assert sleeper.signal(signal.SIGCONT)
    sleeper.wait(60)
    assert finished == 0, text
    recover(hdm, shop)
    damage = inspect(shop)
    FIGURES.note("zombies (SIGSTOP past the lease)", 1, damage)
    assert not damage.any, f"{damage} in {shop.folder}"


def put_to_sleep(hdm: Hdm, make: Callable[[], Shop], spec: str) -> tuple[Shop, Running]:
    """A shop and its process, stopped by the failpoint while it holds no SQLite file locked.

    SIGSTOP stops all threads; one that is in the middle of a SQLite transaction would hold the
    whole file locked until SIGCONT, for everybody, which is SQLite's nature and not the subject.
    ``make`` gives one worker only: a second could be stopped in the midst of a load, which
    others then wait for until the target ends it.
    """
    for _ in range(20):
        shop = make()
        sleeper = hdm.start(shop.args, {**shop.env, "HDM_FAILPOINT": spec})
        assert until(partial(is_stopped, sleeper.pid)), sleeper.text()
        if not any(is_locked(path) for path in shop.folder.glob("*.db")):
            return shop, sleeper
        sleeper.signal(signal.SIGKILL)
        sleeper.wait()
    raise AssertionError("the process was always stopped inside a transaction")


def is_locked(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path, timeout=0.05, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
    return False


def is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def test_sigterm_drains(hdm: Hdm, make_shop: Callable[..., Shop]) -> None:
    """Told to stop it exits with 143, holds no lease, and the next run has no wait."""
    shop = make_shop("sqlite")
    log = shop.folder / "slept.txt"
    slow = {"HDM_FAILPOINT": "C3:12:sleep:1.5", "HDM_FAILPOINT_LOG": str(log)}
    running = hdm.start(shop.args, {**shop.env, **slow})
    assert until(log.exists)
    running.signal(signal.SIGTERM)
    assert running.wait() == 143, running.text()
    held = "SELECT COUNT(*) FROM hdm_chunk WHERE lease_owner IS NOT NULL AND status = 'leased'"
    assert shop.state.query(held) == [(0,)]
    recover(hdm, shop)
    damage = inspect(shop)
    FIGURES.note("SIGTERM", 1, damage)
    assert not damage.any, damage
