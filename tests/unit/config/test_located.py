"""Values that know where they stood, and errors that say every mistake of a file at once."""

from __future__ import annotations

import json
import pickle

import pytest

from hdm.config.located import LocatedDict, Place, PlacedList, Problems, fold, kind_of, misread, suggest
from hdm.config.secrets import Secret
from hdm.errors import ManifestError, ProfileError


def placed() -> LocatedDict:
    made = LocatedDict(file="m.yml", place=Place(1, 1))
    made.put("a", 1, Place(2, 1), Place(2, 4))
    made.put("b", "x", Place(3, 1), Place(3, 4, "x"))
    return made


def test_a_mapping_is_plain_to_everybody_else_and_knows_its_places():
    made = placed()
    assert made == {"a": 1, "b": "x"}
    assert json.loads(json.dumps(made)) == {"a": 1, "b": "x"}
    assert (made.key_at("a"), made.value_at("b")) == (Place(2, 1), Place(3, 4, "x"))
    assert made.key_at("none") == made.value_at("none") == Place(1, 1)


@pytest.mark.parametrize("other", [LocatedDict.copy, lambda made: pickle.loads(pickle.dumps(made))])
def test_a_copy_keeps_the_places(other):
    made = other(placed())
    assert type(made) is LocatedDict
    assert (made, made.file, made.place) == ({"a": 1, "b": "x"}, "m.yml", Place(1, 1))
    assert made.value_at("b") == Place(3, 4, "x")


def test_a_copy_is_a_copy():
    made = placed()
    other = made.copy()
    other.put("a", 2, Place(9, 9), Place(9, 9))
    assert (made["a"], made.key_at("a")) == (1, Place(2, 1))


def test_entries_are_left_out_or_taken_under_another_name_with_their_places():
    rest = placed().without("a")
    assert (dict(rest), rest.value_at("b")) == ({"b": "x"}, Place(3, 4, "x"))
    rest.take(placed(), "a", to="c")
    assert (rest["c"], rest.key_at("c")) == (1, Place(2, 1))


def test_a_list_knows_the_places_of_its_items():
    made = PlacedList(file="m.yml", place=Place(4, 3))
    made.add("one", Place(5, 5))
    assert made == ["one"]
    assert made.item_at(0) == Place(5, 5)
    assert made.item_at(1) == made.item_at(-1) == Place(4, 3)


def test_one_mistake_is_one_error_with_its_hint():
    found = Problems("m.yml")
    found.raise_any()
    found.add("no such key", Place(3, 5), "write 'name'")
    with pytest.raises(ManifestError) as wrong:
        found.raise_any()
    assert str(wrong.value) == "m.yml:3:5: no such key\n  hint: write 'name'"


def test_all_mistakes_are_said_in_file_order_each_once():
    found = Problems("m.yml", ProfileError)
    found.add("third", Place(9, 1))
    found.add("first", Place(2, 1), "mend it")
    found.add("second", Place(2, 7))
    found.add("first", Place(2, 1), "mend it")
    found.add("nowhere", Place())
    with pytest.raises(ProfileError) as wrong:
        found.raise_any()
    assert str(wrong.value).splitlines() == [
        "m.yml: nowhere",
        "m.yml:2:1: first",
        "  hint: mend it",
        "m.yml:2:7: second",
        "m.yml:9:1: third",
        "  hint: mend these 4 places and run the same command again",
    ]


def test_a_mistake_never_shows_a_secret():
    Secret("s3cret-canary")
    found = Problems("p.yml")
    found.add("cannot read s3cret-canary", Place(1, 1), "not s3cret-canary")
    assert "s3cret-canary" not in repr(found)


def test_names_are_compared_without_case_and_marks():
    assert fold("netezza_Source") == fold("NETEZZA-source") == "netezzasource"


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("postgres_sorce", ["PostgresSource", "FSSource"], "did you mean 'PostgresSource'?"),
        ("qqq", ["b", "A"], "write one of: A, b"),
        ("qqq", [], None),
    ],
)
def test_the_nearest_name_is_suggested(word, known, said):
    assert suggest(word, known) == said


def test_what_yaml_did_not_read_as_text_is_said_with_the_cure():
    assert misread("port", Place(1, 1)) is None
    assert misread("version", Place(1, 1, "1.10")) == (
        "'version' wants text, but YAML reads 1.10 as a number",
        'quote it: version: "1.10"',
    )
    assert misread("name", Place(1, 1, ""))[0] == "'name' is empty"
    message, hint = misread("password", Place(1, 1, "0123"), private=True)
    assert "0123" not in message + hint


@pytest.mark.parametrize(
    ("raw", "kind"),
    [("no", "the boolean false"), ("ON", "the boolean true"), ("~", "nothing (null)"), ("12:30", "a number")],
)
def test_yamls_surprises_have_names(raw, kind):
    assert kind_of(raw) == kind
