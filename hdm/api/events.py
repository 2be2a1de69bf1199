"""Defines the types of the events that a run reports.

``hdm run --log-format json`` prints each event's ``as_dict()`` as one line; ``Project.run(on_event=...)``
passes the event itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from hdm.config.secrets import redact, redact_values
from hdm.orchestrators.base import RunReport
from hdm.runtime.thread_engine import Observer
from hdm.runtime.worker import Outcome
from hdm.state import Lease


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a run.

    ``at`` is the time, UTC by this host's clock, ISO 8601 with milliseconds. ``event`` is the kind of event,
    such as ``run.started``.
    """

    at: str = field(default_factory=_now)
    event: str

    def as_dict(self) -> dict[str, Any]:
        """Return the event as the dict that is printed as a JSON line, with secrets masked."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
        return dict(redact_values(plain))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """Event ``run.started``: this process opened a run, or joined one that another process had opened.

    ``taken_over`` is the number of chunks whose leases were taken from dead processes of this host.
    """

    event: str = "run.started"
    run: str
    taken_over: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseWaiting(Event):
    """Event ``lease.waiting``: processes of another host hold leases on chunks.

    ``chunks`` is the number of these chunks. If those processes are dead, their leases expire within
    ``seconds``.
    """

    event: str = "lease.waiting"
    host: str
    chunks: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkEvent(Event):
    """Base of events about one chunk.

    ``chunk`` is the beginning of its id, ``number`` its number in the epoch's plan; ``attempt`` counts from
    1.
    """

    table: str
    link: str
    chunk: str
    number: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkStarted(ChunkEvent):
    """Event ``chunk.started``: a worker has begun to move a chunk."""

    event: str = "chunk.started"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkCommitted(ChunkEvent):
    """Event ``chunk.committed``: a chunk's rows are in the target.

    ``adopted``: an earlier attempt had written them, so this attempt wrote nothing.
    """

    event: str = "chunk.committed"
    rows: int
    bytes: int
    adopted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkFailed(ChunkEvent):
    """Event of a failed attempt at a chunk; ``error`` is the name of a class in ``hdm.errors``.

    ``event`` says what follows. ``chunk.failed``: it will be tried again. ``chunk.waits``: a system is
    unreachable, and the chunk waits for it. ``chunk.dead``: the chunk is set aside for a person to decide.
    """

    error: str
    message: str
    hint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Event):
    """Event that a system, or the state database, became unreachable or is reachable again.

    ``event`` says which of the two, ``message`` names the system.
    """

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """Event with a remark on the run, or on a table that failed.

    ``event`` is ``note``, ``table.failed`` (the table could not be planned), ``table.check_failed`` or
    ``table.differs``; ``message`` is the text.
    """

    event: str = "note"
    run: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(Event):
    """Event ``run.ended``, the last one of a run.

    ``differing`` names the tables whose source has changed below the watermark since it was read, where hdm
    does not look again; see ``RunReport``.
    """

    event: str = "run.ended"
    run: str
    status: str
    rows: int
    seconds: float
    exit_code: int
    differing: tuple[str, ...]
    notes: tuple[str, ...]


class EventStream:
    """Turns a run's callbacks into events and passes each to the function ``tell``, one at a time.

    Callbacks may come from any thread. If ``tell`` raises an exception, the run is told to stop by setting
    ``stop``: chunks in work are finished, no further event is passed, and ``failure`` keeps the exception for
    the caller. Without ``stop``, the exception is raised in the callback.
    """

    def __init__(self, tell: Callable[[Event], object], stop: threading.Event | None = None) -> None:
        self._tell, self._stop = tell, stop
        self._lock = threading.RLock()
        self.failure: Exception | None = None

    def tell(self, event: Event) -> None:
        """Pass one event to the function that receives events; do nothing once that function has failed."""
        with self._lock:
            if self.failure is not None:
                return
            try:
                self._tell(event)
            except Exception as failure:
                if self._stop is None:
                    raise
                self.failure = failure
                self._stop.set()

    def opened(self, run_id: str, taken: int) -> None:
        """Report that this process opened or joined run ``run_id``.

        ``taken`` is the number of chunks whose leases were taken from dead processes of this host.
        """
        self.tell(RunStarted(run=run_id, taken_over=taken))

    def waits(self, host: str, chunks: int, seconds: float) -> None:
        """Report that processes of ``host`` hold leases on ``chunks`` chunks of this run.

        If those processes are dead, the leases expire within ``seconds``.
        """
        self.tell(LeaseWaiting(host=host, chunks=chunks, seconds=seconds))

    def started(self, lease: Lease) -> None:
        """Report that a worker has begun to move a chunk."""
        self.tell(ChunkStarted(**_chunk(lease)))

    def settled(self, outcome: Outcome) -> None:
        """Report that a chunk was committed, or that an attempt at it failed."""
        about, receipt, error = _chunk(outcome.lease), outcome.receipt, outcome.error
        if receipt is not None:
            self.tell(
                ChunkCommitted(**about, rows=receipt.rows, bytes=receipt.bytes, adopted=receipt.adopted)
            )
        elif error is not None:
            name = "chunk.dead" if outcome.buried else "chunk.waits" if outcome.waits else "chunk.failed"
            hint = redact(error.hint) if error.hint else error.hint
            said: dict[str, Any] = {
                "error": type(error).__name__,
                "message": redact(error.message),
                "hint": hint,
            }
            self.tell(ChunkFailed(event=name, **about, **said))

    def said(self, event: str, text: str) -> None:
        """Report that a system became unreachable or is reachable again.

        ``event`` is the event's kind, ``text`` the message.
        """
        self.tell(Said(event=event, message=redact(text)))

    def ended(self, report: RunReport) -> None:
        """Report the run's notes, its failed tables, and its end."""
        for text in report.notes:
            self.tell(Noted(run=report.run_id, message=text))
        for text in report.failed:
            self.tell(Noted(event="table.failed", run=report.run_id, message=text))
        for text in report.broken:
            self.tell(Noted(event="table.check_failed", run=report.run_id, message=text))
        for text in report.unproven:
            self.tell(Noted(event="table.differs", run=report.run_id, message=text))
        self.tell(
            RunEnded(
                run=report.run_id, status=report.status, rows=report.rows, seconds=round(report.seconds, 3),
                exit_code=report.exit_code, differing=report.differing, notes=report.notes,
            )
        )  # fmt: skip

    @contextmanager
    def observing(self) -> Iterator[Observer]:
        """Give the engine, for the ``with`` block, the callbacks that report to this stream."""
        yield Observer(started=self.started, settled=self.settled, said=self.said)


def _chunk(lease: Lease) -> dict[str, Any]:
    info = lease.job.info
    return {
        "table": info.source.dataset.name,
        "link": f"{info.source_name} -> {info.sink_name}",
        "chunk": lease.chunk.chunk_id[:12],
        "number": lease.chunk.number,
        "attempt": lease.attempt,
    }
