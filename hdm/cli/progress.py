"""What a run shows while it runs: bars on a terminal, one JSON line per event, or nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hdm.api.events import EventStream
from hdm.api.running import Display
from hdm.cli.output import describe, on_terminal, remark, say_json, say_lines
from hdm.cli.summary import summarise
from hdm.config.secrets import redact
from hdm.config.visible import one_line, visible
from hdm.orchestrators.base import RunReport
from hdm.planning.planner import Planner
from hdm.runtime.thread_engine import Observer
from hdm.runtime.worker import Outcome
from hdm.state import Lease

MOST_LINES = 10
"""Of more links, those that are done leave the screen."""


class JsonEvents(EventStream):
    """One JSON object a line on standard output for each thing that happens."""

    def __init__(self) -> None:
        super().__init__(lambda event: say_json(event.as_dict(), indent=None))


class _ForPeople:
    """What bars and bare lines have in common. ``quiet``: no summary, and failures only."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def opened(self, run_id: str, taken: int) -> None:
        """A word on what was taken over."""
        if taken and not self.quiet:
            remark(f"took over {taken} chunk(s) from a dead process of this host")

    def waits(self, host: str, chunks: int, seconds: float) -> None:
        """A word on another host's leases."""
        if not self.quiet:
            name = host.split("/", maxsplit=1)[0]
            until = f"if it is dead, up to {seconds:.0f} s to wait"
            remark(f"{chunks} chunk(s) are leased to host {name}: {until}")

    def ended(self, report: RunReport) -> None:
        """The closing lines."""
        if not self.quiet:
            summarise(report)


def display_for(log_format: str, *, quiet: bool) -> Display:
    """JSON lines, bars if a person watches, else bare lines."""
    if log_format == "json":
        return JsonEvents()
    return Bars() if on_terminal() and not quiet else Quiet(quiet=quiet)


class Quiet(_ForPeople):
    """Says only what went wrong, on standard error; for pipes."""

    def settled(self, outcome: Outcome) -> None:
        """A failed attempt, in one line."""
        if outcome.error is not None and not outcome.waits:
            say_lines(_failure(outcome), err=True)

    def said(self, event: str, text: str) -> None:
        """A system that is away, or back, in one line."""
        say_lines(text, err=True)

    @contextmanager
    def observing(self) -> Iterator[Observer]:
        """The hooks for an engine."""
        yield Observer(settled=self.settled, said=self.said)


class Bars(_ForPeople):
    """A bar for all and one for each table at work: chunks done, rows a second, time left."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._rows: dict[str, int] = {}
        self._began = time.monotonic()

    @contextmanager
    def observing(self) -> Iterator[Observer]:
        """The hooks for an engine, while the bars are on the screen."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False,
                       table_column=Column(ratio=3, no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=8)),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}", table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[speed]}", table_column=Column(no_wrap=True, justify="right")),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        )  # fmt: skip
        with Progress(*columns, console=console, expand=True) as screen:
            board = _Board(screen, self._speed)

            def progress(lease: Lease, rows: int, count: int) -> None:
                with self._lock:
                    for key in (lease.job.link_key, ""):
                        self._rows[key] = self._rows.get(key, 0) + rows

            def ticked(planner: Planner) -> None:
                board.show(planner.progress())

            def settled(outcome: Outcome) -> None:
                if outcome.receipt is not None:
                    board.advance(outcome.lease.job.link_key)
                if outcome.error is not None and not outcome.waits:
                    text = visible(redact(_failure(outcome)))
                    console.print(text, markup=False, highlight=False, soft_wrap=True)

            def said(event: str, text: str) -> None:
                console.print(visible(redact(text)), markup=False, highlight=False, soft_wrap=True)

            yield Observer(progress=progress, settled=settled, ticked=ticked, said=said)

    def _speed(self, key: str) -> str:
        seconds = max(time.monotonic() - self._began, 0.1)
        with self._lock:
            rows = self._rows.get(key, 0)
        return f"{_short(rows)} rows, {_short(rows / seconds)}/s" if rows else ""


class _Board:
    """The lines on the screen: all links together first, then those that have something to do."""

    def __init__(self, screen: Any, speed: Callable[[str], str]) -> None:
        self._screen, self._speed = screen, speed
        self._lock = threading.Lock()
        self._tasks: dict[str, Any] = {}
        self._all = screen.add_task("all", total=1, speed="")

    def show(self, progress: Mapping[str, tuple[str, int, int]]) -> None:
        """Bring every line up to what the state says: link -> its name, chunks done, chunks known."""
        with self._lock:
            for key, (name, done, total) in progress.items():
                if total and key not in self._tasks:
                    self._tasks[key] = self._screen.add_task(one_line(name), total=total, speed="")
                if key in self._tasks:
                    busy = done < total or len(progress) <= MOST_LINES
                    self._screen.update(self._tasks[key], completed=done, total=total, visible=busy,
                                        speed=self._speed(key))  # fmt: skip
            done = sum(one for _, one, _ in progress.values())
            total = sum(one for _, _, one in progress.values())
            self._screen.update(self._all, completed=done, total=max(total, 1), speed=self._speed(""))

    def advance(self, key: str) -> None:
        """One chunk more is done, before the state is asked again."""
        with self._lock:
            for task in (self._tasks.get(key), self._all):
                if task is not None:
                    self._screen.advance(task)


def _short(count: float) -> str:
    """A number in at most five characters: 950, 12.3k, 4.5M."""
    for unit in ("", "k", "M", "G"):
        if count < 1000 or unit == "G":
            break
        count /= 1000
    return f"{count:.0f}{unit}" if not unit or count >= 100 else f"{count:.1f}{unit}"


def _failure(outcome: Outcome) -> str:
    info, error = outcome.lease.job.info, outcome.error
    what = "dead" if outcome.buried else "will be tried again"
    place = one_line(f"{info.source.dataset.name} -> {info.sink_name}, chunk {outcome.lease.chunk.number}")
    why = describe(error) if error is not None else ""
    return f"{place}: {what} after attempt {outcome.lease.attempt}: {why}"
