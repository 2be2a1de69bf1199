"""Checks that are broken in one way each."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pydantic import ConfigDict

from hdm.components.row_checks import Range


class Complains(Range):
    def verdict(self) -> str | None:
        return super().verdict() or "0 values out of range"


class Sleeps(Range):
    def verdict(self) -> str | None:
        return None


class CountsBatches(Range):
    seen = 0

    def observe(self, batch: pa.RecordBatch) -> None:
        super().observe(batch)
        self.seen += 1

    def verdict(self) -> str | None:
        said = super().verdict()
        return f"{said} in {self.seen} batches" if said else None


class Remembers(Range):
    before = 0

    def verdict(self) -> str | None:
        type(self).before += self.found
        return f"{self.before} values out of range" if self.before else None


class Quotes(Range):
    last: Any = None

    def observe(self, batch: pa.RecordBatch) -> None:
        super().observe(batch)
        self.last = next(
            (one for one in batch.column(0).to_pylist() if one is not None and one < 0), self.last
        )

    def verdict(self) -> str | None:
        said = super().verdict()
        return f"{said}, such as {self.last}" if said else None


class TakesAnyKey(Range):
    class Config(Range.Config):
        model_config = ConfigDict(extra="allow")
