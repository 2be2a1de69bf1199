"""The source that makes its rows up, and the sink that keeps none of them."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.connectors.dummy import DummySink, DummySource
from hdm.testing import SinkConformance, SourceConformance
from hdm.testing.sinks import ReadBack
from hdm.testing.sources import Rows, read_all


class TestSource(SourceConformance):
    @pytest.fixture
    def rows(self) -> Rows:
        return read_all(DummySource(DummySource.Config(rows=500, columns=9)))

    @pytest.fixture
    def subject(self) -> Source:
        return DummySource(DummySource.Config(rows=500, columns=9, chunk=70))

    @pytest.fixture
    def empty(self) -> Source:
        return DummySource(DummySource.Config(rows=0))


class TestSink(SinkConformance):
    gaps: ClassVar[dict[str, str]] = dict.fromkeys(
        (
            "rows_arrive_exactly", "every_batch_arrives", "chunks_add_up",
            "exploding_stream_leaves_nothing", "twice_is_once", "rivals_leave_one",
            "committed_tells_the_truth", "ledger_lists_the_chunk", "prepare_again_keeps_rows",
            "discard_spares_the_winner", "empty_chunk_counts", "replace_swaps_at_the_end",
            "merge_updates_by_key", "ledger_keeps_the_counts", "wide_rows_arrive",
            "writing_closes_what_it_opens",
        ),
        "it keeps nothing",
    )  # fmt: skip

    @pytest.fixture
    def subject(self) -> Sink:
        return DummySink(DummySink.Config())

    @pytest.fixture
    def read_back(self) -> ReadBack:
        def nothing(sink: Sink, table: Any) -> Rows:
            return []

        return nothing
