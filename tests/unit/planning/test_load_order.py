"""The order in which tables are loaded, as the foreign keys of their target ask for."""

from __future__ import annotations

from dataclasses import replace

from hdm.errors import ConnectionLost
from hdm.model import Dataset
from hdm.planning.load_order import load_order
from hdm.planning.preflight import Pipeline
from hdm.runtime.link import DataLink
from tests.unit.linkkit import TABLE, Listed, Shelf, spec, words


class Referring(Shelf):
    """A shelf that knows which tables refer to which: child to parent."""

    def __init__(self, *pairs: str) -> None:
        super().__init__()
        self.pairs, self.asked = pairs, 0

    def foreign_keys(self):
        self.asked += 1
        if "away" in self.pairs:
            raise ConnectionLost("away")
        return [tuple(("s", name) for name in pair) for pair in self.pairs]


def ordered(shelf: Referring, tables: str, staged: str = "") -> tuple[str, dict[str, frozenset[str]]]:
    links, pipelines = {}, []
    for name in tables:
        link = DataLink(spec(key=name), Listed(words(1)), shelf, {})
        links[link.spec.key] = link
        target = replace(TABLE, dataset=Dataset("shelf", name), path=("s", name))
        pipelines.append(
            Pipeline(link.spec, name, TABLE, target, (), (name.upper(),) if name in staged else ())
        )
    for name in staged:
        pipelines.append(replace(pipelines[0], pipeline_key=name.upper(), upstream_keys=()))
    found, after = load_order(links, pipelines)
    return "".join(one.pipeline_key for one in found), after


def test_those_that_others_refer_to_come_first():
    shelf = Referring("ab", "bc", "dc", "aa", "ax")
    order, after = ordered(shelf, "abcd")
    assert order == "cbda"
    assert after == {"a": frozenset("b"), "b": frozenset("c"), "d": frozenset("c")}
    assert shelf.asked == 1


def test_of_a_circle_none_waits_for_another():
    order, after = ordered(Referring("ab", "ba", "ca", "ad"), "cabd")
    assert order == "bdac"
    assert after == {"c": frozenset("a"), "a": frozenset("d")}


def test_without_keys_or_with_a_target_that_is_away_the_order_stays():
    assert ordered(Referring(), "bca") == ("bca", {})
    assert ordered(Referring("away"), "bca") == ("bca", {})
