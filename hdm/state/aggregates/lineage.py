"""Defines ``Lineage``, the methods of the state database about lineage: where rows came from and went to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hdm.state.aggregates.base import Aggregate
from hdm.state.chunks import lineage
from hdm.state.queries import row_lineage


class Lineage(Aggregate):
    """Returns where rows came from and went to; used as ``StateManager.lineage``."""

    def of_table(self, name: str) -> list[dict[str, Any]]:
        """Return the lineage edges into and out of a dataset, over at most 20 hops, as dictionaries.

        Each has two datasets, from and to. ``name`` is the dataset's full name or its end after a dot; empty
        if there is no such dataset. ``hops`` is below 0 for where rows came from, above 0 for where they
        went.
        """
        return lineage.of_table(self._base, name)

    def of_columns(self, name: str) -> list[dict[str, Any]]:
        """Return the lineage edges of the columns of a dataset, upstream and downstream, as dictionaries.

        ``name`` is the dataset's full name or its end after a dot; empty if there is no such dataset.
        """
        return lineage.of_columns(self._base, name)

    def of_chunk(self, chunk_id: str) -> list[dict[str, Any]]:
        """Return a chunk and the chunks from which its rows were made, nearest first, at most 20 in all.

        Empty if the chunk is not recorded.
        """
        return lineage.of_chunk(self._base, chunk_id)

    def of_rows(self, datasets: Sequence[str]) -> list[dict[str, Any]]:
        """Return the chunks whose rows datasets of these full names hold, each with those it was made of.

        In mode ``replace`` only those of the last reading that was closed. See
        ``hdm.state.queries.row_lineage.chunks_into``.
        """
        return row_lineage.newest_of_replaced(row_lineage.chunks_into(self._base, datasets))
