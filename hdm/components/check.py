"""The Check template, a rule that rows must obey on their way to the sink; and the built-in checks."""

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
    """Configuration keys that every check has.

    ``severity: warn`` records a broken rule without stopping the chunk.
    """

    column: str | None = None
    """Names the column that the check looks at, which the table must have; ``RowCount`` looks at none."""
    severity: Literal["error", "warn"] = "error"
    """What a broken rule does: ``error`` makes the chunk fail, ``warn`` records it and lets the rows pass."""


class Check(ABC):
    """Tests one rule on the rows of one chunk: sees every batch, then gives a verdict.

    Each chunk gets a new instance.
    """

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
        """Look at one batch of the chunk's rows, after the link's transform."""

    @abstractmethod
    def verdict(self) -> str | None:
        """Return what broke the rule, as counts and names without any row's values; None if nothing did."""


class NotNull(Check):
    """Check that a column contains no NULL."""

    class Config(CheckConfig):
        """Configuration of ``NotNull``: ``column`` is the column that must not be NULL."""

        column: str
        """Names the column that must not hold NULL."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        self.nulls = 0

    def observe(self, batch: pa.RecordBatch) -> None:
        """Count the NULLs in the column of one batch."""
        self.nulls += batch.column(self.config.column).null_count

    def verdict(self) -> str | None:
        """Return a text with the number of NULLs in the chunk; None if there were none."""
        return f"{self.nulls} NULLs in {self.config.column}" if self.nulls else None


class Range(Check):
    """Check that a column's values lie between ``min`` and ``max``, both included; NULLs pass."""

    class Config(CheckConfig):
        """Configuration of ``Range``: ``column``, and at least one of ``min`` and ``max``."""

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
        """Return a text with the number of values out of range; None if there were none."""
        return f"{self.outside} values of {self.config.column} out of range" if self.outside else None


class Unique(Check):
    """Check that no value of a column occurs twice within a chunk; NULLs are not compared."""

    class Config(CheckConfig):
        """Configuration of ``Unique``: ``column`` is the column whose values must differ."""

        column: str
        """Names the column in which no value may stand twice within one chunk; NULLs are not compared."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        self.parts: list[pa.Array] = []

    def observe(self, batch: pa.RecordBatch) -> None:
        """Keep the column's values of one batch; ``verdict`` compares them all."""
        self.parts.append(batch.column(self.config.column).drop_null())

    def verdict(self) -> str | None:
        """Return a text with the number of duplicate values in the chunk; None if there were none."""
        if not self.parts:
            return None
        values = pa.chunked_array(self.parts)
        again = len(values) - int(pc.count_distinct(values).as_py())
        return f"{again} values of {self.config.column} come again" if again else None


class RowCount(Check):
    """Check that each chunk has at least ``min`` and at most ``max`` rows."""

    class Config(CheckConfig):
        """Configuration of ``RowCount``: ``min`` and ``max``, in rows, both included."""

        min: int = 0
        """Least number of rows that a chunk may have."""
        max: int | None = None
        """Greatest number of rows that a chunk may have; left out, any number."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        self.rows = 0

    def observe(self, batch: pa.RecordBatch) -> None:
        """Add the rows of one batch to the chunk's count."""
        self.rows += batch.num_rows

    def verdict(self) -> str | None:
        """Return a text with the chunk's number of rows if that is out of bounds; else None."""
        high = self.config.max
        if self.rows < self.config.min or (high is not None and self.rows > high):
            return f"{self.rows} rows, expected {self.config.min} to {high if high is not None else 'any'}"
        return None


def make_checks(classes: Mapping[str, type[Check]], table: Table, specs: Any) -> list[Check]:
    """Return a new instance of each check that a link declares, for one chunk.

    ``specs`` are the entries of the link's ``checks:``; ``classes`` has the class of each entry's ``type``.
    Raises ``UsageError`` for a column that the table does not have, or a bound that its type cannot hold.
    """
    made = []
    for spec in specs:
        kind = classes[spec["type"]]
        made.append(kind(kind.Config.model_validate({k: v for k, v in spec.items() if k != "type"}), table))
    return made
