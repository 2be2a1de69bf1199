"""The file of a SQLite state database: several processes may open a new one at once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from hdm.state.db import sqlite_file


def test_a_log_is_kept_although_another_has_the_file_just_then(tmp_path: Path) -> None:
    path, asked = tmp_path / "s.db", []
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as mine,
    ):
        other.execute("CREATE TABLE t (a)")
        other.execute("BEGIN EXCLUSIVE")

        class Cursor:
            def execute(self, sql: str) -> sqlite3.Cursor:
                asked.append(sql)
                if len(asked) == 3:
                    other.execute("COMMIT")
                return mine.execute(sql)

        sqlite_file.keep_a_log(Cursor())
        assert len(asked) == 3
        assert mine.execute("PRAGMA journal_mode").fetchone() == ("wal",)
