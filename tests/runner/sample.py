"""Draws a few cases out of a matrix that is too large for each run.

The seed is the commit's, unless ``--seed`` gives another: the same commit draws the same cases, the
next one others, and a case that failed can be had again. ``--long`` takes the whole matrix.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]


def seed_of_the_commit() -> str:
    """The id of the newest commit, shortened; ``none`` outside a clone."""
    asked = ["git", "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "none"


class Sample:
    """What to take of each matrix in this run."""

    def __init__(self, seed: str, *, whole: bool) -> None:
        self.seed, self.whole = seed, whole

    def of(self, key: str, cases: Sequence[T], count: int = 1) -> list[T]:
        """``count`` of ``cases``, in their order, drawn for ``key``; all of them under ``--long``."""
        if self.whole or len(cases) <= count:
            return list(cases)
        drawn = random.Random(f"{self.seed} {key}").sample(range(len(cases)), count)
        return [cases[n] for n in sorted(drawn)]


def of_config(config: pytest.Config) -> Sample:
    """The sample of this run; test processes take the controlling process's seed."""
    given = getattr(config, "workerinput", {}).get("seed") or config.getoption("--seed")
    if given is None:
        given = seed_of_the_commit()
        config.option.seed = given
    return Sample(str(given), whole=bool(config.getoption("--long")))
