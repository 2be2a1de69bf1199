"""Applies a link's checks to the rows of a chunk on their way, and to the target when its load has ended."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from hdm.components.check import Check
from hdm.errors import CheckFailed, UsageError
from hdm.model import Chunk, Table
from hdm.sql.sink import SqlSink
from hdm.sql.table_checks import TableCheck, asked

if TYPE_CHECKING:
    from hdm.components.sink import Sink
    from hdm.state.records import CheckResult

log = logging.getLogger("hdm.link")


def must_apply(checks: Iterable[Check], sink: Sink, table: Table) -> None:
    """Raise ``UsageError`` for a check that cannot be applied to rows that go to the sink."""
    for check in checks:
        if check.of_table and not (isinstance(sink, SqlSink) and isinstance(check, TableCheck)):
            raise UsageError(
                f"check {type(check).__name__} of {table.dataset.name} asks the target, and "
                f"{type(sink).__name__} writes no table that can be asked",
                hint="write it on the link that loads the files, or over: chunk where the check has that",
            )


class InFlight:
    """The checks that see the rows of one chunk."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self._checks = [check for check in checks if not check.of_table]

    def look(self, batch: pa.RecordBatch) -> None:
        """Let each check look at one batch of the chunk's rows."""
        for check in self._checks:
            check.observe(batch)

    def judged(self, table: Table, chunk: Chunk) -> list[CheckResult]:
        """Return the results; raise ``CheckFailed`` if a rule of severity ``fail`` is broken.

        Broken rules of severity ``warn`` are logged.
        """
        results = [_result(check, check.verdict()) for check in self._checks]
        bad = [f"{one.kind}: {one.found}" for one in results if one.found and one.severity == "error"]
        if bad:
            raise CheckFailed("; ".join(bad), hint="mend the rows or the rule, then: hdm retry")
        for one in results:
            if one.found:
                log.warning("%s, chunk %d: %s: %s", table.dataset.name, chunk.number, one.kind, one.found)
        return results


def of_target(sink: Sink, table: Table, checks: Sequence[Check]) -> list[CheckResult]:
    """Ask the target of ``table`` about each rule that is about the whole table; return the results.

    Empty without such rules. Raises ``HdmError`` if the target cannot be asked.
    """
    rules = [check for check in checks if isinstance(check, TableCheck) and check.of_table]
    if not rules or not isinstance(sink, SqlSink):
        return []
    found = asked(sink.database, sink.target(table), rules)
    return [_result(check, said) for check, said in zip(rules, found, strict=True)]


def _result(check: Check, found: str | None) -> CheckResult:
    """Return the result as the state records it, where ``error`` is the word for severity ``fail``."""
    from hdm.state.records import CheckResult

    config = check.config
    rule = json.dumps(config.model_dump(mode="json", exclude_none=True), sort_keys=True)
    severity = "error" if config.severity == "fail" else str(config.severity)
    return CheckResult(type(check).__name__, getattr(config, "column", None), rule, severity, found)
