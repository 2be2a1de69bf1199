"""Sessions that only look are used again while somebody plans, and never once anything went wrong."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from hdm.connectors.sqlite import SQLiteDatabase, SQLiteProfile
from hdm.sql.sessions import kept, looking


@pytest.fixture
def database(tmp_path: Path) -> SQLiteDatabase:
    made = SQLiteDatabase(SQLiteProfile(path=str(tmp_path / "a.db")))
    made.connect(write=True).close()
    return made


def is_open(connection: Any) -> bool:
    try:
        connection.execute("SELECT 1")
    except Exception:  # noqa: BLE001 -- what a closed one raises is the driver's affair
        return False
    return True


def test_outside_each_question_has_a_session_of_its_own(database: SQLiteDatabase) -> None:
    with looking(database, "a") as first:
        assert first.in_transaction
    with looking(database, "a") as second:
        assert second is not first
    assert not is_open(first) and not is_open(second)


def test_within_the_next_question_takes_the_last_ones_rolled_back(database: SQLiteDatabase) -> None:
    with kept():
        with looking(database, "a") as first, looking(database, "b") as beside:
            assert beside is not first
        assert not first.in_transaction
        with looking(database, "c") as third, kept():
            assert third is first or third is beside
        assert is_open(first) and is_open(beside)
    assert not is_open(first) and not is_open(beside)


def test_one_that_failed_is_closed(database: SQLiteDatabase) -> None:
    with kept():
        with pytest.raises(ValueError, match="x"), looking(database, "a") as first:
            raise ValueError("x")
        assert not is_open(first)
        with looking(database, "a") as second:
            assert second is not first


def test_another_profile_or_thread_gets_another(database: SQLiteDatabase, tmp_path: Path) -> None:
    other = SQLiteDatabase(SQLiteProfile(path=str(tmp_path / "a.db")))
    found: list[Any] = []

    def work() -> None:
        with looking(database, "b") as connection:
            found.append(connection)

    with kept():
        with looking(database, "a") as first:
            pass
        with looking(other, "a") as second:
            assert second is not first
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found[0] is not first and not is_open(found[0])


def test_where_an_open_session_keeps_writers_out_none_is_kept(
    database: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SQLiteDatabase, "sessions_stand_alone", False)
    with kept():
        with looking(database, "a") as first:
            pass
        assert not is_open(first)
