"""How tests are spread over the test processes: a file stays in one, a slow suite's tests do not."""

from __future__ import annotations

from typing import Any

import pytest

APART = ("tests/crash/", "tests/flows/")
"""Slow suites: each test goes to the process that is free."""
TOGETHER = ("tests/flows/test_chain.py", "tests/flows/test_catalog_journey.py")
"""Files in them whose tests share what is dear to make."""


def by_file(config: pytest.Config, log: Any) -> Any:
    """A scheduler of xdist that hands out files, and single tests of the suites in ``APART``."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return nodeid if path.startswith(APART) and path not in TOGETHER else path

    config.option.loadscopereorder = False  # as collected: the slow suites come before the units
    return Scheduling(config, log)
