"""The built-in check Expression: a SQL condition over one row, in DuckDB's SQL."""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hdm.components.check import RowCheck
from hdm.errors import CheckFailed, MissingDriver, UsageError
from hdm.model import Kind, Table
from hdm.runtime.transform import Transform

OUTCOME = "hdm_holds"


class Expression(RowCheck):
    """Check that a SQL condition holds for each row; one that is NULL holds, as in SQL's own CHECK."""

    class Config(RowCheck.Config):
        """Configuration of ``Expression``: ``sql``."""

        sql: Annotated[str, Field(min_length=1)]
        """A condition of DuckDB's SQL over the columns of one row, such as ``price >= 0 OR returned``. What
        needs more than one row, or gives another value each time, is refused, as in ``transform:``."""
        name: str | None = None
        """Says what broken rows are called in the result; left out, rows that do not fulfil the condition."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        try:
            self._holds = Transform(f"SELECT (\n{config.sql}\n) AS {OUTCOME} FROM batch", table)
        except MissingDriver:
            raise
        except UsageError as error:
            why = error.message.removeprefix(f"transform of {table.dataset.name}: ")
            raise self.refused(f"{config.sql!r}: {why}", "write one condition over a row") from None
        if [(one.name, one.kind) for one in self._holds.table.columns] != [(OUTCOME, Kind.BOOLEAN)]:
            raise self.refused(f"{config.sql!r} is no condition", "write what is true or false of a row")

    def broken(self, batch: pa.RecordBatch) -> pa.Array:
        """Mark the rows for which the condition is false."""
        held = self._holds(batch)
        if held.num_rows != batch.num_rows:
            raise CheckFailed(
                "Expression: the condition leaves rows out", hint="write one condition over a row"
            )
        return pc.invert(held.column(0))

    def words(self) -> str:
        """Return the verdict's name for broken rows: the rule's ``name``, or that they break a condition."""
        return self.config.name or "rows do not fulfil the condition"
