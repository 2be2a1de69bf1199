"""Defines ``StateManager``, the only object that reads and writes the state database."""

from __future__ import annotations

import inspect
from typing import ClassVar

from sqlalchemy import URL

from hdm.errors import UsageError
from hdm.state import redaction
from hdm.state.aggregates import chunks, files, jobs, lineage, operators, runs, trail, watermarks, workers
from hdm.state.db import upgrade as schema
from hdm.state.db.database import Database
from hdm.state.jobs import crawled_objects, gaps, import_original
from hdm.state.queries.reports import Reports
from hdm.state.tx.context import Base

_RENAMED = {
    "add_plan": "jobs.plan", "anchor": "trail.make_anchor", "artifact_deleted": "files.deleted",
    "begin_artifact": "files.begin", "close_job": "jobs.close", "close_run": "runs.close",
    "expendable_artifacts": "files.expendable", "latest_run": "runs.latest", "open_job": "jobs.open",
    "open_run": "runs.open", "register_worker": "workers.register", "retire_worker": "workers.retire",
    "run_jobs": "runs.jobs", "run_row": "runs.row", "stale_artifacts": "files.stale",
    "watermark": "watermarks.current",
}  # fmt: skip
"""Methods of ``StateManager`` in hdm 0.1.0 that have another name since they stand in an aggregate."""


class StateManager:
    """Records and returns every run, job, chunk and watermark.

    Safe for threads; reconnects after a fork. Its methods stand in aggregates: ``state.runs.open``,
    ``state.chunks.claim``. Most are one transaction; the others say so. They may raise ``StateUnavailable``
    or ``StateError``. A subclass names its own class for an aggregate that it changes: ``Chunks = MyChunks``.
    """

    Runs: ClassVar[type[runs.Runs]] = runs.Runs
    Workers: ClassVar[type[workers.Workers]] = workers.Workers
    Jobs: ClassVar[type[jobs.Jobs]] = jobs.Jobs
    Chunks: ClassVar[type[chunks.Chunks]] = chunks.Chunks
    Files: ClassVar[type[files.Files]] = files.Files
    Watermarks: ClassVar[type[watermarks.Watermarks]] = watermarks.Watermarks
    Operators: ClassVar[type[operators.Operators]] = operators.Operators
    Lineage: ClassVar[type[lineage.Lineage]] = lineage.Lineage
    Trail: ClassVar[type[trail.Trail]] = trail.Trail
    Gaps: ClassVar[type[gaps.Gaps]] = gaps.Gaps
    Crawls: ClassVar[type[crawled_objects.Crawls]] = crawled_objects.Crawls
    Reports: ClassVar[type[Reports]] = Reports

    def __init__(self, base: Base) -> None:
        self._base = base
        self.runs = self.Runs(base)
        self.workers = self.Workers(base)
        self.jobs = self.Jobs(base)
        self.chunks = self.Chunks(base)
        self.files = self.Files(base)
        self.watermarks = self.Watermarks(base)
        self.operators = self.Operators(base)
        self.lineage = self.Lineage(base)
        self.trail = self.Trail(base)
        self.gaps = self.Gaps(base)
        self.crawls = self.Crawls(base)
        self.reports = self.Reports(base)
        self.lease_ttl = base.lease_ttl

    def __init_subclass__(cls) -> None:
        """Raise ``UsageError`` if the class overrides a method that stands in an aggregate.

        Nothing would call it.
        """
        for name, given in vars(cls).items():
            if inspect.isfunction(given) and (moved := _moved(name)):
                place, _, method = moved.partition(".")
                aggregate = place.capitalize()
                raise UsageError(
                    f"{cls.__module__}.{cls.__qualname__} overrides {name}, which nothing calls: it is "
                    f"state.{moved} now",
                    hint=f"write class My{aggregate}(hdm.state.{aggregate}) with the method {method}, and in "
                    f"{cls.__qualname__}: {aggregate} = My{aggregate}",
                )

    @classmethod
    def open(
        cls,
        url: str | URL,
        *,
        create: bool = True,
        lease_ttl: float = 30.0,
        mask: redaction.Redact = redaction.redact,
    ) -> StateManager:
        """Connect to the state database at ``url``, and return its manager.

        With ``create``, an empty database gets its tables; else ``StateMissing`` is raised for it. Raises
        ``SchemaOutOfDate`` if the schema is older or newer than this hdm. ``lease_ttl`` is how many seconds a
        lease lasts. ``mask`` removes secrets from all text that is stored.
        """
        db = Database(url)
        try:
            schema.check(db, create=create)
        except BaseException:
            db.close()
            raise
        return cls(Base(db, mask, lease_ttl))

    def import_legacy(self, url: str | URL) -> dict[str, int]:
        """Import the table ``state_manager`` of hashmap_data_migrator from the database at ``url``.

        Returns how many rows were read, imported, and counted as 'success'. Raises ``UsageError`` if there is
        no such table.
        """
        return import_original.import_old(self._base, url)

    def close(self) -> None:
        """Close all connections to the state database."""
        self._base.db.close()

    def __enter__(self) -> StateManager:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _moved(name: str) -> str | None:
    """Return ``aggregate.method`` for the name of a method that stands in an aggregate, else None."""
    if name.startswith("_") or name in vars(StateManager):
        return None
    if name in _RENAMED:
        return _RENAMED[name]
    kinds = ((key, kind) for key, kind in vars(StateManager).items() if inspect.isclass(kind))
    return next((f"{key.lower()}.{name}" for key, kind in kinds if hasattr(kind, name)), None)
