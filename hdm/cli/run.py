"""hdm run: move what a manifest says; again: move what is left."""

from __future__ import annotations

from typing import Any

import click

from hdm.cli import run_log
from hdm.cli.options import manifest_options, max_wait_option, site_option
from hdm.cli.output import on_terminal, remark, say, size, spell_waiver
from hdm.cli.progress import Bars, JsonEvents, Quiet
from hdm.cli.selecting import select, to_refresh
from hdm.cli.signals import stop_signals
from hdm.orchestrators.base import RunReport, Session
from hdm.project import Project, open_project

MMAP_FROM = 4 * 1024 * 1024
"""Bytes from which malloc asks the system for each block and gives it back when it is freed."""


@click.command()
@manifest_options
@site_option
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="warning",
    show_default=True,
)
@click.option(
    "--select",
    "chosen",
    multiple=True,
    metavar="PATTERN",
    help="Only tables, sources or sinks of that name (* and ? stand for any); may be repeated.",
)
@click.option(
    "--full-refresh",
    "refreshed",
    multiple=True,
    metavar="PATTERN",
    help="Read these tables whole, whatever was read before, and nothing else; may be repeated.",
)
@click.option("--workers", type=click.IntRange(1, 256), help="Threads (default: the orchestrator's conf).")
@max_wait_option
@click.option("--quiet", "-q", is_flag=True, help="No bars and no summary; failures only.")
def command_run(
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    site: str | None,
    log_format: str,
    log_level: str,
    chosen: tuple[str, ...],
    refreshed: tuple[str, ...],
    workers: int | None,
    max_wait: float,
    quiet: bool,
) -> int:
    """Move what MANIFEST says; run it again to move what is left.

    Killed at any moment, it goes on where it stood. SIGTERM drains: no new chunk is claimed,
    those in work are finished or handed back, and the process ends within 30 seconds.
    """
    bound_memory()
    project = open_project(manifest, env, profiles, site)
    found = project.survey()
    prospects = select(found, (*chosen, *refreshed)) if chosen or refreshed else found
    refresh = to_refresh(found, refreshed, project.links)
    with stop_signals() as stop, project.open_state() as state:
        session = Session(
            state, project.links, prospects, project.run_info(), specs=project.specs, site=site,
            workers=workers, max_wait=max_wait, stop=stop, refresh=refresh,
            selected=len(prospects) < len(found),
        )  # fmt: skip
        return carry_out(project, session, log_format, quiet=quiet)


def bound_memory() -> None:
    """Give freed memory back, so that the peak follows the widest batches and not the number of them.

    Arrow's default allocator keeps much for each thread; jemalloc does not. Where Arrow is built without
    it, malloc serves. Python's own texts and bytes come from malloc, which raises the size from which it
    asks the system with each large block that is freed, up to 32 MiB, and then keeps freed blocks of that
    size: how many depends on what other threads do meanwhile. A threshold that is set stays where it is.
    M_ARENA_MAX is -8, M_MMAP_THRESHOLD -3 (mallopt(3)); without glibc nothing is changed.
    """
    import ctypes

    import pyarrow as pa

    try:
        pa.set_memory_pool(pa.jemalloc_memory_pool())
        pa.jemalloc_set_decay_ms(0)
    except NotImplementedError:
        pa.set_memory_pool(pa.system_memory_pool())
    try:
        ctypes.CDLL(None).mallopt(-8, 2)
        ctypes.CDLL(None).mallopt(-3, MMAP_FROM)
    except (OSError, AttributeError):
        return


def carry_out(project: Project, session: Session, log_format: str, *, quiet: bool) -> int:
    """Run a session with the right display; returns the exit code."""
    display: Any = (
        JsonEvents() if log_format == "json" else (Bars() if on_terminal() and not quiet else Quiet())
    )

    def opened(run_id: str, taken: int) -> None:
        run_log.run_started(run_id, project.plan, session.info.started_by, session.info.host)
        _opened(display, run_id, taken, quiet=quiet)

    session.opened = opened
    session.waits = lambda host, chunks, seconds: _waits(display, host, chunks, seconds, quiet=quiet)
    with display.observing() as observer:
        session.observer = run_log.logged(observer)
        report = project.orchestrator.run(session)
    run_log.run_ended(report)
    if log_format == "json":
        for text in report.notes:
            display.say("note", run=report.run_id, message=text)
        for text in report.failed:
            display.say("table.failed", run=report.run_id, message=text)
        display.say("run.ended", run=report.run_id, status=report.status, rows=report.rows,
                    seconds=round(report.seconds, 3), exit_code=report.exit_code,
                    differing=list(report.differing), notes=list(report.notes))  # fmt: skip
    elif not quiet:
        summarise(report)
    return report.exit_code


def _opened(display: Any, run_id: str, taken: int, *, quiet: bool) -> None:
    if isinstance(display, JsonEvents):
        display.say("run.started", run=run_id, taken_over=taken)
    elif taken and not quiet:
        remark(f"took over {taken} chunk(s) from a dead process of this host")


def _waits(display: Any, host: str, chunks: int, seconds: float, *, quiet: bool) -> None:
    if isinstance(display, JsonEvents):
        display.say("lease.waiting", host=host, chunks=chunks, seconds=seconds)
    elif not quiet:
        name = host.split("/", maxsplit=1)[0]
        remark(f"{chunks} chunk(s) are leased to host {name}: if it is dead, up to {seconds:.0f} s to wait")


def summarise(report: RunReport) -> None:
    """The closing lines for a person."""
    for job in report.jobs:
        if not job.rows and job.status == "success":
            continue
        rows = f"{job.rows:,} rows"
        parts = ", ".join(f"{count} {status}" for status, count in sorted(job.chunks.items()))
        line = f"{job.table} -> {job.sink}: {rows}, {size(job.bytes)}"
        say(f"  {line}{' (' + parts + ')' if parts else ''}{_mark(job.status)}", err=True)
    for text in report.notes:
        say(f"  note: {text}", err=True)
    for text in report.failed:
        say(f"  failed: {text}", err=True)
    for gap in report.waived:
        say(f"  waived: {spell_waiver(gap)}", err=True)
    gaps = f", but for {len(report.waived)} waived chunk(s)" if report.waived else ""
    words = {
        "success": f"all committed{gaps}",
        "aborted": "stopped; run again to go on",
        "failure": "not all committed",
    }
    say(
        f"run {report.run_id[:12]}: {words.get(report.status, report.status)}, "
        f"{_what_moved(report)} in {report.seconds:.1f} s{_differing(report)}",
        err=True,
    )
    if any("dead" in job.chunks for job in report.jobs):
        say("  dead chunks: see hdm status; mend the cause, then hdm retry (or hdm waive)", err=True)


def _what_moved(report: RunReport) -> str:
    moved = [job for job in report.arrived if job.rows]
    if not report.arrived:
        return "nothing moved"
    idle = f"{len(report.arrived) - len(moved)} up to date"
    return f"{idle}, {len(moved)} moved: {report.rows:,} new rows" if moved else f"{idle}, nothing moved"


def _differing(report: RunReport) -> str:
    """What the last line must not leave unsaid: the notes above it say more."""
    count = len(report.differing)
    tables = f"{count} tables differ" if count > 1 else "1 table differs"
    return f"; {tables} from the source below the watermark" if count else ""


def _mark(status: str) -> str:
    return "" if status == "success" else f" [{status}]"
