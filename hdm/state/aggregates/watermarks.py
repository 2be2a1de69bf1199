"""Defines ``Watermarks``, the methods of the state database about watermarks."""

from __future__ import annotations

from collections import Counter

from hdm.state.aggregates.base import Aggregate
from hdm.state.chunks import watermarks
from hdm.state.records import Watermark


class Watermarks(Aggregate):
    """Returns how far pipelines have read; used as ``StateManager.watermarks``."""

    def current(self, pipeline_key: str) -> Watermark | None:
        """Return a pipeline's newest watermark; None if nothing is committed.

        Its value is None if only rows with a NULL cursor are committed.
        """
        return watermarks.current(self._base, pipeline_key)

    def seen(self, pipeline_key: str, kind: str) -> Counter[str]:
        """Return the recorded digests of committed rows, each with its number of rows.

        ``kind`` chooses the rows: 'point' are those at the watermark, 'null' those without a place in the
        cursor's order. New rows may have the same cursor values, and are told from these by their digests.
        """
        return watermarks.seen(self._base, pipeline_key, kind)
