"""The Check template: a rule on rows in flight; and the checks that hdm brings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from hdm.components.settings import Settings
from hdm.errors import UsageError
from hdm.model import Table


class CheckConfig(Settings):
    """The keys of every check. ``severity: warn`` records a failure without stopping."""

    column: str | None = None
    """Names the column that the check looks at, which the table must have; ``RowCount`` looks at none."""
    severity: Literal["error", "warn"] = "error"
    """What a broken rule does: ``error`` makes the chunk fail, ``warn`` records it and lets the rows pass."""


class Check(ABC):
    """Observes a chunk's batches and returns a verdict at the end. Each chunk gets a new instance."""

    Config: ClassVar[type[BaseModel]] = CheckConfig

    def __init__(self, config: Any, table: Table) -> None:
        self.config = config
        self.table = table
        named = getattr(config, "column", None)
        names = [column.name for column in table.columns]
        if named is not None and named not in names:
            raise UsageError(
                f"check {type(self).__name__}: {table.dataset.name} has no column {named!r}",
                hint="column names one of: " + ", ".join(names),
            )

    @abstractmethod
    def observe(self, batch: pa.RecordBatch) -> None:
        """Observe one batch, after the link's transform."""

    @abstractmethod
    def verdict(self) -> str | None:
        """Return None if no row broke the rule, else what was found: counts and names, never values."""


class NotNull(Check):
    """A column without NULLs."""

    class Config(CheckConfig):
        """Requires ``column``, the column that must not be NULL."""

        column: str
        """Names the column that must not hold NULL."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        self.nulls = 0

    def observe(self, batch: pa.RecordBatch) -> None:
        """Count the NULLs of one batch."""
        self.nulls += batch.column(self.config.column).null_count

    def verdict(self) -> str | None:
        """Return how many NULLs were found; None if none."""
        return f"{self.nulls} NULLs in {self.config.column}" if self.nulls else None


class Range(Check):
    """A column between ``min`` and ``max``, both included; NULLs pass."""

    class Config(CheckConfig):
        """Requires ``column``, and at least one of ``min`` and ``max``."""

        column: str
        """Names the column whose values must lie within the bounds; NULLs pass."""
        min: float | int | str | None = None
        """Least value that is allowed, a number or the text of one of the column's type; left out, none. One
        bound is needed."""
        max: float | int | str | None = None
        """Greatest value that is allowed, written as ``min`` is; left out, none."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        self.outside = 0
        pairs = ((config.min, pc.less), (config.max, pc.greater))
        self.limits = [(self._limit(bound), compare) for bound, compare in pairs if bound is not None]
        if not self.limits:
            raise UsageError(f"check Range of {config.column} has no bound", hint="write min or max")

    def _limit(self, bound: Any) -> pa.Scalar:
        column = self.table.column(self.config.column)
        try:
            return pa.scalar(str(bound)).cast(column.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise UsageError(
                f"check Range: {bound!r} is no value of column {column.name} ({column.type})",
                hint="write a bound of the column's type",
            ) from None

    def observe(self, batch: pa.RecordBatch) -> None:
        """Count the values of one batch that are out of range."""
        values = batch.column(self.config.column)
        for limit, compare in self.limits:
            self.outside += pc.sum(pc.cast(compare(values, limit), pa.int64())).as_py() or 0

    def verdict(self) -> str | None:
        """Return how many values were out of range; None if none."""
        return f"{self.outside} values of {self.config.column} out of range" if self.outside else None


class Unique(Check):
    """No value twice within a chunk; NULLs are not compared."""

    class Config(CheckConfig):
        """Requires ``column``, the column whose values must differ."""

        column: str
        """Names the column in which no value may stand twice within one chunk; NULLs are not compared."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        self.parts: list[pa.Array] = []

    def observe(self, batch: pa.RecordBatch) -> None:
        """Keep the values of one batch, for the comparison at the end."""
        self.parts.append(batch.column(self.config.column).drop_null())

    def verdict(self) -> str | None:
        """Return how many values were duplicates; None if none."""
        if not self.parts:
            return None
        values = pa.chunked_array(self.parts)
        again = len(values) - int(pc.count_distinct(values).as_py())
        return f"{again} values of {self.config.column} come again" if again else None


class RowCount(Check):
    """Each chunk has at least ``min`` and at most ``max`` rows."""

    class Config(CheckConfig):
        """Bounds in rows, both included."""

        min: int = 0
        """Least number of rows that a chunk may have."""
        max: int | None = None
        """Greatest number of rows that a chunk may have; left out, any number."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        self.rows = 0

    def observe(self, batch: pa.RecordBatch) -> None:
        """Count the rows of one batch."""
        self.rows += batch.num_rows

    def verdict(self) -> str | None:
        """Return the number of rows if it is out of bounds, else None."""
        high = self.config.max
        if self.rows < self.config.min or (high is not None and self.rows > high):
            return f"{self.rows} rows, expected {self.config.min} to {high if high is not None else 'any'}"
        return None


def make_checks(classes: Mapping[str, type[Check]], table: Table, specs: Any) -> list[Check]:
    """Make an instance of each check in a link's ``checks:``, for one chunk."""
    made = []
    for spec in specs:
        kind = classes[spec["type"]]
        made.append(kind(kind.Config.model_validate({k: v for k, v in spec.items() if k != "type"}), table))
    return made
