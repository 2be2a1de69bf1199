"""What a run shows while it runs: bars on a terminal, one JSON line per event, or nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from hdm.cli.output import describe, say_json, say_lines, size
from hdm.config.secrets import redact
from hdm.config.visible import one_line, visible
from hdm.planning.planner import Planner
from hdm.runtime.thread_engine import Observer
from hdm.runtime.worker import Outcome
from hdm.state import Lease


class JsonEvents:
    """One JSON object a line on standard output for each thing that happens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def say(self, event: str, **fields: Any) -> None:
        """Write one line."""
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"at": stamp, "event": event, **fields}
        with self._lock:
            say_json(line, indent=None)

    def started(self, lease: Lease) -> None:
        """A chunk was claimed."""
        self.say("chunk.started", **_chunk(lease))

    def settled(self, outcome: Outcome) -> None:
        """A chunk was committed, or its attempt failed."""
        about = _chunk(outcome.lease)
        if outcome.receipt is not None:
            receipt = outcome.receipt
            self.say(
                "chunk.committed", **about, rows=receipt.rows, bytes=receipt.bytes, adopted=receipt.adopted
            )
        elif outcome.error is not None:
            name = "chunk.dead" if outcome.buried else "chunk.failed"
            error = outcome.error
            self.say(name, **about, error=type(error).__name__, message=error.message, hint=error.hint)

    @contextmanager
    def observing(self) -> Iterator[Observer]:
        """The hooks for an engine."""
        yield Observer(started=self.started, settled=self.settled)


class Quiet:
    """Says only what went wrong, on standard error; for pipes."""

    def settled(self, outcome: Outcome) -> None:
        """A failed attempt, in one line."""
        if outcome.error is not None:
            say_lines(_failure(outcome), err=True)

    @contextmanager
    def observing(self) -> Iterator[Observer]:
        """The hooks for an engine."""
        yield Observer(settled=self.settled)


class Bars:
    """A bar for each link: chunks done, rows/s, bytes, time left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._began = time.monotonic()

    @contextmanager
    def observing(self) -> Iterator[Observer]:
        """The hooks for an engine, while the bars are on the screen."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} chunks"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        with Progress(*columns, console=console) as screen:
            tasks: dict[str, Any] = {}

            def progress(lease: Lease, rows: int, count: int) -> None:
                key = lease.job.link_key
                with self._lock:
                    self._rows[key] = self._rows.get(key, 0) + rows
                    self._bytes[key] = self._bytes.get(key, 0) + count

            def ticked(planner: Planner) -> None:
                for key, (name, done, total) in planner.progress().items():
                    if key not in tasks:
                        tasks[key] = screen.add_task(one_line(name), total=max(total, 1), speed="")
                    screen.update(tasks[key], completed=done, total=max(total, 1), speed=self._speed(key))

            def settled(outcome: Outcome) -> None:
                if outcome.error is not None:
                    text = visible(redact(_failure(outcome)))
                    console.print(text, markup=False, highlight=False, soft_wrap=True)

            yield Observer(progress=progress, settled=settled, ticked=ticked)

    def _speed(self, key: str) -> str:
        seconds = max(time.monotonic() - self._began, 0.1)
        with self._lock:
            rows, count = self._rows.get(key, 0), self._bytes.get(key, 0)
        return f"{rows:,} rows, {rows / seconds:,.0f}/s, {size(count)}" if rows else size(count)


def _chunk(lease: Lease) -> dict[str, Any]:
    info = lease.job.info
    return {
        "table": info.source.dataset.name,
        "link": f"{info.source_name} -> {info.sink_name}",
        "chunk": lease.chunk.chunk_id[:16],
        "number": lease.chunk.number,
        "attempt": lease.attempt,
    }


def _failure(outcome: Outcome) -> str:
    info, error = outcome.lease.job.info, outcome.error
    what = "dead" if outcome.buried else "will be tried again"
    place = one_line(f"{info.source.dataset.name} -> {info.sink_name}, chunk {outcome.lease.chunk.number}")
    why = describe(error) if error is not None else ""
    return f"{place}: {what} after attempt {outcome.lease.attempt}: {why}"
