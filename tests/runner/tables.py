"""Tables that suites fill while they run and that are shown at the end, whichever process ran them."""

from __future__ import annotations

import pickle
from typing import Any, Protocol, Self, TypeVar

import pytest


class Table(Protocol):
    """What a suite counts."""

    def merge(self, other: Self) -> None:
        """Add what another process has counted."""

    def lines(self) -> list[str]:
        """The table as text; empty if nothing was counted."""


T = TypeVar("T", bound=Table)
_tables: dict[str, Table] = {}


def show_at_the_end(name: str, table: T) -> T:
    """Register a table; call it where the table is made."""
    _tables[name] = table
    return table


class Tables:
    """Takes the tables of test processes together and prints them."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["tables"] = pickle.dumps(_tables)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        sent = getattr(node, "workeroutput", {}).get("tables")
        for name, table in pickle.loads(sent).items() if sent else ():
            if name in _tables and _tables[name] is not table:
                _tables[name].merge(table)
            else:
                _tables[name] = table

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for _, table in sorted(_tables.items()):
            for text in table.lines():
                terminalreporter.write_line(text)
