"""A rule in SQL is one condition over a row, judged row by row."""

from __future__ import annotations

from typing import Any

import pytest

from hdm.errors import UsageError
from hdm.runtime.expression import Expression
from tests.unit.linkkit import TABLE, batch

pytestmark = pytest.mark.slow


def made(sql: str, **conf: Any) -> Expression:
    return Expression(Expression.Config(sql=sql, **conf), TABLE)


def test_rows_for_which_it_is_false_are_named_and_null_holds() -> None:
    check = made("length(word) > 1 -- long enough", name="short words")
    for rows in ([(1, "ab"), (2, "a")], [(3, None), (4, "b"), (5, "cd")]):
        check.observe(batch(*rows))
    assert check.verdict() == "2 short words (rows 2 and 4 of the chunk)"
    assert made("id > 0").verdict() is None


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("wrod = 'a'", "wrod"),
        ("id +", "syntax error"),
        ("id", "is no condition"),
        ("id > 0) AS a, (id > 1", "is no condition"),
        ("true) FROM batch WHERE (id > 1", "syntax error"),
        ("id > avg(id)", "the aggregate avg"),
        ("id > 0 AND random() > 0.5", "random"),
        ("word = current_date::text", "gives another value each time"),
        ("word IN (SELECT content FROM read_text('/etc/hostname'))", "disabled|does not exist|cannot"),
    ],
)
def test_what_is_no_condition_over_one_row_is_refused(sql: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        made(sql)
