"""What became of the objects of each crossing, to be shown when the tests are done."""

from __future__ import annotations

from tests.runner.tables import show_at_the_end


class Crossings(list[str]):
    """A line for each crossing of a whole schema."""

    def merge(self, other: Crossings) -> None:
        self += other

    def lines(self) -> list[str]:
        """For the summary; none if nothing crossed."""
        return ["", "whole schemas across systems", "-" * 28, *self] if self else []


COUNTS = show_at_the_end("crossings", Crossings())
