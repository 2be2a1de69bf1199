"""Shows the progress of a run: bars on a terminal, one JSON line per event, or failures only."""

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
"""The most links that have a bar each; with more links, the bars of finished ones are hidden."""


class JsonEvents(EventStream):
    """Prints each event of a run as one JSON object per line on standard output."""

    def __init__(self) -> None:
        super().__init__(lambda event: say_json(event.as_dict(), indent=None))


class _ForPeople:
    """Common base of the displays for people; with ``quiet``, only failures are shown."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def opened(self, run_id: str, taken: int) -> None:
        """Print how many chunks were taken over from dead processes."""
        if taken and not self.quiet:
            remark(f"took over {taken} chunk(s) from a dead process of this host")

    def waits(self, host: str, chunks: int, seconds: float) -> None:
        """Print how many chunks another host has leased, and how long this run may have to wait."""
        if not self.quiet:
            name = host.split("/", maxsplit=1)[0]
            until = f"if it is dead, up to {seconds:.0f} s to wait"
            remark(f"{chunks} chunk(s) are leased to host {name}: {until}")

    def ended(self, report: RunReport) -> None:
        """Print the run's summary."""
        if not self.quiet:
            summarise(report)


def display_for(log_format: str, *, quiet: bool) -> Display:
    """Return what shows a run's progress: JSON lines, bars, or failures only.

    JSON lines if ``log_format`` is json. Bars if standard error is a terminal and ``quiet`` is not set.
    Without ``quiet``, people see the run's summary, too.
    """
    if log_format == "json":
        return JsonEvents()
    return Bars() if on_terminal() and not quiet else Quiet(quiet=quiet)


class Quiet(_ForPeople):
    """Prints failed attempts and outages of systems, one line each, on standard error; for pipes.

    Also prints chunks that were taken over or are leased elsewhere, and the summary, unless ``quiet`` is set.
    """

    def settled(self, outcome: Outcome) -> None:
        """Print one line if an attempt at a chunk failed.

        Nothing if the chunk waits for an unreachable system.
        """
        if outcome.error is not None and not outcome.waits:
            say_lines(_failure(outcome), err=True)

    def said(self, event: str, text: str) -> None:
        """Print one line that a system is unreachable or back."""
        say_lines(text, err=True)

    @contextmanager
    def observing(self) -> Iterator[Observer]:
        """Give the ``with`` block the callbacks that print a run's failures."""
        yield Observer(settled=self.settled, said=self.said)


class Bars(_ForPeople):
    """Shows a bar for the run and one for each link that has chunks: chunks done, rows per second, time left.

    With many links, only those with chunks left have a bar.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._rows: dict[str, int] = {}
        self._began = time.monotonic()

    @contextmanager
    def observing(self) -> Iterator[Observer]:
        """Show the bars during the ``with`` block, and give it the callbacks that update them."""
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
    """The bars on the screen: all links together first, then each link that has chunks."""

    def __init__(self, screen: Any, speed: Callable[[str], str]) -> None:
        self._screen, self._speed = screen, speed
        self._lock = threading.Lock()
        self._tasks: dict[str, Any] = {}
        self._shown: dict[str, tuple[str, int, int]] = {}
        self._many = False
        self._all = screen.add_task("all", total=1, speed="")

    def show(self, progress: Mapping[str, tuple[str, int, int]]) -> None:
        """Set every bar to the counts of the state: link -> its name, chunks done, chunks known.

        The bar of a link that was complete and has not changed since is not drawn again.
        """
        with self._lock:
            if self._many != (many := len(progress) > MOST_LINES):
                self._many = many
                self._shown.clear()
            news = [
                (key, one) for key, one in progress.items() if one[1] < one[2] or self._shown.get(key) != one
            ]
            for key, (name, done, total) in news:
                self._shown[key] = (name, done, total)
                if total and key not in self._tasks:
                    self._tasks[key] = self._screen.add_task(one_line(name), total=total, speed="")
                if key in self._tasks:
                    busy = done < total or not many
                    self._screen.update(self._tasks[key], completed=done, total=total, visible=busy,
                                        speed=self._speed(key))  # fmt: skip
            done = sum(one for _, one, _ in progress.values())
            total = sum(one for _, _, one in progress.values())
            self._screen.update(self._all, completed=done, total=max(total, 1), speed=self._speed(""))

    def advance(self, key: str) -> None:
        """Count one more chunk as done, until the next ``show``."""
        with self._lock:
            self._shown.pop(key, None)
            for task in (self._tasks.get(key), self._all):
                if task is not None:
                    self._screen.advance(task)


def _short(count: float) -> str:
    """Return a number in at most five characters: 950, 12.3k, 4.5M."""
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
