"""SQL Server cannot run here: every statement and every table is compiled in its dialect."""

from __future__ import annotations

import itertools
import re

import pytest
from sqlalchemy import event, select
from sqlalchemy.dialects import mssql
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.schema import CreateIndex, CreateTable

from hdm.state.chunks import artifacts, claims, transitions, watermarks
from hdm.state.db import clock, legacy_view
from hdm.state.db.connect_args import settle_session
from hdm.state.db.database import Database, _transient
from hdm.state.db.statements import Prepared
from hdm.state.db.tables import metadata
from hdm.state.jobs import runs
from hdm.state.tx import named_leases, transaction

DIALECT = mssql.dialect()


def compiled(statement: object) -> str:
    core = getattr(statement, "statement", statement)
    return re.sub(r"\s+", " ", str(core.compile(dialect=DIALECT)))


def test_every_table_and_index() -> None:
    for table in metadata.sorted_tables:
        ddl = compiled(CreateTable(table))
        assert "IDENTITY" not in ddl
        assert not re.search(r"(?<!N)VARCHAR|\bTEXT\b", ddl)
        assert "Latin1_General_100_BIN2" in ddl
        widths = {c.name: getattr(c.type.dialect_impl(DIALECT), "length", None) for c in table.columns}
        for index in table.indexes:
            assert compiled(CreateIndex(index))
            assert sum((widths[c.name] or 4) * 2 for c in index.columns) <= 1700
        assert sum((widths[c.name] or 4) * 2 for c in table.primary_key.columns) <= 1700


def test_every_statement_of_the_hot_path() -> None:
    modules = (artifacts, claims, transaction, named_leases, runs, transitions, watermarks)
    found = {
        f"{module.__name__}.{name}": compiled(value)
        for module in modules
        for name, value in vars(module).items()
        if name.isupper()
        and name.startswith("_")
        and (isinstance(value, Prepared) or hasattr(value, "compile"))
        and not isinstance(value, re.Pattern)
    }
    assert len(found) >= 18
    for name, sql in found.items():
        assert "FOR UPDATE" not in sql, name
        assert "LIMIT" not in sql, name
    assert "WITH (UPDLOCK, ROWLOCK)" in found["hdm.state.tx.transaction._HEAD"]
    assert found["hdm.state.tx.transaction._HEAD_AND_CHUNK"].count("WITH (UPDLOCK, ROWLOCK)") == 3


@pytest.mark.slow
def test_claiming() -> None:
    for expired, sited, skipping, hold, plain in itertools.product((True, False), repeat=5):
        sql = compiled(claims._candidate(expired, sited, skipping, hold, plain))
        assert "TOP" in sql
        assert "SYSUTCDATETIME()" in sql
        assert sql.count("WITH (UPDLOCK, ROWLOCK)") == hold


def test_the_clock_and_the_view() -> None:
    sql = compiled(select(clock.now, clock.later))
    assert "DATETIME2(6)" in sql
    assert "DATEADD(millisecond" in sql
    assert legacy_view.create("mssql").startswith("CREATE OR ALTER VIEW state_manager AS")


class Session:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def cursor(self) -> Session:
        return self

    def execute(self, sql: str) -> None:
        self.said.append(sql)

    def close(self) -> None:
        pass


def test_no_statement_waits_for_ever_and_none_leaves_half_a_transaction() -> None:
    database = Database("mssql+pyodbc://u:p@h/d?driver=ODBC+Driver+18+for+SQL+Server")
    assert event.contains(database.engine, "connect", settle_session)
    database.close()
    session = Session()
    settle_session(session, None)
    assert session.said == ["SET XACT_ABORT ON; SET LOCK_TIMEOUT 20000"]


@pytest.mark.parametrize(("number", "passes"), [(1205, True), (3960, True), (40613, True), (2627, False)])
def test_what_passes_is_tried_again(number: int, passes: bool) -> None:
    origin = Exception("42000", f"[42000] [Microsoft] x 12 (it) ({number}) (SQLExecDirectW)")
    assert _transient(ProgrammingError("x", None, origin)) is passes


def test_the_clocks_text_has_a_fixed_width() -> None:
    """Style 126 shows 12:00:00 without its fraction, and "12:00:00Z" sorts after "12:00:00.5Z": a lease that
    ends then would be held for a second too long."""
    for moment in (clock.now, clock.later):
        sql = compiled(select(moment))
        assert "AS DATETIME2(6)), 121), ' ', 'T') + 'Z'" in sql and "126" not in sql
