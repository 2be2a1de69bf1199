"""Applies a link's checks to a chunk's rows on their way, and to the target after its load."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from hdm.components.check import Check, RowCheck
from hdm.errors import CheckFailed, UsageError
from hdm.files.quarantine import QuarantineFile
from hdm.files.stores.base import Store
from hdm.model import Chunk, StagedFile, Table
from hdm.sql.sink import SqlSink
from hdm.sql.table_checks import TableCheck, asked

if TYPE_CHECKING:
    from hdm.components.sink import Sink
    from hdm.files.sink import FileSink
    from hdm.state.records import CheckResult

log = logging.getLogger("hdm.link")


def must_apply(checks: Iterable[Check], sink: Sink, table: Table, quarantine: FileSink | None) -> None:
    """Raise ``UsageError`` for a check, or a quarantine, that cannot be applied to rows for the sink."""
    name = table.dataset.name
    if quarantine is not None and not isinstance(sink, SqlSink):
        raise UsageError(
            f"quarantine: of {name} has no effect here, as {type(sink).__name__} writes no table",
            hint="write it, and the checks, on the link that loads the files",
        )
    for check in checks:
        kind = type(check).__name__
        if check.of_table and not (isinstance(sink, SqlSink) and isinstance(check, TableCheck)):
            raise UsageError(
                f"check {kind} of {name} asks the target, and {type(sink).__name__} writes no table that "
                "can be asked",
                hint="write it on the link that loads the files, or over: chunk where the check has that",
            )
        if _severity(check) != "quarantine":
            continue
        if not isinstance(check, RowCheck):
            raise UsageError(
                f"check {kind} of {name} judges no single rows, so that none can be set aside",
                hint="write severity: fail or warn",
            )
        if quarantine is None:
            raise UsageError(
                f"check {kind} of {name} has nowhere to set rows aside",
                hint="write quarantine: {type: FSSink, directory: ...} on the link, or another file sink",
            )


class InFlight:
    """Runs the checks on the rows of one chunk, and takes out the rows that are to be set aside.

    ``aside`` takes these; without it, as when rows are replayed, the chunk fails instead.
    """

    def __init__(self, checks: Iterable[Check], aside: QuarantineFile | None = None) -> None:
        self._checks = [check for check in checks if not check.of_table]
        self._aside = aside
        self.rows = 0
        self._last: tuple[int, int, pa.Array | None] = (1, 0, None)

    @property
    def numbers(self) -> pa.Array:
        """The numbers within the chunk of the rows that ``look`` returned last."""
        first, count, kept = self._last
        numbers = pa.array(range(first, first + count), pa.int64())
        return numbers if kept is None else numbers.filter(kept)

    def look(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Let each check look at one batch of the chunk's rows; return the rows that go on."""
        self._last = (self.rows + 1, batch.num_rows, None)
        self.rows += batch.num_rows
        found: list[tuple[RowCheck, pa.Array]] = []
        for check in self._checks:
            if isinstance(check, RowCheck) and _severity(check) == "quarantine":
                wrong = check.mark(batch)
                if wrong.true_count:
                    found.append((check, wrong))
            else:
                check.observe(batch)
        if not found or self._aside is None:
            return batch
        out = reduce(pc.or_, (wrong for _, wrong in found))
        held = [(check, wrong.filter(out)) for check, wrong in found]
        kinds = _joined([pc.if_else(wrong, type(check).__name__, None) for check, wrong in held])
        words = _joined([pc.if_else(wrong, check.words(), None) for check, wrong in held])
        self._aside.put(batch.filter(out), self.numbers.filter(out), kinds, words)
        kept = pc.invert(out)
        self._last = (*self._last[:2], kept)
        return batch.filter(kept)

    def judged(self, table: Table, chunk: Chunk) -> list[CheckResult]:
        """Return the results; raise ``CheckFailed`` if a rule is broken that keeps the chunk out.

        These are broken rules of severity ``fail``, and of ``quarantine`` with more rows than are tolerated.
        Other broken rules are logged.
        """
        results = [(check, _result(check, check.verdict())) for check in self._checks]
        bad = [f"{one.kind}: {one.found}" for check, one in results if one.found and self._keeps_out(check)]
        if bad:
            raise CheckFailed("; ".join(bad), hint="mend the rows or the rule, then: hdm retry")
        for _, one in results:
            if one.found:
                log.warning("%s, chunk %d: %s: %s", table.dataset.name, chunk.number, one.kind, one.found)
        return [one for _, one in results]

    def _keeps_out(self, check: Check) -> bool:
        severity = _severity(check)
        if severity == "quarantine" and isinstance(check, RowCheck):
            return self._aside is None or check.exceeds
        return bool(severity == "fail")


@dataclass(slots=True)
class Sieve:
    """Makes the checks of one chunk, and the file for its rows that are set aside, anew for each reading.

    Without ``finishes``, the file is left open at the end of the reading, for more rows.
    """

    make: Callable[[], Iterable[Check]]
    store: Store | None
    table: Table
    chunk: Chunk
    attempt: int
    finishes: bool = True
    aside: QuarantineFile | None = None
    flight: InFlight = field(default_factory=lambda: InFlight(()))

    def begin(self) -> InFlight:
        """Begin a reading: return the checks, new."""
        self.drop()
        if self.store is not None:
            self.aside = QuarantineFile(self.store, self.table, self.chunk, self.attempt)
        self.flight = InFlight(self.make(), self.aside)
        return self.flight

    def end(self, check: Callable[[], None]) -> StagedFile | None:
        """End a reading: put the file of rows that were set aside into the store; None if there is none."""
        return self.aside.finish(check) if self.aside is not None and self.finishes else None

    def drop(self) -> None:
        """Remove what was written of a file that did not get into the store."""
        if self.aside is not None:
            self.aside.drop()


def _joined(texts: Sequence[pa.Array]) -> pa.Array:
    """Return one text for each row: those of its arrays that are not NULL, with a semicolon between.

    Each row must have one: pyarrow leaves out rows of NULLs only.
    """
    return pc.binary_join_element_wise(*texts, "; ", null_handling="skip")


def of_target(sink: Sink, table: Table, checks: Sequence[Check]) -> list[CheckResult]:
    """Check the target of ``table`` by each rule that is about the whole table; return the results.

    Empty without such rules. Raises ``HdmError`` if the target cannot be asked.
    """
    rules = [check for check in checks if isinstance(check, TableCheck) and check.of_table]
    if not rules or not isinstance(sink, SqlSink):
        return []
    found = asked(sink.database, sink.target(table), rules)
    return [_result(check, said) for check, said in zip(rules, found, strict=True)]


def _severity(check: Check) -> Any:
    return getattr(check.config, "severity", "fail")


def _result(check: Check, found: str | None) -> CheckResult:
    """Return the result as the state records it: ``error`` for severity ``fail``, else ``warn``."""
    from hdm.state.records import CheckResult

    config = check.config
    rule = json.dumps(config.model_dump(mode="json", exclude_none=True), sort_keys=True)
    severity = "error" if _severity(check) == "fail" else "warn"
    return CheckResult(type(check).__name__, getattr(config, "column", None), rule, severity, found)
