"""What the flows show at their end."""

from __future__ import annotations

from typing import Any

from tests.flows import crossings, histories
from tests.flows.chain.report import REPORT


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The chain's table and the crossings of whole schemas, if they ran."""
    for text in (*REPORT.lines(), *crossings.lines(), *histories.lines()):
        terminalreporter.write_line(text)
