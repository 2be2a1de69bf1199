"""Safe YAML: right places, no traps, no bombs."""

from __future__ import annotations

import time

import pytest

from hdm.config.located import LocatedDict
from hdm.config.yaml_reader import MAX_DEPTH, parse_yaml
from hdm.errors import ManifestError, ProfileError


def refuse(text: str | bytes, error: type[ManifestError] = ManifestError) -> ManifestError:
    raw = text.encode() if isinstance(text, str) else text
    with pytest.raises(error) as caught:
        parse_yaml(raw, "m.yml", error=error)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    assert caught.value.message.startswith("m.yml")
    return caught.value


def at(error: ManifestError) -> tuple[int, int]:
    return error.line, error.column


def test_every_node_knows_its_place() -> None:
    top = parse_yaml(b"a: 1\nb:\n  - x\n  - {c: 'd'}\n", "m.yml")
    assert top == {"a": 1, "b": ["x", {"c": "d"}]}
    assert top.key_at("b")[:2] == (2, 1)
    assert top["b"].item_at(0)[:2] == (3, 5)
    inner = top["b"][1]
    assert isinstance(inner, LocatedDict)
    assert (inner.key_at("c")[:2], inner.value_at("c")[:2]) == ((4, 6), (4, 9))


def test_columns_count_characters_not_bytes() -> None:
    top = parse_yaml("äöü€𝄞: x\n".encode(), "m.yml")
    assert top.value_at("äöü€𝄞")[:2] == (1, 8)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2020-01-01", "2020-01-01"),
        ("2020-01-01 10:00:00", "2020-01-01 10:00:00"),
        ("'NO'", "NO"),
        ("NO", False),
        ("on", True),
        ("y", "y"),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-12", -12),
        ("0", 0),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("-.inf", float("-inf")),
        ("1e3", "1e3"),
        ("1.2.3", "1.2.3"),
        ("192.168.0.1:5432", "192.168.0.1:5432"),
        ("9" * 101, "9" * 101),
        ("<<template>>", "<<template>>"),
        ("!!str 12", "12"),
        ("! 12", "12"),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    found = parse_yaml(f"k: {text}\n".encode(), "m.yml")["k"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["0123", "0o12", "0b11", "12:30", "1:2:3", "1_000", "-012", "12:30.5"])
def test_numbers_that_readers_disagree_on(text: str) -> None:
    error = refuse(f"a:\n  k: {text}\n")
    assert at(error) == (2, 6)
    assert text in error.message
    assert "quote it" in str(error.hint)
    assert text not in refuse(f"a:\n  k: {text}\n", ProfileError).message
    assert parse_yaml(f"k: '{text}'".encode(), "m.yml")["k"] == text


def test_a_key_that_stands_twice() -> None:
    error = refuse("a: 1\nb: {c: 1, d: 2, c: 3}\n")
    assert at(error) == (2, 17)
    assert "first at line 2" in error.message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("NO: 1", (1, 1)),
        ("a: {1: x}", (1, 5)),
        ("a: {null: x}", (1, 5)),
        ("? [a]\n: b", (1, 3)),
        ("a: !!python/object/apply:os.system ['true']", (1, 4)),
        ("a: !!int '3'", (1, 4)),
        ("a: !env X", (1, 4)),
        ("a: *nowhere", (1, 4)),
        ("a: &x [*x]", (1, 8)),
        ("a: 1\n---\nb: 2", (2, 1)),
        ("a:\n\t- b", (2, 1)),
        ("a: b: c", (1, 5)),
        ("a: [1, 2", (2, 1)),
        ("a: 'x", (1, 7)),
        ("- a", (1, 1)),
        ("just text", (1, 1)),
        ("", (1, 1)),
        ("a: x\nb: \x01y", (2, 4)),
        ("a: 1\n<<: 3", (2, 5)),
    ],
)
def test_refused_at_its_place(text: str, place: tuple[int, int]) -> None:
    error = refuse(text if text.endswith("\n") or text.startswith("a: 'x") else text + "\n")
    if text == "a: [1, 2" or text.startswith("a: 'x"):
        assert error.line in (1, 2)  # the end of the text: parsers differ by one line
    else:
        assert at(error) == place


def test_bytes_that_are_no_text() -> None:
    assert at(refuse(b"a: 1\nbc: \xff\n")) == (2, 5)


def test_every_mistake_is_told_at_once() -> None:
    error = refuse("a: 012\nb: 1\nb: 2\nNO: 3\n")
    text = str(error)
    assert at(error) == (1, 4)
    assert "m.yml:1:4: 012" in text
    assert "m.yml:3:1: the key 'b' stands twice" in text
    assert "m.yml:4:1: the key NO is read as the boolean false" in text


def test_a_billion_laughs_do_not_fill_the_memory() -> None:
    lines = ["l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]
    began = time.monotonic()
    error = refuse("\n".join(lines))
    assert "aliases stand for more than" in error.message
    assert error.line == 5
    assert time.monotonic() - began < 5


def test_depth_and_size_are_bounded() -> None:
    assert "nested deeper" in refuse("a: " + "[" * (MAX_DEPTH + 1)).message
    assert "nested deeper" in refuse("a: " + "{a: " * 100_000).message
    assert "larger than 8 MB" in refuse(b"a: " + b"x" * (8 * 1024 * 1024)).message


def test_anchors_and_merges_keep_their_places() -> None:
    top = parse_yaml(b"base: &b {x: 1, y: NO}\nmore: {<<: *b, x: 2}\nlist: [*b]\n", "m.yml")
    assert top["more"] == {"x": 2, "y": False}
    assert top["more"].value_at("y") == (1, 20, "NO")
    assert top["list"] == [{"x": 1, "y": False}]


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert parse_yaml("\ufeffa: 1".encode(), "m.yml") == {"a": 1}
