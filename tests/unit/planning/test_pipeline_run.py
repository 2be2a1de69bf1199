"""One pipeline in one run, beyond the picture of its phases (tests/test_architecture.py)."""

from __future__ import annotations

from dataclasses import replace

from hdm.errors import ConnectionLost
from hdm.planning.pipeline_run import Phase, PipelineRun
from hdm.planning.preflight import Pipeline, pipeline_of
from tests.unit.linkkit import TABLE, Listed, Run, Shelf, words


def below(run: Run, *upstream: str) -> Pipeline:
    return replace(pipeline_of(run.add(Listed(words(1)), Shelf()), TABLE), upstream_keys=upstream)


def test_one_that_waits_below_two_others_waits_for_both(run):
    one = PipelineRun("key")
    one.wait(below(run, "first"))
    one.wait(below(run, "second"))
    assert one.pipeline.upstream_keys == ("first", "second")


def test_one_that_was_closed_while_it_was_opened_stays_closed(run):
    one = PipelineRun("key")
    one.wait(below(run))
    one.close("success")
    one.opened()
    assert (one.phase, one.is_over, one.is_good) == (Phase.CLOSED, True, True)


def test_a_snapshot_is_needed_until_it_is_over_and_let_go_once(run):
    calls = []

    class Held:
        def close(self):
            calls.append(1)
            raise ConnectionLost("gone")

    one = PipelineRun("key", snapshot=Held())
    one.wait(below(run))
    assert one.needs_snapshot
    one.fail("why")
    assert not one.needs_snapshot
    one.release_snapshot()
    one.release_snapshot()
    assert calls == [1]
