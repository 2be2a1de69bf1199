"""Pages are made by templates that escape whatever they are given."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hdm.catalog import pages
from hdm.catalog.assess import Assessment
from hdm.catalog.assess_html import to_html
from hdm.errors import MissingDriver

FOLDER = Path(pages.__file__).parent
HOSTILE = '<script>alert("1")</script>'


def hostile() -> Assessment:
    """An assessment that has a script wherever a catalogue's words can stand."""
    made = Assessment(HOSTILE, HOSTILE, measured=HOSTILE, waves=[[HOSTILE]])
    sizes = dict.fromkeys(("rows", "bytes", "columns", "foreign_keys", "indexes", "wave", "seconds"), 1)
    made.tables.append({"table": HOSTILE, **sizes})
    made.by_kind[HOSTILE] = {"converted": 1, "approximated": 0, "manual": 0}
    made.effort.append({"kind": HOSTILE, "fate": HOSTILE, "reason": HOSTILE, "objects": 1, "minutes": 1})
    return made


def test_a_script_in_a_name_stays_text() -> None:
    page = to_html(hostile())
    assert "<script" not in page
    root = ElementTree.fromstring(page.removeprefix("<!doctype html>\n"))
    assert "".join(root.itertext()).count(HOSTILE) >= 10
    assert root.findtext("head/title") == root.findtext("body/h1") == f"{HOSTILE} to {HOSTILE}"


def test_an_attribute_cannot_be_left() -> None:
    made = pages._environment().from_string('<p title="{{ name }}"/>').render(name='" onload="alert(1)')
    assert ElementTree.fromstring(made).attrib == {"title": '" onload="alert(1)'}


def test_no_template_takes_text_as_markup_or_loads_from_elsewhere() -> None:
    templates = sorted(FOLDER.glob("*.html"))
    assert {one.name for one in templates} >= {"layout.html", "assessment.html"}
    for one in templates:
        text = one.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe\b|autoescape|<script|https?:|@import|url\(", text), one.name
        if one.name not in ("layout.html", "parts.html"):
            assert text.startswith('{% extends "layout.html" %}'), one.name


@pytest.fixture
def without_jinja(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    pages._environment.cache_clear()
    yield
    pages._environment.cache_clear()


@pytest.mark.usefixtures("without_jinja")
def test_without_jinja_it_is_said_what_to_install() -> None:
    with pytest.raises(MissingDriver, match="Jinja2") as missing:
        to_html(hostile())
    assert missing.value.hint == "pip install 'hdm[catalog]'"
