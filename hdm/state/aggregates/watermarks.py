"""The watermarks in the state database."""

from __future__ import annotations

from collections import Counter

from hdm.state.aggregates.base import Aggregate
from hdm.state.chunks import watermarks
from hdm.state.records import Watermark


class Watermarks(Aggregate):
    """Returns how far pipelines have read; used as ``StateManager.watermarks``."""

    def current(self, pipeline_key: str) -> Watermark | None:
        """Return the cursor value up to which all rows are committed; None if nothing is committed."""
        return watermarks.current(self._base, pipeline_key)

    def seen(self, pipeline_key: str, kind: str) -> Counter[str]:
        """Return the digests of committed rows whose values new rows may have too, with their numbers.

        ``kind`` chooses the rows: 'point' are those at the watermark, 'null' those with a NULL cursor.
        """
        return watermarks.seen(self._base, pipeline_key, kind)
