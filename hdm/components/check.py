"""The templates of checks: Check, a rule that rows must obey on their way to the sink, and RowCheck."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, BaseModel, BeforeValidator

from hdm.components.settings import Settings
from hdm.errors import UsageError
from hdm.model import Column, Table

_TOLERANCE = re.compile(r"(\d+(?:\.\d+)?(?=%)|\d+)(%?)\Z", re.ASCII)

NAMED = 5
"""How many rows a verdict names by their numbers; of the others it says how many there are."""


def _severity(value: object) -> object:
    return "fail" if value == "error" else value  # as hdm 0.1 called it


Severity = Annotated[Literal["fail", "quarantine", "warn"], BeforeValidator(_severity)]


class CheckConfig(Settings):
    """Configuration keys that every check has.

    ``severity: warn`` records a broken rule without stopping the chunk, ``quarantine`` sets rows aside.
    """

    column: str | None = None
    """Names the column that the check looks at, which the table must have; ``RowCount`` looks at none."""
    severity: Severity = "fail"
    """What a broken rule does: ``fail`` makes the chunk dead before a row of it is visible, ``quarantine``
    sets the rows that break it aside and loads the others, ``warn`` records it and lets the rows pass.
    ``error`` is an older word for ``fail``."""


class Check(ABC):
    """Tests one rule on the rows of one chunk: sees every batch, then gives a verdict.

    Each chunk gets a new instance.
    """

    Config: ClassVar[type[BaseModel]] = CheckConfig

    def __init__(self, config: Any, table: Table) -> None:
        self.config = config
        self.table = table
        if (name := getattr(config, "column", None)) is not None:
            self.has_column(name)

    def has_column(self, name: str) -> Column:
        """Return the table's column of that name; raise ``UsageError`` if there is none."""
        names = [column.name for column in self.table.columns]
        if name not in names:
            raise self.refused(
                f"{self.table.dataset.name} has no column {name!r}",
                "column names one of: " + ", ".join(names),
            )
        return self.table.column(name)

    def refused(self, why: str, hint: str) -> UsageError:
        """Return the error that says why the rule cannot be applied to the table, for the caller to raise."""
        return UsageError(f"check {type(self).__name__}: {why}", hint=hint)

    @property
    def of_table(self) -> bool:
        """True if the rule is about the whole table, asked of the target after the load, not of a chunk.

        False by default.
        """
        return False

    @property
    def judges_parts(self) -> bool:
        """True if the rule can judge some of a chunk's rows by themselves, as when rows are replayed.

        True by default; False for a rule about the chunk as a whole, such as its number of rows.
        """
        return True

    @abstractmethod
    def observe(self, batch: pa.RecordBatch) -> None:
        """Look at one batch of the chunk's rows, after the link's transform."""

    @abstractmethod
    def verdict(self) -> str | None:
        """Return what broke the rule, as counts and names without any row's values; None if nothing did."""


def _tolerated(value: int | str | None) -> int | str | None:
    if value is not None:
        share_of(value)
    return value


def share_of(value: int | str) -> tuple[int, Fraction]:
    """Return a number of rows, and a share of all rows, that ``tolerate`` allows; one of the two is 0.

    The share is exact, so that 57% of 100 rows are 57.

    ``value`` is a number of rows or a text such as ``0.5%``. Raises ``ValueError`` for anything else.
    """
    found = _TOLERANCE.match(str(value).strip())
    if found is None or (found[2] and Fraction(found[1]) > 100):
        raise ValueError("write a number of rows, 0 or more, or a share from 0% to 100% such as 0.5%")
    return (0, Fraction(found[1]) / 100) if found[2] else (int(found[1]), Fraction(0))


class RowCheck(Check):
    """Tests each row by itself, so that the verdict names the rows that break the rule.

    A subclass says which rows of a batch break the rule; rows are counted and named here.
    """

    class Config(CheckConfig):
        """Configuration keys that every check of single rows has."""

        tolerate: Annotated[int | str | None, AfterValidator(_tolerated)] = None
        """How many rows of a chunk may break the rule before it counts as broken, or with ``severity:
        quarantine`` be set aside before the chunk is dead: a number of rows, or a share of the chunk's rows
        such as ``0.5%``. Left out, none, or with ``quarantine`` any number."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        self.rows = 0
        self.of = 0
        """How many rows the chunk has of which only some are judged, as when rows are replayed; else 0."""
        self.found = 0
        self._named: list[int] = []

    @abstractmethod
    def broken(self, batch: pa.RecordBatch) -> pa.Array:
        """Return one boolean for each row of a batch: true where the row breaks the rule; NULL is false."""

    @abstractmethod
    def words(self) -> str:
        """Return a name for broken rows, e.g. ``NULLs in cents``, which a verdict puts after their number.

        It contains no value of a row.
        """

    def mark(self, batch: pa.RecordBatch) -> pa.Array:
        """Count and remember the rows of a batch that break the rule; return what ``broken`` does."""
        wrong = pc.fill_null(self.broken(batch), False)
        count = int(wrong.true_count)
        if count and len(self._named) < NAMED:
            places = pc.indices_nonzero(wrong).slice(0, NAMED - len(self._named))
            self._named += [self.rows + 1 + place for place in places.to_pylist()]
        self.rows += batch.num_rows
        self.found += count
        return wrong

    def observe(self, batch: pa.RecordBatch) -> None:
        """Count the rows of one batch that break the rule."""
        self.mark(batch)

    @property
    def exceeds(self) -> bool:
        """Whether more rows break the rule than ``tolerate`` allows."""
        tolerate = self.config.tolerate
        if tolerate is None:
            return bool(self.found) and self.config.severity != "quarantine"
        rows, share = share_of(tolerate)
        return self.found > rows and self.found > share * max(self.rows, self.of)

    def verdict(self) -> str | None:
        """Return a text with the number of rows that break the rule and the first of them.

        None if there are no more than ``tolerate`` allows; with ``severity: quarantine``, if there are none.
        Rows are numbered from 1 within the chunk, after the link's transform.
        """
        if not self.found or (self.config.severity != "quarantine" and not self.exceeds):
            return None
        return f"{self.found} {self.words()} ({numbered(self._named, self.found)} of the chunk)"


def numbered(first: Sequence[int], count: int) -> str:
    """Return a text on which rows are meant: the numbers of the ``first`` ones, and how many more."""
    if count == 1:
        return f"row {first[0]}"
    told, more = [str(number) for number in first], count - len(first)
    last = f"{more} more" if more else told.pop()
    return f"rows {', '.join(told)} and {last}"


def make_checks(classes: Mapping[str, type[Check]], table: Table, specs: Any) -> list[Check]:
    """Return a new instance of each check that a link declares, for one chunk.

    ``specs`` are the entries of the link's ``checks:``; ``classes`` has the class of each entry's ``type``.
    Raises ``UsageError`` for a column that the table does not have, or a rule that does not fit its type.
    """
    made = []
    for spec in specs:
        kind = classes[spec["type"]]
        made.append(kind(kind.Config.model_validate({k: v for k, v in spec.items() if k != "type"}), table))
    return made
