"""What one site sees of the others: who may publish, what is new, and for which links."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hdm.model import Attempt, LinkSpecs
from hdm.planning import other_sites
from hdm.planning.other_sites import OtherSites
from hdm.planning.planner import Planner
from hdm.planning.preflight import pipeline_key, preflight
from tests.unit.linkkit import TABLE, Listed, Run, Shelf, words


class Staged(Listed):
    chunks_from_files = True


class Two:
    """A chain of two links at two sites, and the planner of each."""

    def __init__(self, run: Run) -> None:
        self.run = run
        run.state.workers.retire(run.worker_id)  # the one of no site, who could do everything
        self.there_worker = run.new_worker("there")
        self.above = run.add(Listed(words(4)), Shelf("middle"), site="there")
        self.below = run.add(Staged(words(4)), Shelf("last"), site="here", upstream=(self.above.spec.key,))
        self.specs = LinkSpecs(link.spec for link in (self.above, self.below))
        self.there = self.planner(self.above)
        self.there.begin(preflight(self.there.links))

    def planner(self, link) -> Planner:
        own = {link.spec.key: link}
        return Planner(
            self.run.state, self.run.run_id, own, site=link.spec.site, specs=self.specs, joined=True
        )

    def seen(self) -> OtherSites:
        own = {self.below.spec.key: self.below}
        return OtherSites(self.run.state, self.run.run_id, own, self.specs)

    def publish(self) -> None:
        lease = self.run.state.chunks.claim(self.there_worker, self.run.run_id, site="there")
        self.run.move(lease, Attempt(lease.attempt), self.above)


def test_a_link_below_another_sites_is_fed_and_so_is_what_is_below_it(run):
    two = Two(run)
    third = run.add(Staged([]), Shelf("third"), site="here", upstream=(two.below.spec.key,))
    own = {two.below.spec.key: two.below, third.spec.key: third}
    free = run.add(Listed([]), Shelf("free"), site="here")
    own[free.spec.key] = free
    specs = {**two.specs, third.spec.key: third.spec, free.spec.key: free.spec}
    assert OtherSites(run.state, run.run_id, own, specs).fed == {two.below.spec.key, third.spec.key}


def test_others_may_publish_while_a_live_worker_of_theirs_has_its_link_to_do(run):
    two = Two(run)
    assert two.seen().may_publish(), "its job is not even opened"
    two.there.tick()
    assert two.seen().may_publish()
    for _ in range(2):
        two.publish()
    two.there.tick()
    assert not two.seen().may_publish(), "the job is closed"


def test_nobody_may_publish_without_a_live_worker(run):
    two = Two(run)
    two.there.tick()
    run.state.workers.retire(two.there_worker)
    assert not two.seen().may_publish()
    own = {two.above.spec.key: two.above}
    assert not OtherSites(run.state, run.run_id, own, two.specs).may_publish(), "nothing feeds the first link"


@pytest.mark.slow
def test_news_is_what_was_published_and_not_taken_up(run):
    two = Two(run)
    seen = two.seen()
    assert list(seen.news((), ())) == []
    two.there.tick()
    assert list(seen.news((), ())) == [], "planned is not published"
    two.publish()
    ((link, above),) = seen.news((), ())
    assert (link, above.link_key) == (two.below, two.above.spec.key)
    assert seen.published == {above.pipeline_key}
    assert seen.is_behind()
    mine = pipeline_key(two.below.spec, above.info.target.dataset)
    assert list(seen.news({mine}, ())) == []


def test_a_job_above_that_is_busy_here_is_news_before_it_publishes(run):
    two = Two(run)
    two.there.tick()
    (above,) = two.there.jobs.values()
    assert len(list(two.seen().news((), {above.pipeline_key}))) == 1


def test_a_closed_job_has_more_only_if_more_was_published(run):
    two = Two(run)
    two.there.tick()
    two.publish()
    here = two.planner(two.below)
    here.begin([])
    here.tick()
    (job,) = here.jobs.values()
    assert not two.seen().has_more(job)
    two.publish()
    assert two.seen().has_more(job)
    assert not two.seen().has_more(replace(job, link_key=two.above.spec.key)), "not fed from elsewhere"


def test_a_look_is_taken_each_second_or_at_once(run, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(other_sites.time, "monotonic", lambda: clock[0])
    seen = Two(run).seen()
    assert seen.is_time(now=False)
    assert not seen.is_time(now=False)
    assert seen.is_time(now=True)
    clock[0] += other_sites.LOOK_EVERY
    assert seen.is_time(now=False)


@pytest.mark.slow
def test_the_second_site_takes_up_rests_and_finishes(run, monkeypatch):
    monkeypatch.setattr(other_sites, "LOOK_EVERY", 0.0)
    two = Two(run)
    two.there.tick()
    two.publish()
    here_worker, here = run.new_worker("here"), two.planner(two.below)
    here.begin([])
    here.tick()

    def load() -> int:
        done = 0
        while (lease := run.state.chunks.claim(here_worker, run.run_id, site="here")) is not None:
            run.move(lease, Attempt(lease.attempt), two.below)
            done += 1
        return done

    assert load() == 1
    assert here.tick(), "the other site may publish more"
    run.state.workers.retire(two.there_worker)  # it is stopped in the middle
    assert not here.tick()
    (job,) = here.jobs.values()
    assert here.is_waiting_for_other_site(job)
    assert here.succeeded()
    assert here.closing_notes() == ["words: all that was published is loaded; its source is not finished"]
    two.there_worker = run.new_worker("there")
    two.publish()
    assert not here.is_waiting_for_other_site(job), "something is to be followed"
    two.there.tick()
    assert here.tick()
    assert not here.is_waiting_for_other_site(job), "something is to be moved"
    assert load() == 1
    assert not here.is_waiting_for_other_site(job), "all is done: it is to be closed"
    assert not here.tick()
    assert here.closed() == {job.pipeline_key: "success"}
    assert two.below.sink.calls[-1] == "finish"
    assert TABLE.dataset.name == "words"
