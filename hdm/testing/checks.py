"""CheckConformance: a verdict counts what it has seen, however the rows are cut, and shows none of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from pydantic import ValidationError

from hdm.components import registry
from hdm.components.check import Check
from hdm.model import Table
from hdm.testing import leaks
from hdm.testing.sources import Rows


@dataclass
class Given:
    """What the checks take, by the names of their parameters."""

    subject: type[Check]
    table: Table
    conf: Mapping[str, Any]
    good: Rows
    bad: Rows

    def run(self, check: Callable[..., None]) -> None:
        """Call a check with what it asks for."""
        known = {"given": self, **{name: getattr(self, name) for name in self.__dataclass_fields__}}
        check(*(known[name] for name in inspect.signature(check).parameters))

    def verdict(self, rows: Rows, *, size: int = 1000) -> str | None:
        """What a new instance says of the rows, seen in batches of ``size`` rows."""
        made = self.subject(self.subject.Config.model_validate(dict(self.conf)), self.table)
        for start in range(0, len(rows), size):
            columns = list(zip(*rows[start : start + size], strict=True))
            arrays = [
                pa.array(list(cells), one.type)
                for cells, one in zip(columns, self.table.columns, strict=True)
            ]
            made.observe(pa.RecordBatch.from_arrays(arrays, schema=self.table.schema))
        return made.verdict()


def check_good_rows_pass(given: Given) -> None:
    """What keeps the rule is not complained of."""
    assert given.verdict(given.good) is None


def check_bad_rows_do_not(given: Given) -> None:
    """What breaks the rule is told in a word."""
    assert given.verdict(given.bad)


def check_batches_do_not_matter(given: Given) -> None:
    """The verdict is the same row by row, and with empty batches between."""
    assert given.verdict(given.bad, size=1) == given.verdict(given.bad)
    assert given.verdict(given.good, size=1) is None


def check_chunks_are_apart(given: Given) -> None:
    """What one chunk held does not count in the next one, nor twice."""
    first = given.verdict(given.bad)
    assert given.verdict(given.good) is None
    assert given.verdict(given.bad) == first


def check_no_value_shows(given: Given) -> None:
    """A verdict has counts and names; values of rows stay out of logs and the state database."""
    said = given.verdict(given.bad) or ""
    values = {str(cell) for row in given.bad for cell in row if cell is not None and len(str(cell)) > 3}
    assert [value for value in values if value in said] == []


def check_manifests_can_name_it(subject: type[Check]) -> None:
    """The class is found by its own name, as hdm's own or as a registered plugin."""
    assert registry.find("check", subject.__name__) is subject


def check_unknown_keys_are_refused(given: Given) -> None:
    """A key that nobody knows is an error, not something that is passed over."""
    with pytest.raises(ValidationError):
        given.subject.Config.model_validate({**given.conf, "no_such_key": 1})


CHECKS: tuple[Callable[..., None], ...] = tuple(
    function for name, function in list(globals().items()) if name.startswith("check_")
)


class CheckConformance:
    """Inherit, and give ``subject`` (the class), ``table``, ``conf`` (what stands beside ``type``), and rows
    of the table that keep the rule (``good``) and that break it (``bad``), each value of four signs or more
    where it must not show."""

    gaps: ClassVar[Mapping[str, str]] = {}
    """Checks, without ``check_``, that the subject cannot pass: name -> reason."""

    @pytest.fixture
    def given(
        self, subject: type[Check], table: Table, conf: Mapping[str, Any], good: Rows, bad: Rows
    ) -> Given:
        """All of them."""
        return Given(subject, table, conf, good, bad)

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
    def test_promise(self, given: Given, check: Callable[..., None]) -> None:
        """One promise; see the function of that name in ``hdm.testing.checks``."""
        leaks.judge(check.__name__[6:], self.gaps, lambda: given.run(check))
