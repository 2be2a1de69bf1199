"""Prints the summary at the end of a run, for a person."""

from __future__ import annotations

from hdm.cli.output import say, size, spell_waiver
from hdm.orchestrators.base import RunReport


def summarise(report: RunReport) -> None:
    """Print each table's rows, bytes and status, then the run's notes and how it ended, on standard error.

    Tables that succeeded without a row are not listed.
    """
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
    for one in report.set_aside:
        say(f"  quarantine: {one.table} -> {one.sink}: {one.rows:,} row(s) of chunk {one.number}", err=True)
    for text in report.broken:
        say(f"  failed check: {text}", err=True)
    for text in report.unproven:
        say(f"  not proven equal: {text}", err=True)
    for gap in report.waived:
        say(f"  waived: {spell_waiver(gap)}", err=True)
    gaps = f", but for {len(report.waived)} waived chunk(s)" if report.waived else ""
    doubts = ", but a check of a table failed" if report.broken else ""
    doubts += ", but not proven equal to the source" if report.unproven else ""
    aside = sum(one.rows for one in report.set_aside)
    done = f"committed but for {aside:,} row(s) in quarantine" if aside else "all committed"
    words = {
        "success": f"{done}{gaps}{doubts}",
        "aborted": "stopped; run again to go on",
        "failure": "not all committed",
    }
    say(
        f"run {report.run_id[:12]}: {words.get(report.status, report.status)}, "
        f"{_what_moved(report)} in {report.seconds:.1f} s{_differing(report)}",
        err=True,
    )
    if report.set_aside:
        say("  rows in quarantine: see hdm quarantine list; then replay or waive them", err=True)
    if any("dead" in job.chunks for job in report.jobs):
        say("  dead chunks: see hdm status; mend the cause, then hdm retry (or hdm waive)", err=True)


def _what_moved(report: RunReport) -> str:
    moved = [job for job in report.arrived if job.rows]
    if not report.arrived:
        return "nothing moved"
    undone = sum(not job.rows and job.status != "success" for job in report.arrived)
    idle = f"{len(report.arrived) - len(moved) - undone} up to date"
    if undone:
        idle = f"{undone} not done, {idle}"
    return f"{idle}, {len(moved)} moved: {report.rows:,} new rows" if moved else f"{idle}, nothing moved"


def _differing(report: RunReport) -> str:
    """Return how many tables differ from the source, for the last line; the notes above have the details."""
    count = len(report.differing)
    tables = f"{count} tables differ" if count > 1 else "1 table differs"
    return f"; {tables} from the source below the watermark" if count else ""


def _mark(status: str) -> str:
    return "" if status == "success" else f" [{status}]"
