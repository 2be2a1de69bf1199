"""Tests that every ``Check`` must pass, e.g. that batches do not change the verdict."""

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
    """The values for the parameters of check functions, by parameter name."""

    subject: type[Check]
    table: Table
    conf: Mapping[str, Any]
    good: Rows
    bad: Rows

    def run(self, check: Callable[..., None]) -> None:
        """Call a check function with the values of this object's attributes that its parameters name."""
        known = {"given": self, **{name: getattr(self, name) for name in self.__dataclass_fields__}}
        check(*(known[name] for name in inspect.signature(check).parameters))

    def verdict(self, rows: Rows, *, size: int = 1000) -> str | None:
        """Return the verdict of a new instance of the check on rows, given in batches of ``size`` rows."""
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
    """Check that the verdict on rows that keep the rule is None."""
    assert given.verdict(given.good) is None


def check_bad_rows_do_not(given: Given) -> None:
    """Check that the verdict on rows that break the rule is a text."""
    assert given.verdict(given.bad)


def check_batches_do_not_matter(given: Given) -> None:
    """Check that the verdict is the same if each row comes in a batch of its own."""
    assert given.verdict(given.bad, size=1) == given.verdict(given.bad)
    assert given.verdict(given.good, size=1) is None


def check_chunks_are_apart(given: Given) -> None:
    """Check that the rows of one chunk do not change the verdict on another chunk."""
    first = given.verdict(given.bad)
    assert given.verdict(given.good) is None
    assert given.verdict(given.bad) == first


def check_no_value_shows(given: Given) -> None:
    """Check that a verdict shows no value of a row, since verdicts are logged and recorded."""
    said = given.verdict(given.bad) or ""
    values = {str(cell) for row in given.bad for cell in row if cell is not None and len(str(cell)) > 3}
    assert [value for value in values if value in said] == []


def check_manifests_can_name_it(subject: type[Check]) -> None:
    """Check that a manifest can name the class ``subject``, as hdm's own or as a registered plugin."""
    assert registry.find("check", subject.__name__) is subject


def check_unknown_keys_are_refused(given: Given) -> None:
    """Check that an unknown key in the configuration is an error."""
    with pytest.raises(ValidationError):
        given.subject.Config.model_validate({**given.conf, "no_such_key": 1})


CHECKS: tuple[Callable[..., None], ...] = tuple(
    function for name, function in list(globals().items()) if name.startswith("check_")
)


class CheckConformance:
    """Tests a check: inherit it and define its fixtures.

    They are ``subject`` (the class), ``table``, ``conf`` (the keys beside ``type``), and rows of the table
    that keep the rule (``good``) or break it (``bad``). Values of at least four characters must not appear
    in the verdict.
    """

    gaps: ClassVar[Mapping[str, str]] = {}
    """Checks that the subject cannot pass: name without ``check_`` -> reason."""

    @pytest.fixture
    def given(
        self, subject: type[Check], table: Table, conf: Mapping[str, Any], good: Rows, bad: Rows
    ) -> Given:
        """Return the values of the fixtures, for the check functions."""
        return Given(subject, table, conf, good, bad)

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
    def test_promise(self, given: Given, check: Callable[..., None]) -> None:
        """Run one check function; see the function of that name in ``hdm.testing.checks``."""
        leaks.judge(check.__name__[6:], self.gaps, lambda: given.run(check))
