"""Queries of the command line about runs, jobs and chunks; they change nothing."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, or_, select, text

from hdm.model.json import chunk_from_json
from hdm.state.db.tables import chunk, dataset, dead_letter, event, job, run, run_job, validation, watermark
from hdm.state.queries.planner_reports import PlannerReports
from hdm.state.queries.set_aside import SetAsideRows
from hdm.state.queries.standing import Standing, jobs_of, of_manifest
from hdm.state.records import DEAD, DONE, SUPERSEDED, WAIVED

_FAILED = (validation.c.status.in_(("fail", "error")), validation.c.severity == "error")


class TableReport(NamedTuple):
    """Progress of one job in a run.

    ``rows`` and ``bytes`` are what this run committed.
    """

    table: str
    sink: str
    target: str
    status: str
    rows: int
    bytes: int
    chunks: dict[str, int]
    epoch: int


class Reports(Standing, SetAsideRows, PlannerReports):
    """All queries of ``StateManager.reports``; they change nothing."""

    # -- for the command line ------------------------------------------------

    def of_run(self, run_id: str) -> list[TableReport]:
        """Return a report on each job that takes part in a run, upstream before downstream."""
        return self._base.db.read(lambda conn: self._of_run(conn, run_id))

    def failed_validations(self, run_id: str) -> int:
        """Return how many checks of severity ``error`` did not pass in the jobs of a run.

        Comparisons of row counts with the target are among them.
        """
        query = (
            select(func.count())
            .select_from(validation.join(run_job, run_job.c.job_id == validation.c.job_id))
            .where(run_job.c.run_id == run_id, *_FAILED)
        )
        return int(self._base.db.read(lambda conn: conn.execute(query).scalar()) or 0)

    def runs(self, manifest_name: str, env: str, links: Collection[str] = ()) -> list[dict[str, Any]]:
        """Return every run of a manifest, newest first.

        These are the runs with the manifest's name and environment, and those with a job of one of ``links``.
        ``links`` are link keys, which stay the same when a manifest is renamed.
        """
        columns = (
            run.c.run_id, run.c.status, run.c.started_at, run.c.ended_at, run.c.started_by, run.c.git_sha,
            run.c.hdm_version, run.c.resumed_from, run.c.error_class, run.c.manifest_name.label("manifest"),
        )  # fmt: skip
        query = select(*columns).where(of_manifest(manifest_name, env, links))
        return self._rows(query.order_by(run.c.started_at.desc()))

    def manifests(self) -> list[tuple[str, str]]:
        """Return the name and environment of every manifest that has a run, each pair once."""
        query = select(run.c.manifest_name, run.c.env).distinct().order_by(run.c.manifest_name, run.c.env)
        return [(row["manifest_name"], row["env"]) for row in self._rows(query)]

    def run_ids(self) -> list[str]:
        """Return the ids of all runs in the database, oldest first."""
        query = select(run.c.run_id).order_by(run.c.started_at, run.c.run_id)
        return [str(row["run_id"]) for row in self._rows(query)]

    def find_run(
        self, manifest_name: str, env: str, prefix: str | None, links: Collection[str] = ()
    ) -> str | None:
        """Return the id of a manifest's newest run whose id begins with ``prefix``; None if there is none.

        Without ``prefix``, the newest of all. ``links`` are the link keys of the manifest: its runs under an
        older name are then searched, too.
        """
        for row in self.runs(manifest_name, env, links):
            if prefix is None or str(row["run_id"]).startswith(prefix):
                return str(row["run_id"])
        return None

    def job_rows(self, run_id: str) -> list[dict[str, Any]]:
        """Return each job of a run as a dictionary: chunks by status, rows, watermark and failed checks."""
        return self._base.db.read(lambda conn: self._job_rows(conn, run_id))

    def failures(self, run_id: str) -> dict[str, str]:
        """Return why jobs could not be planned in a run, by job id; by pipeline key if no job was opened."""
        query = (
            select(event.c.job_id, event.c.payload)
            .where(event.c.run_id == run_id, event.c.event_type == "job.failed")
            .order_by(event.c.seq)
        )
        rows = self._base.db.read(lambda conn: conn.execute(query).all())
        told = [(row.job_id, json.loads(row.payload)) for row in rows]
        return {job_id or payload["pipeline"]: payload["message"] for job_id, payload in told}

    def dead(self, manifest_name: str, env: str, links: Collection[str] = ()) -> list[dict[str, Any]]:
        """Return a manifest's dead chunks as dictionaries, each with its table and its error.

        ``links`` are the link keys of the manifest: its runs under an older name are then searched, too.
        """
        mine = jobs_of(manifest_name, env, links)
        query = (
            select(
                dataset.c.name.label("table"), job.c.sink_name.label("sink"), chunk.c.chunk_id,
                chunk.c.chunk_no.label("number"), chunk.c.attempt.label("attempts"),
                chunk.c.error_class.label("error"), chunk.c.error_msg.label("message"),
                dead_letter.c.created_on.label("since"),
            )
            .join(job, job.c.job_id == chunk.c.job_id)
            .join(dataset, dataset.c.dataset_id == job.c.source_dataset_id)
            .outerjoin(
                dead_letter,
                (dead_letter.c.chunk_id == chunk.c.chunk_id) & (dead_letter.c.row_no == -1),
            )
            .where(chunk.c.status == DEAD, chunk.c.job_id.in_(mine))
            .order_by(dataset.c.name, chunk.c.chunk_no)
        )  # fmt: skip
        return self._rows(query)

    def root_chunks(self, manifest_name: str, env: str) -> list[dict[str, Any]]:
        """Return every committed, waived or dead chunk that a manifest's jobs read from a source.

        Each is a dictionary with its table, its id, its content, its status and its rows.
        """
        mine = (
            select(run_job.c.job_id)
            .join(run, run.c.run_id == run_job.c.run_id)
            .where(run.c.manifest_name == manifest_name, run.c.env == env)
        )
        query = (
            select(
                dataset.c.name.label("table"), chunk.c.chunk_id, chunk.c.body, chunk.c.status,
                chunk.c.rows_loaded.label("rows"),
            )
            .join(job, job.c.job_id == chunk.c.job_id)
            .join(dataset, dataset.c.dataset_id == job.c.source_dataset_id)
            .where(chunk.c.corr_in.is_(None), chunk.c.status.in_((*DONE, DEAD)), chunk.c.job_id.in_(mine))
            .order_by(dataset.c.name, chunk.c.chunk_no)
        )  # fmt: skip
        return [{**row, "chunk": chunk_from_json(row["body"])} for row in self._rows(query)]

    def find_datasets(self, name: str) -> list[str]:
        """Return the full names of datasets that are called ``name`` or end with it after a dot or slash."""
        query = select(dataset.c.name).where(_named(name)).order_by(dataset.c.name)
        return [str(row["name"]) for row in self._rows(query)]

    def chunks_of(self, name: str) -> list[dict[str, Any]]:
        """Return every chunk that was read from or written to a dataset called ``name``.

        Datasets that end with ``name`` after a dot or slash count, too.
        """
        source, target = dataset.alias(), dataset.alias()
        query = (
            select(
                source.c.name.label("from"), target.c.name.label("to"), chunk.c.chunk_id,
                chunk.c.source_filter.label("rows where"), chunk.c.status,
                chunk.c.rows_loaded.label("rows"), chunk.c.content_sha256.label("sha256"), job.c.run_id,
            )
            .join(job, job.c.job_id == chunk.c.job_id)
            .join(source, source.c.dataset_id == job.c.source_dataset_id)
            .join(target, target.c.dataset_id == job.c.sink_dataset_id)
            .where(or_(_named(name, source), _named(name, target)))
            .order_by(job.c.stage_no, job.c.epoch, chunk.c.chunk_no)
        )  # fmt: skip
        return self._rows(query)

    def schema_version(self) -> str:
        """Return the version of the database's schema, as alembic names it."""
        query = text("SELECT version_num FROM hdm_schema_version")
        return str(self._base.db.read(lambda conn: conn.execute(query).scalar()))

    def clock(self) -> str:
        """Return the database server's time: UTC, ISO 8601 with microseconds and ``Z``."""
        from hdm.state.db import clock

        return str(self._base.db.read(lambda conn: conn.execute(select(clock.now)).scalar()))

    def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        return self._base.db.read(lambda conn: [dict(row) for row in conn.execute(query).mappings().all()])

    def _of_run(self, conn: Connection, run_id: str) -> list[TableReport]:
        moved = _moved(conn, run_id)
        counts = _counts(conn, run_id)
        source, target = dataset.alias(), dataset.alias()
        query = (
            select(
                job.c.job_id, source.c.name, job.c.sink_name, target.c.name.label("target"), job.c.status,
                job.c.epoch,
            )
            .join(run_job, run_job.c.job_id == job.c.job_id)
            .join(source, source.c.dataset_id == job.c.source_dataset_id)
            .join(target, target.c.dataset_id == job.c.sink_dataset_id)
            .where(run_job.c.run_id == run_id)
            .order_by(job.c.stage_no, source.c.name)
        )  # fmt: skip
        reports = []
        for row in conn.execute(query).all():
            rows, size = moved.get(row.job_id, (0, 0))
            chunks = counts.get(row.job_id, {})
            reports.append(
                TableReport(row.name, row.sink_name, row.target, row.status, rows, size, chunks, row.epoch)
            )
        return reports

    def _job_rows(self, conn: Connection, run_id: str) -> list[dict[str, Any]]:
        counts = _counts(conn, run_id)
        newest = select(watermark.c.pipeline_key, watermark.c.value).order_by(watermark.c.seq)
        marks = {row[0]: row[1] for row in conn.execute(newest).all()}
        wrong = select(validation.c.job_id, func.count()).where(*_FAILED).group_by(validation.c.job_id)
        failed = {row[0]: int(row[1]) for row in conn.execute(wrong).all()}
        aside = _set_aside(conn, run_id)
        keys = select(run_job.c.job_id, job.c.pipeline_key, job.c.source_name, job.c.reading).join(
            job, job.c.job_id == run_job.c.job_id
        )
        known = {row.job_id: row for row in conn.execute(keys.where(run_job.c.run_id == run_id)).all()}
        rows = []
        for job_id, one in zip(_job_ids(conn, run_id), self._of_run(conn, run_id), strict=True):
            by = counts.get(job_id, {})
            rows.append(
                {
                    "job": job_id,
                    "table": one.table,
                    "link": f"{known[job_id].source_name} -> {one.sink}",
                    "status": one.status,
                    "epoch": one.epoch,
                    "rows": one.rows,
                    "bytes": one.bytes,
                    "done": sum(by.get(status, 0) for status in DONE),
                    "open": sum(by.get(status, 0) for status in ("pending", "leased", "written")),
                    "dead": by.get(DEAD, 0),
                    "waived": by.get(WAIVED, 0),
                    "failed_checks": failed.get(job_id, 0),
                    "set_aside": aside.get(job_id, 0),
                    "watermark": marks.get(known[job_id].pipeline_key),
                    "differs": _said(known[job_id].reading),
                }
            )
        return rows


