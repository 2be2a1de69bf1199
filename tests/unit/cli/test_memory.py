"""The commands that move rows bound their memory first."""

from __future__ import annotations

import pytest

from hdm.cli import cli
from hdm.cli import run as run_module
from hdm.cli import work as work_module


class Bounded(Exception):
    pass


def bound() -> None:
    raise Bounded


@pytest.mark.parametrize("verb", ["run", "work"])
def test_memory_is_bounded_before_anything_else(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (run_module, work_module):
        monkeypatch.setattr(module, "bound_memory", bound)
    with pytest.raises(Bounded):
        cli.main(args=[verb, "no-such-manifest.yml", "-e", "test"], standalone_mode=False)
