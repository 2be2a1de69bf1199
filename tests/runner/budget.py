"""Holds each folder of tests to its CPU seconds and shows the slowest tests.

``budget.toml`` beside this file says what each folder may take. CPU seconds are compared, not the
clock, and each test's are scaled by a yardstick that its process has measured shortly before, so that
other load on the machine, for all of the run or a part of it, counts little. What a database server
spends is not counted.
"""

from __future__ import annotations

import statistics
import tomllib
from collections import defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runner import cpu

FILE = Path(__file__).with_name("budget.toml")
TOLERANCE = 1.3
SLOWEST = 20
EVERY = 20
"""Tests between two looks at the yardstick."""
LOOKS = 3
"""Of so many looks the middle one counts."""


def folder_of(nodeid: str, budgets: dict[str, float]) -> str:
    """The longest folder with a budget that holds the test; the test's own folder if there is none."""
    path = nodeid.partition("::")[0]
    holding = [name for name in budgets if path.startswith(f"{name}/") or path == name]
    return max(holding, key=len, default=path.rpartition("/")[0])


class Meter:
    """In each process that runs tests: notes on a test's last report what the test has cost."""

    def __init__(self) -> None:
        self._tests = 0
        self._before = 0.0
        self._looks: deque[float] = deque(maxlen=LOOKS)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        self._before = cpu.spent()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[Any]) -> Iterator[None]:
        report: Any = yield
        if call.when == "teardown":
            report.cpu_seconds = cpu.spent() - self._before
            if self._tests % EVERY == 0:
                self._looks.append(cpu.yardstick())
            report.yardstick = statistics.median(self._looks)
            self._tests += 1
        return report


class Budget:
    """In the controlling process: adds up, compares, shows."""

    def __init__(self) -> None:
        said = tomllib.loads(FILE.read_text())
        self._usual: float = said["yardstick"]
        self._budgets: dict[str, float] = said["cpu_seconds"]
        self._tests: dict[str, float] = {}
        self._yardsticks: dict[str, float] = {}
        self._clock: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self._clock[report.nodeid] += report.duration
        if report.when == "teardown" and hasattr(report, "cpu_seconds"):
            self._tests[report.nodeid] = report.cpu_seconds
            self._yardsticks[report.nodeid] = report.yardstick

    @property
    def slowness(self) -> float:
        """How many times as long as usual this machine took for the same work, in the run's middle test."""
        return statistics.median(self._yardsticks.values()) / self._usual if self._yardsticks else 1.0

    def spent(self) -> dict[str, float]:
        """Folder -> CPU seconds as they would be on the machine of the budget."""
        sums: dict[str, float] = defaultdict(float)
        for nodeid, seconds in self._tests.items():
            slowness = self._yardsticks[nodeid] / self._usual
            sums[folder_of(nodeid, self._budgets)] += seconds / slowness
        return dict(sums)

    def over(self) -> list[str]:
        """What is wrong, a line for each folder."""
        lines = []
        for folder, seconds in self.spent().items():
            may = self._budgets.get(folder)
            if may is None:
                lines.append(f"{folder} has no budget: give it one in {FILE.name}")
            elif seconds > may * TOLERANCE:
                most = f"its budget is {may:.0f}, its limit {may * TOLERANCE:.0f}"
                lines.append(f"{folder} took {seconds:.0f} CPU s; {most}")
        return lines

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        done = yield
        if costs := session.config.getoption("--costs"):
            lines = [(self._clock[test], self._tests.get(test, 0), test) for test in self._clock]
            Path(costs).write_text("".join(f"{one:.2f}\t{spent:.2f}\t{name}\n" for one, spent, name in lines))
        whole = not session.config.getoption("--long")
        if whole and session.exitstatus == pytest.ExitCode.OK and self.over():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return done

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self._tests:
            return
        say = terminalreporter.write_line
        say("")
        say(f"the {SLOWEST} slowest tests (seconds by the clock, CPU seconds)")
        for nodeid in sorted(self._clock, key=self._clock.__getitem__, reverse=True)[:SLOWEST]:
            say(f"{self._clock[nodeid]:8.1f} {self._tests.get(nodeid, 0):8.1f}  {nodeid}")
        say(f"CPU seconds by folder (this machine: {self.slowness:.2f} x the usual time, set off)")
        for folder, seconds in sorted(self.spent().items()):
            say(f"{seconds:8.1f} of {self._budgets.get(folder, 0):6.0f}  {folder}")
        for line in self.over():
            say(f"OVER BUDGET: {line}", red=True)
