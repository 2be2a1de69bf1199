"""Names and messages are shown as they are written, and cannot do anything to who reads them."""

from __future__ import annotations

import json

import pytest

from hdm.config.visible import listed, one_line, visible, visible_json

TRICKS = {
    "\x1b[2J": "\\x1b[2J",
    "\x9b31m": "\\x9b31m",
    "a\rb": "a\\rb",
    "\u202egpj.exe": "\\u202egpj.exe",
    "a\u200bb": "a\\u200bb",
    "\ud800": "\\ud800",
    "\U000e0041": "\\U000e0041",
}


@pytest.mark.parametrize(("text", "shown"), TRICKS.items())
def test_what_cannot_be_seen_is_written_out(text, shown):
    assert visible(text) == one_line(text) == shown


def test_letters_of_all_languages_stay():
    for text in ("Übergrößen", "日本語", "\U0001f600", "עברית", "a'b\"c\\d"):
        assert visible(text) == one_line(text) == text


def test_lines_stay_or_become_one():
    assert visible("a\n\tb") == "a\n\tb"
    assert one_line("a\n\tb") == "a\\n\\tb"
    assert listed(["a\nb", "c"]) == "\n  a\\nb\n  c"


def test_json_says_the_same_as_before():
    value = {"name": "".join(TRICKS)}
    text = visible_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert text.isprintable()
