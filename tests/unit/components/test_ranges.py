"""A system without SQL that answers the four questions is cut into chunks which hold each row once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from hdm import Column, Condition, Table, Window, cut, declare

Row = dict[str, Any]
DOCUMENTS = declare(
    "shelf://here", "documents", {"area": "int64", "number": "int64", "title": "text"}, key=("area", "number")
)


@dataclass
class Shelf:
    """Documents in a list; ``@page`` is a place on it."""

    rows: list[Row]
    places: int = 0
    sorts: bool = True
    asked: int = 0

    def meets(self, place: int, row: Row, one: Condition) -> bool:
        value = place // 10 if one.column == "@page" else row[one.column]
        if one.op == "null":
            return value is None
        wanted = int(str(one.value))
        return value is not None and {
            ">": value > wanted, ">=": value >= wanted, "<": value < wanted, "<=": value <= wanted,
            "=": value == wanted,
        }[one.op]  # fmt: skip

    def found(self, conditions: Sequence[Condition]) -> list[int]:
        return [n for n, row in enumerate(self.rows) if all(self.meets(n, row, one) for one in conditions)]

    def is_sortable(self, column: Column) -> bool:
        return self.sorts and column.name != "title"

    def count(self, conditions: Sequence[Condition]) -> int:
        self.asked += 1
        return len(self.found(conditions))

    def edges(self, column: Column, conditions: Sequence[Condition], step: int, rows: int) -> list[str]:
        values = [self.rows[n][column.name] for n in self.found(conditions)]
        return [str(v) for v in sorted(v for v in values if v is not None)[step - 1 :: step]]

    def pages(self) -> int:
        return self.places


def shelf(seed: int, **traits: Any) -> Shelf:
    """A few hundred documents, most of them in one area; some have none."""
    dice = random.Random(seed)
    areas = [None, *[7] * 6, *range(10)]
    made = [{"area": dice.choice(areas), "number": n, "title": f"t{n}"} for n in range(dice.randrange(400))]
    return Shelf(made, **traits)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("traits", [{}, {"sorts": False, "places": 40}, {"sorts": False}], ids=str)
def test_each_document_is_in_one_chunk(seed: int, traits: dict[str, Any]) -> None:
    made = shelf(seed, **traits)
    chunks = list(cut(made, DOCUMENTS, Window(rows_per_chunk=15), "job"))
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    held = [made.found(chunk.conditions) for chunk in chunks]
    assert Counter(n for found in held for n in found) == Counter(range(len(made.rows)))
    if not traits:
        assert all(len(found) <= 30 for found in held), [len(found) for found in held]
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)


def test_an_area_with_many_documents_is_cut_by_the_next_column_of_the_key() -> None:
    made = Shelf([{"area": 7, "number": n, "title": ""} for n in range(100)])
    chunks = list(cut(made, DOCUMENTS, Window(rows_per_chunk=10), "job"))
    assert len(chunks) >= 10
    assert {one.column for chunk in chunks for one in chunk.conditions} == {"area", "number"}


def test_one_chunk_where_all_fit_or_nothing_can_be_cut() -> None:
    few = Shelf([{"area": 1, "number": n, "title": ""} for n in range(5)])
    (chunk,) = cut(few, DOCUMENTS, Window(), "job", "snap")
    assert (chunk.conditions, chunk.estimate_rows, chunk.snapshot) == ((), 5, "snap")
    keyless: Table = replace(DOCUMENTS, key=())
    (chunk,) = cut(shelf(1), keyless, Window(rows_per_chunk=2), "job")
    assert chunk.conditions == ()
