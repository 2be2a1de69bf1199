"""What a preflight finds and refuses, before anything is touched."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from hdm.components.row_checks import NotNull
from hdm.errors import BrokenContract, ConnectionLost, LossRefused, ManifestError, UnknownPlace, UsageError
from hdm.model import Dataset, FileNames, Mode
from hdm.planning import unanswered
from hdm.planning.preflight import pipeline_key, pipeline_of, preflight
from hdm.runtime.link import DataLink
from tests.unit.linkkit import TABLE, Listed, Shelf, spec, words


class Lossy(Shelf):
    def losses(self, table):
        return [(table.column("word"), "cut to 10 letters")]


def link(source=None, sink=None, **options) -> DataLink:
    return DataLink(spec(**options), source or Listed(words(2)), sink or Shelf(), {"NotNull": NotNull})


def test_a_pipeline_is_the_same_across_runs_and_differs_by_link_and_table():
    one = link(key="k")
    assert pipeline_key(one.spec, TABLE.dataset) == pipeline_key(link(key="k").spec, TABLE.dataset)
    others = {
        pipeline_key(one.spec, TABLE.dataset),
        pipeline_key(link(key="l").spec, TABLE.dataset),
        pipeline_key(one.spec, Dataset("list", "other")),
        pipeline_key(one.spec, Dataset("other", "words")),
    }
    assert len(others) == 4
    assert all(len(key) == 32 for key in others)


def test_a_prospect_says_whither_the_rows_go_and_touches_nothing():
    sink = Shelf()
    found = pipeline_of(link(sink=sink), TABLE)
    assert (found.source, found.target.dataset, found.losses) == (TABLE, Dataset("shelf", "words"), ())
    assert sink.calls == []


def test_a_mode_that_the_sink_cannot_honour_is_refused_with_those_it_can():
    with pytest.raises(UsageError, match="cannot honour mode merge") as wrong:
        pipeline_of(link(mode=Mode.MERGE), TABLE)
    assert wrong.value.hint == "write mode: append, replace"


class Mirror(Shelf):
    def dataset(self, table):
        return table.dataset


def test_a_table_is_not_written_to_itself():
    with pytest.raises(ManifestError, match="sink words out: words would be written to itself"):
        pipeline_of(link(sink=Mirror()), TABLE)


@pytest.mark.parametrize("allowed", [False, ("id",), ()])
def test_a_loss_that_is_not_allowed_is_refused_by_column(allowed):
    with pytest.raises(LossRefused, match=r"word: cut to 10 letters"):
        pipeline_of(link(sink=Lossy(), allow_loss=allowed), TABLE)


@pytest.mark.parametrize("allowed", [True, ("word",), ("id", "word")])
def test_a_loss_that_is_allowed_is_kept_on_record(allowed):
    found = pipeline_of(link(sink=Lossy(), allow_loss=allowed), TABLE)
    assert found.losses == (("word", "cut to 10 letters"),)


def test_a_check_that_the_columns_do_not_fit_is_refused_before_anything_moves():
    with pytest.raises(UsageError, match="has no column 'wrod'"):
        pipeline_of(link(checks=({"type": "NotNull", "column": "wrod"},)), TABLE)


@pytest.mark.slow
def test_checks_and_sink_see_the_table_after_the_transform():
    one = link(transform="SELECT id AS number FROM batch", checks=({"type": "NotNull", "column": "number"},))
    assert [column.name for column in pipeline_of(one, TABLE).target.columns] == ["number"]


def test_what_the_sink_would_refuse_is_said_now():
    class Picky(Shelf):
        def accepts(self, table, mode):
            raise UsageError("the target has other columns")

    with pytest.raises(UsageError, match="other columns"):
        pipeline_of(link(sink=Picky()), TABLE)


def test_how_a_sink_names_its_files_is_asked_once_of_the_outgoing_table():
    shelf = Shelf()
    shelf.file_names = lambda table, key, mode: FileNames(f"{table.path[0]}-{key}-{mode}-{{chunk}}", "csv")
    one = pipeline_of(DataLink(spec(), Listed(words(2)), shelf), TABLE)
    assert one.file_names == FileNames(f"words-{one.pipeline_key}-append-{{chunk}}", "csv")


def test_names_of_files_that_are_no_value_are_the_sinks_mistake():
    shelf = Shelf()
    shelf.file_names = lambda *about: ("file:///a", "csv")
    with pytest.raises(BrokenContract, match="sink words out: file_names gave a tuple"):
        pipeline_of(DataLink(spec(), Listed(words(2)), shelf), TABLE)


def test_a_chained_link_reads_what_the_sink_above_publishes():
    above = link(sink=Shelf("middle"))
    below = link(sink=Shelf("last"), upstream=(above.spec.key,))
    first, second = preflight({above.spec.key: above, below.spec.key: below})
    assert second.source == first.target
    assert second.upstream_keys == (first.pipeline_key,)
    assert second.target.dataset.namespace == "last"


def test_of_a_link_below_another_sites_nothing_is_found():
    below = link(upstream=("elsewhere",))
    assert preflight({below.spec.key: below}) == []


def test_every_table_of_a_source_is_a_prospect():
    class Two(Listed):
        def tables(self):
            yield TABLE
            yield replace(TABLE, dataset=Dataset("list", "more"))

    one = link(source=Two([]))
    assert [found.source.dataset.name for found in preflight({one.spec.key: one})] == ["words", "more"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionLost("refused"), "source words: refused"),
        (ManifestError("wrong key", file="m.yml", line=3, column=1), "m.yml:3:1: wrong key"),
    ],
    ids=["unnamed", "with a place"],
)
def test_trouble_is_said_with_the_sources_name_unless_it_has_a_place(error, said):
    class Broken(Listed):
        def ready(self, table):
            raise error

    one = link(source=Broken([]))
    with pytest.raises(type(error)) as wrong:
        preflight({one.spec.key: one})
    assert wrong.value.message == said


class Asked(Shelf):
    """Notes in ``asked`` that it was, and raises what it is given."""

    def __init__(self, place: str, asked: list[str], error: Exception | None = None) -> None:
        super().__init__(f"shelf {place} {id(self)}")
        self._place, self.asked, self.error = place, asked, error

    @property
    def place(self) -> str:
        return self._place

    def ready(self) -> None:
        self.asked.append(self._place)
        if self.error is not None:
            raise self.error


def surveyed(*sinks):
    links = [link(source=Listed([]), sink=sink) for sink in sinks]
    return preflight({one.spec.key: one for one in links})


def test_of_one_connection_every_place_is_asked_once():
    asked = []
    surveyed(*(Asked(place, asked) for place in ("one", "two", "one")))
    assert asked == ["one", "two"]


def test_a_target_that_is_away_does_not_keep_the_others_from_being_asked():
    asked = []
    assert len(surveyed(Asked("one", asked, ConnectionLost("away")), Asked("two", asked))) == 2
    with pytest.raises(UsageError) as wrong:
        surveyed(Asked("three", asked, ConnectionLost("away")), Asked("four", asked, UsageError("no such")))
    assert wrong.value.message == "sink words out: no such"
    assert asked == ["one", "two", "three", "four"]


def test_a_name_that_nobody_knows_is_a_mistake_and_not_waited_for():
    with pytest.raises(UsageError) as wrong:
        surveyed(Asked("one", [], UnknownPlace("nobody knows it", hint="correct it")))
    assert (wrong.value.message, wrong.value.hint) == ("sink words out: nobody knows it", "correct it")

    class Unknown(Listed):
        def describe(self):
            raise UnknownPlace("nobody knows it")

    one, other = link(source=Unknown([]), key="a"), link(source=Unknown([]), key="b")
    with pytest.raises(UsageError) as wrong:
        preflight({"a": one, "b": other})
    assert wrong.value.message.count("nobody knows it") == 2


def test_who_does_not_answer_is_named_while_it_is_waited_for(monkeypatch, caplog):
    monkeypatch.setattr(unanswered, "PATIENCE", 0.1)

    class Slow(Asked):
        system = "db.example.com:5432"

        def ready(self) -> None:
            super().ready()
            until = time.monotonic() + 10
            while not caplog.messages and time.monotonic() < until:
                time.sleep(0.02)

    asked = []
    surveyed(Slow("one", asked), Asked("two", asked))
    (said,) = caplog.messages
    assert said.startswith("sink words out at db.example.com:5432 has not answered for ")
    assert asked == ["one", "two"]
