"""Applies DDL to a target, statement by statement; objects that it refuses are reported as manual.

Manual means that a person must create them.
"""

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
"""Kinds of objects that all others need: if the target refuses one, its error is raised."""


class Session(Protocol):
    """Interface of a connection to a target that executes DDL; its errors are raised as ``HdmError``."""

    def execute(self, sql: str) -> None:
        """Execute one SQL statement."""

    def transaction(self) -> AbstractContextManager[None]:
        """Put the ``with`` block's statements into one transaction, if the system allows that for DDL."""


@dataclass(frozen=True, slots=True)
class Applied:
    """Result of applying the DDL of one object.

    ``statement`` is the first of the object's statements. ``error`` says why the target refused the object;
    it is empty if it was applied.
    """

    statement: Statement
    error: str = ""


def apply(
    statements: Iterable[Statement],
    session: Session,
    report: Report | None = None,
    done: Callable[[Applied], None] = lambda one: None,
) -> list[Applied]:
    """Apply DDL statements in order, those of one object together; return the result for each object.

    If a table or schema is refused, its error is raised. Any other object that is refused becomes manual in
    ``report``: a person must create it. Transient errors are raised, too; the function may then be called
    again. ``done`` is called with each result.
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
    """Return the first line of the driver's message about a view's SQL, which cannot quote a row."""
    said = str(trouble.__context__ or "").strip().splitlines()
    return f": {redact(said[0])[:300]}" if said else ""


def _objects(statements: Iterable[Statement]) -> Iterator[list[Statement]]:
    for _, group in groupby(statements, key=lambda one: (one.phase, one.kind, one.name)):
        yield list(group)