def _said(reading: str | None) -> list[str]:
    """Return the plan's findings about rows of the source that differ from what was moved."""
    return [str(text) for text in json.loads(reading).get("said", ())] if reading else []


def _job_ids(conn: Connection, run_id: str) -> list[str]:
    source = dataset.alias()
    query = (
        select(job.c.job_id)
        .join(run_job, run_job.c.job_id == job.c.job_id)
        .join(source, source.c.dataset_id == job.c.source_dataset_id)
        .where(run_job.c.run_id == run_id)
        .order_by(job.c.stage_no, source.c.name)
    )
    return list(conn.execute(query).scalars())


def _named(name: str, table: Any = dataset) -> Any:
    return or_(
        table.c.name == name,
        table.c.name.endswith(f".{name}", autoescape=True),
        table.c.name.endswith(f"/{name}", autoescape=True),
    )


def _moved(conn: Connection, run_id: str) -> dict[str, tuple[int, int]]:
    """Return the rows and bytes that this run itself committed, by job."""
    committed = (
        select(event.c.chunk_id).where(event.c.run_id == run_id, event.c.to_status == "committed").distinct()
    )
    query = (
        select(chunk.c.job_id, func.sum(chunk.c.rows_loaded), func.sum(chunk.c.bytes))
        .where(chunk.c.chunk_id.in_(committed))
        .group_by(chunk.c.job_id)
    )
    return {row[0]: (int(row[1] or 0), int(row[2] or 0)) for row in conn.execute(query).all()}


def _set_aside(conn: Connection, run_id: str) -> dict[str, int]:
    """Return how many rows of each job of a run were set aside, whatever became of them."""
    query = (
        select(chunk.c.job_id, func.sum(chunk.c.rows_rejected))
        .join(run_job, run_job.c.job_id == chunk.c.job_id)
        .where(run_job.c.run_id == run_id, chunk.c.rows_rejected > 0, chunk.c.status.in_(DONE))
        .group_by(chunk.c.job_id)
    )
    return {row[0]: int(row[1]) for row in conn.execute(query).all()}


def _counts(conn: Connection, run_id: str) -> dict[str, dict[str, int]]:
    query = (
        select(chunk.c.job_id, chunk.c.status, func.count())
        .join(run_job, run_job.c.job_id == chunk.c.job_id)
        .where(run_job.c.run_id == run_id, chunk.c.status != SUPERSEDED)
        .group_by(chunk.c.job_id, chunk.c.status)
    )
    found: dict[str, dict[str, int]] = {}
    for job_id, status, number in conn.execute(query).all():
        found.setdefault(job_id, {})[status] = int(number)
    return found
