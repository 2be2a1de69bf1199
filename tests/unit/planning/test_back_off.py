"""Waits grow twofold up to a bound, and are drawn: many that failed at once do not come again at once."""

from __future__ import annotations

import pytest

from hdm.planning.back_off import FIRST, seconds


@pytest.mark.parametrize("times", [1, 2, 5, 40])
def test_a_wait_is_drawn_up_to_a_bound_that_doubles(times: int) -> None:
    drawn = [seconds(times, 60.0) for _ in range(300)]
    most = min(60.0, FIRST * 2 ** (times - 1))
    assert min(drawn) >= 0
    assert most / 2 < max(drawn) <= most
    assert len(set(drawn)) > 100
