"""What became of the objects of each crossing, to be shown when the tests are done."""

from __future__ import annotations

COUNTS: list[str] = []


def lines() -> list[str]:
    """For the summary; none if nothing crossed."""
    return ["", "whole schemas across systems", "-" * 28, *COUNTS] if COUNTS else []
