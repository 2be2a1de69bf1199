"""Runs prepared statements on PostgreSQL through libpq, several in one network round trip.

``psycopg.pq`` exposes libpq itself (https://www.psycopg.org/psycopg3/docs/api/pq.html); psycopg's cursors and
pipelines take more time than such small statements do. Statements are sent in libpq's pipeline mode
(https://www.postgresql.org/docs/current/libpq-pipeline-mode.html): after an error the server skips the rest,
and the caller rolls the transaction back as usual.
"""

from __future__ import annotations

import hashlib
import select
from collections.abc import Callable, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

_BEGIN, _COMMIT = "BEGIN ISOLATION LEVEL READ COMMITTED", "COMMIT"
_INTEGERS = {20, 21, 23}
_LOST, _KNOWN = "26000", "42P05"
"""SQLSTATEs of prepared statements: unknown, after a session reset; already known, behind a pooler."""
_names: WeakKeyDictionary[Any, dict[str, bytes]] = WeakKeyDictionary()


@cache
def _psycopg() -> Any:
    """Return the parts of psycopg that are used here; cached, as an import inside a function takes time."""
    from psycopg import Error, OperationalError, errors, pq

    return SimpleNamespace(
        error=Error, lost=OperationalError, from_result=errors.error_from_result,
        idle=pq.TransactionStatus.IDLE, ok=pq.ConnStatus.OK,
        synced=pq.ExecStatus.PIPELINE_SYNC, failed=pq.ExecStatus.FATAL_ERROR,
    )  # fmt: skip


def end_only_what_is_open(dialect: Any) -> None:
    """Make SQLAlchemy skip COMMIT and ROLLBACK on PostgreSQL if no transaction is open.

    psycopg's own methods cost time even then. ``dialect`` is SQLAlchemy's dialect object.
    """
    for name in ("do_commit", "do_rollback"):
        setattr(dialect, name, _unless_idle(getattr(dialect, name)))


def _unless_idle(end: Callable[[Any], None]) -> Callable[[Any], None]:
    def ended(driver: Any) -> None:
        if driver.pgconn.transaction_status != _psycopg().idle:
            end(driver)

    return ended


class Result:
    """Result of one SQL statement.

    ``rows`` have text, integers and None; ``touched`` is the number of rows that a change has changed.
    """

    __slots__ = ("rows", "touched")

    def __init__(self, answer: Any) -> None:
        self.rows = _rows(answer)
        self.touched: int = answer.command_tuples or 0


def carry_out(
    driver: Any, steps: Sequence[tuple[str, Sequence[Any]]], *, commit: bool = False
) -> list[Result]:
    """Run SQL statements, pairs ``(text, values)``, in order; return a result for each.

    ``driver`` is psycopg's connection. Placeholders are ``$1``, ``$2``; values are text, integers or None.
    Begins a transaction if none is open and the driver would; ``commit`` ends it. Raises psycopg's errors.
    """
    psycopg = _psycopg()
    connection = driver.pgconn
    begins = not driver.autocommit and connection.transaction_status == psycopg.idle
    known = _names.setdefault(driver, {})
    fresh: dict[str, bytes] = {}
    sent: list[tuple[str, Sequence[Any]]] = [*steps]
    # A pipeline is an implicit transaction: no BEGIN/COMMIT is needed if it starts and commits in one batch.
    if begins and not commit:
        sent.insert(0, (_BEGIN, ()))
    if commit and not begins:
        sent.append((_COMMIT, ()))
    expected: list[bool] = []
    made: dict[int, str] = {}
    connection.enter_pipeline_mode()
    try:
        for text, values in sent:
            name = known.get(text) or fresh.get(text)
            if name is None:
                # The name is a digest of the text, so no session can know it for another statement.
                name = fresh[text] = f"hdm_{hashlib.sha256(text.encode()).hexdigest()[:32]}".encode()
                connection.send_prepare(name, text.encode())
                made[len(expected)] = text
                expected.append(False)
            connection.send_query_prepared(name, [_sent(value) for value in values])
            expected.append(text not in (_BEGIN, _COMMIT))
        connection.pipeline_sync()
        answers, failed = _answers(connection)
        there = len(answers) + (failed is not None and failed.sqlstate == _KNOWN)
        # Statements prepared before an error stay prepared: they belong to the session, not the transaction.
        known.update((text, fresh[text]) for place, text in made.items() if place < there)
        if failed is not None:
            raise failed
        if len(answers) != len(expected):
            raise psycopg.lost("the server did not answer every statement")
    except psycopg.error as error:
        if error.sqlstate == _LOST:
            _names.pop(driver, None)
        raise
    except BaseException:
        driver.close()  # its answers are still to come: nobody may use it again
        raise
    finally:
        if connection.status == psycopg.ok:
            connection.exit_pipeline_mode()
    return [Result(one) for one, wanted in zip(answers, expected, strict=True) if wanted]


def _answers(connection: Any) -> tuple[list[Any], Any]:
    """Read all answers; return those before the first error, and that error or None."""
    psycopg = _psycopg()
    failed: Any = None
    found = []
    unsent = connection.flush()
    while True:
        if unsent or connection.is_busy():
            unsent = _wait(connection, unsent)
        answer = connection.get_result()
        if answer is None:
            if connection.status != psycopg.ok:
                raise psycopg.lost("the connection is lost")
            continue
        if answer.status == psycopg.synced:
            break
        if answer.status == psycopg.failed and failed is None:
            failed = psycopg.from_result(answer)
        if failed is None:
            found.append(answer)
    return found, failed


def _wait(connection: Any, unsent: int) -> int:
    """Wait for an answer and send what is ``unsent`` meanwhile; return how much is still unsent."""
    ready = select.poll()
    ready.register(connection.socket, select.POLLIN | (select.POLLOUT if unsent else 0))
    while connection.is_busy():
        ready.poll()
        connection.consume_input()
        if unsent:
            unsent = connection.flush()
            ready.modify(connection.socket, select.POLLIN | (select.POLLOUT if unsent else 0))
    return unsent


def _sent(value: Any) -> bytes | None:
    return None if value is None else str(value).encode()


def _rows(answer: Any) -> list[tuple[Any, ...]]:
    if not answer.ntuples:
        return []
    width = range(answer.nfields)
    whole = [answer.ftype(column) in _INTEGERS for column in width]
    return [
        tuple([_read(answer.get_value(row, column), whole[column]) for column in width])
        for row in range(answer.ntuples)
    ]


def _read(value: bytes | None, whole: bool) -> Any:
    if value is None:
        return None
    return int(value) if whole else value.decode()
