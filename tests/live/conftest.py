"""Nothing is collected here unless a live system is named; ``--report`` writes what was found as JSON.

The report holds neither data nor secrets: names of tests, what they show, the outcome, versions, and of a
failure the class of the error and the place in hdm from which it came; never its message, which may name a
server.
"""

from __future__ import annotations

import json
import os
import platform
import traceback
from pathlib import Path
from typing import Any

import pytest

from hdm._version import __version__
from tests.live import named

HERE = Path(__file__).parent
collect_ignore_glob = [] if any(name.startswith(named.PREFIX) for name in os.environ) else ["test_*.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--report", metavar="FILE", help="write the outcome of the live tests as JSON")


def pytest_configure(config: pytest.Config) -> None:
    if target := config.getoption("--report"):
        config.pluginmanager.register(Report(Path(target)))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of systems that are not named."""
    left = [one for one in items if one.path.parent == HERE and not _is_of_a_named_system(one)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [one for one in items if one not in left]


def _is_of_a_named_system(item: pytest.Item) -> bool:
    call_of = getattr(item, "callspec", None)
    return call_of is None or isinstance(call_of.params.get("system", ""), str)


def pytest_collection_finish(session: pytest.Session) -> None:
    """End before the first test, with a line for each, if a variable or a login is wrong."""
    asked = session.config.getoption("markexpr") == "live" and not session.config.getoption("collectonly")
    if asked and (found := named.mistakes(os.environ)):
        pytest.exit("nothing was tested\n" + "\n".join(found), returncode=2)


class Report:
    """Collects the outcome of each test and writes them at the end."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.results: dict[str, dict[str, Any]] = {}
        self.servers: dict[str, dict[str, str]] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        outcome = yield
        told = outcome.get_result()
        if told.when != "call" and told.passed:
            return
        call_of = getattr(item, "callspec", None)
        system = call_of.params.get("system") if call_of is not None else None
        if not isinstance(system, str):
            return
        mark = item.get_closest_marker("finding")
        entry = self.results.setdefault(
            item.nodeid,
            {"system": system, "test": item.name, "findings": list(mark.args) if mark else [],
             "outcome": "passed", "seconds": 0.0},
        )  # fmt: skip
        entry["seconds"] = round(entry["seconds"] + call.duration, 1)
        if not told.passed:
            entry["outcome"] = told.outcome if told.when == "call" else f"{told.outcome} in {told.when}"
            if call.excinfo is not None:
                entry["error"] = broken(call.excinfo.value)

    def pytest_sessionfinish(self) -> None:
        found = {
            "hdm": __version__,
            "python": platform.python_version(),
            "servers": self.servers,
            "results": sorted(self.results.values(), key=lambda one: (str(one["system"]), one["test"])),
        }
        self.target.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def broken(error: BaseException) -> dict[str, str]:
    """The class of an error, its code where the driver has one, and the last place in hdm that it passed."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "/hdm/" in one.filename]
    own = [f"hdm/{one.filename.rpartition('/hdm/')[2]}:{one.lineno}" for one in frames]
    told = {"class": type(error).__name__, "at": own[-1] if own else ""}
    cause = error.__cause__ or error.__context__
    for each in filter(None, (error, cause)):
        code = getattr(each, "sqlstate", None) or getattr(each, "errno", None)
        if isinstance(code, str | int):
            told["code"] = str(code)[:20]
    return told


@pytest.fixture
def report(request: pytest.FixtureRequest) -> dict[str, dict[str, str]]:
    """Versions by system, for the report; thrown away if none is written."""
    plugin = next(
        (one for one in request.config.pluginmanager.get_plugins() if isinstance(one, Report)), None
    )
    return plugin.servers if plugin is not None else {}
