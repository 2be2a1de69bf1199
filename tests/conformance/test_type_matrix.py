"""The awkward table over every pair: exact, or declared; and the page says so."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conformance import type_matrix
from tests.conformance.type_matrix import SINKS, SOURCES, Fate

pytestmark = pytest.mark.slow
Results = dict[tuple[str, str], dict[str, Fate]]


@pytest.fixture(scope="module")
def results(
    fresh_postgres: Callable[..., Any],
    fresh_mariadb: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Results]:
    folder = tmp_path_factory.mktemp("matrix")
    before = os.environ.get("TZ")
    type_matrix.away_from_greenwich()
    yield type_matrix.run(type_matrix.maker(fresh_postgres, fresh_mariadb, folder), folder)
    os.environ.pop("TZ", None)
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("source", SOURCES)
def test_no_value_changes_without_a_word(results: Results, source: str, sink: str) -> None:
    known = {case.name: case.native for case in type_matrix.cases(source)}
    found = {known[name]: fate.undeclared for name, fate in results[source, sink].items() if fate.undeclared}
    assert found == {}


def test_the_page_is_what_was_found(results: Results) -> None:
    text = type_matrix.page(results)
    assert type_matrix.PAGE.read_text("utf-8") == text, "run: make types-page"
