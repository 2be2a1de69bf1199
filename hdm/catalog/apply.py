"""DDL applied to a target, statement by statement; what it refuses becomes manual in the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from hdm.catalog.report import Report
from hdm.catalog.writers import Statement
from hdm.config.secrets import redact
from hdm.errors import HdmError, Recovery

_MUST = frozenset({"schema", "table"})
"""Objects without which nothing else makes sense: their failure ends the work."""


class Session(Protocol):
    """A target that takes DDL. Errors leave as ``HdmError``."""

    def execute(self, sql: str) -> None:
        """Run one statement."""

    def transaction(self) -> AbstractContextManager[None]:
        """Statements within are kept together, where the system can."""


@dataclass(frozen=True, slots=True)
class Applied:
    """One object that was applied, or why it was not."""

    statement: Statement
    error: str = ""


def apply(
    statements: Iterable[Statement],
    session: Session,
    report: Report | None = None,
    done: Callable[[Applied], None] = lambda one: None,
) -> list[Applied]:
    """Apply in order; objects of several statements as one.

    A table or schema that is refused ends the work with its error. Any other object is set aside:
    it becomes manual in ``report``. Transient errors end the work, too: run it again.
    """
    results = []
    for group in _objects(statements):
        first, error = group[0], ""
        try:
            with session.transaction():
                for statement in group:
                    session.execute(statement.sql)
        except HdmError as trouble:
            if first.kind in _MUST or trouble.recovery is not Recovery.BURY:
                trouble.message = f"{first.kind} {first.name}: {trouble.message}"
                trouble.hint = (
                    trouble.hint or "look at the statement in the DDL files; apply by hand what it needs"
                )
                raise
            error = trouble.message + (_words(trouble) if first.kind == "view" else "")
            if report is not None:
                report.demote(
                    first.kind, first.name, f"the target refused it: {error}", "mend its DDL by hand"
                )
        result = Applied(first, error)
        results.append(result)
        done(result)
    return results


def _words(trouble: HdmError) -> str:
    """What the driver said of a view's SQL, in which no row's value can be; its first line."""
    said = str(trouble.__context__ or "").strip().splitlines()
    return f": {redact(said[0])[:300]}" if said else ""


def _objects(statements: Iterable[Statement]) -> Iterator[list[Statement]]:
    for _, group in groupby(statements, key=lambda one: (one.phase, one.kind, one.name)):
        yield list(group)
