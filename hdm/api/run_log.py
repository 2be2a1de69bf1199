"""Writes a run's progress to Python's logging: start and end of run and tables, and each chunk's outcome.

The logger is ``hdm.run``. A commit, and a chunk that waits for an unreachable system, have level info; a
failed attempt that is followed by another is a warning, a dead chunk an error.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from hdm.config.secrets import redact
from hdm.orchestrators.base import RunReport
from hdm.planning.plan import Plan
from hdm.runtime.thread_engine import Observer
from hdm.runtime.worker import Outcome
from hdm.state import Lease

RUN = "hdm.run"
log = logging.getLogger(RUN)


def logged(observer: Observer) -> Observer:
    """Return an observer that logs what a run reports and then passes it to ``observer``."""

    def started(lease: Lease) -> None:
        log.debug("chunk begun: %s", _about(lease))
        observer.started(lease)

    def settled(outcome: Outcome) -> None:
        _settled(outcome)
        observer.settled(outcome)

    def said(event: str, text: str) -> None:
        log.warning("%s: %s", event, redact(text))
        observer.said(event, text)

    return replace(observer, started=started, settled=settled, said=said)


def run_started(run_id: str, plan: Plan, user: str, host: str) -> None:
    """Log that a run started: its id, its manifest, its user and host."""
    log.info(
        "run started: run=%s manifest=%s sha256=%s env=%s user=%s host=%s",
        run_id, plan.manifest_path, plan.manifest_sha256[:12], plan.env, user, host,
    )  # fmt: skip


def run_ended(report: RunReport) -> None:
    """Log how each table and the whole run ended."""
    for job in report.jobs:
        log.log(
            logging.INFO if job.status == "success" else logging.ERROR,
            "table ended: run=%s table=%s target=%s status=%s rows=%d bytes=%d chunks=%s",
            report.run_id, job.table, job.sink, job.status, job.rows, job.bytes,
            ",".join(f"{status}:{count}" for status, count in sorted(job.chunks.items())) or "none",
        )  # fmt: skip
    for text in report.failed:
        log.error("table failed: run=%s %s", report.run_id, redact(text))
    for text in report.broken:
        log.error("check failed: run=%s %s", report.run_id, redact(text))
    for text in report.unproven:
        log.error("table differs: run=%s %s", report.run_id, redact(text))
    log.log(
        logging.INFO if report.status == "success" else logging.ERROR,
        "run ended: run=%s status=%s rows=%d seconds=%.1f exit_code=%d",
        report.run_id, report.status, report.rows, report.seconds, report.exit_code,
    )  # fmt: skip


def _settled(outcome: Outcome) -> None:
    about: Any = _about(outcome.lease)
    if outcome.receipt is not None:
        log.info("chunk committed: %s rows=%d bytes=%d", about, outcome.receipt.rows, outcome.receipt.bytes)
    elif outcome.waits:
        log.info("chunk put back: %s error=%s", about, type(outcome.error).__name__)
    elif outcome.error is not None:
        level, what = (logging.ERROR, "dead") if outcome.buried else (logging.WARNING, "to be tried again")
        error = outcome.error
        hint = f" hint={error.hint}" if error.hint else ""
        said = redact(f"error={type(error).__name__} message={error.message}{hint}")
        log.log(level, "chunk %s: %s %s", what, about, said)


def _about(lease: Lease) -> str:
    info = lease.job.info
    return (
        f"table={info.source.dataset.name} link={info.source_name}->{info.sink_name} "
        f"chunk={lease.chunk.chunk_id[:12]} number={lease.chunk.number} attempt={lease.attempt}"
    )
