"""Compares runs, workers, jobs and what belongs to them with the events about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from hdm.model import Dataset
from hdm.state.db.tables import (
    column_lineage,
    dataset,
    dataset_schema,
    follow,
    job,
    job_upstream,
    manifest,
    run,
    run_job,
    validation,
    watermark,
    worker,
)
from hdm.state.queries.facts import Facts, JobFacts, RunFacts, newest
from hdm.state.queries.verify_chunks import differs
from hdm.state.tx.seals import (
    CHECK,
    COLUMNS,
    FOLLOW,
    RUN,
    RUN_END,
    SCHEMA,
    WATERMARK,
    WORKER,
    Sum,
    is_job_seal,
    seal,
    sum_of,
    text_seal,
)

Row = Mapping[str, Any]
Found = Iterator[tuple[str, str]]
"""Pairs of a run's id and a text that says what is wrong."""


def rows(conn: Connection, table: Any) -> Iterator[Row]:
    """Yield all rows of a table, fetched a few at a time."""
    for found in conn.execute(select(table), execution_options={"yield_per": 2000}).mappings():
        yield dict(found)


def runs(conn: Connection, facts: Facts) -> Found:
    """Compare each run's row, its workers and its manifest's text with the events; yield the differences."""
    for row in rows(conn, run):
        run_id = row["run_id"]
        told = facts.runs.get(run_id, RunFacts())
        for text in _of_run(row, told):
            yield run_id, text
        facts.runs.get(run_id, RunFacts()).there = True
    for run_id in sorted(key for key, told in facts.runs.items() if not told.there):
        yield run_id, "told of by its events, and gone"
    there = set()
    for row in rows(conn, worker):
        there.add(row["worker_id"])
        if row["worker_id"] not in facts.workers:
            yield row["run_id"], f"worker {row['worker_id'][:12]}: no event tells of it"
        elif facts.workers[row["worker_id"]] not in (None, seal("worker", WORKER, row)):
            yield row["run_id"], f"worker {row['worker_id'][:12]}: not as its event sealed it"
    for gone in sorted(facts.workers.keys() - there):
        yield "", f"worker {gone[:12]}: told of by an event, and gone"
    texts = {row["text_sha256"]: row["body"] for row in rows(conn, manifest)}
    for key in sorted(facts.texts | texts.keys()):
        if key not in texts:
            yield "", f"the manifest's text {key[:12]} is gone"
        elif text_seal(texts[key]) != key:
            yield "", f"the manifest's text {key[:12]} was changed"
        elif key not in facts.texts:
            yield "", f"the manifest's text {key[:12]}: no event tells of it"


def _of_run(row: Row, told: RunFacts) -> Iterator[str]:
    if told.opened is None:
        if not told.old_import:
            yield "its chain does not say that it was opened"
        return
    named = {"manifest": "manifest_name", "env": "env", "manifest_sha256": "manifest_sha256",
             "started_by": "started_by", "resumed_from": "resumed_from"}  # fmt: skip
    plain = [column for name, column in named.items() if row[column] != told.opened.get(name)]
    for column in plain:
        yield f"{column} is not what its events say"
    if not plain and "seal" in told.opened and seal("run", RUN, row) != told.opened["seal"]:
        yield "its row is not as its first event sealed it"
    if row["status"] != told.end_status:
        yield f"status is {row['status']}, its events say {told.end_status}"
    elif told.end is not None and "seal" in told.end:
        if seal("run", RUN_END, row) != told.end["seal"]:
            yield "how and when it ended is not what its events sealed"
    elif row["ended_at"] != told.end_at or row["error_class"] != (told.end or {}).get("error_class"):
        yield "how and when it ended is not what its events say"


def jobs(conn: Connection, facts: Facts, known: Mapping[str, Row]) -> Found:
    """Compare each job's row and all that belongs to it with the events; yield the differences.

    Its runs, columns, checks, watermarks, upstream chunks and schemas belong to it. ``known`` has the jobs'
    rows by id.
    """
    pairs = {(row["run_id"], row["job_id"]) for row in rows(conn, run_job)}
    for run_id, job_id in sorted(pairs ^ facts.pairs):
        if facts.runs.get(run_id, RunFacts()).old_import:
            continue
        which = "no event tells of it" if (run_id, job_id) in pairs else "told of by an event, and gone"
        yield run_id, f"part in job {job_id[:12]}: {which}"
    upstream: dict[str, list[str]] = defaultdict(list)
    for row in rows(conn, job_upstream):
        upstream[row["job_id"]].append(row["upstream_key"])
    for job_id in sorted(known.keys() | facts.jobs.keys()):
        found, told = known.get(job_id), facts.jobs.get(job_id)
        run_id = found["run_id"] if found else ""
        for text in _of_job(found, told, sorted(upstream[job_id]), facts):
            yield run_id, f"job {job_id[:12]}: {text}"
    for what, text in _belongings(conn, facts, known):
        yield what, text
    yield from _schemas(conn, facts, known.values())


def _of_job(found: Row | None, told: JobFacts | None, upstream: list[str], facts: Facts) -> Iterator[str]:
    if found is None:
        yield "told of by events, and gone"
        return
    if told is None or (told.pipeline is None and told.imported is None):
        if not facts.runs.get(found["run_id"], RunFacts()).old_import:
            yield "no event tells of it"
        return
    if told.pipeline is not None and told.pipeline != found["pipeline_key"]:
        yield "pipeline_key is not what its events say"
    if sealed := newest(told.rows):
        if not any(is_job_seal(one.value, found) for one in sealed):
            yield f"its row is not as event {sealed[-1].seq} of run {sealed[-1].run_id[:12]} sealed it"
    elif told.status is not None and told.status != found["status"]:
        yield f"status is {found['status']}, its events say {told.status}"
    wanted = newest(told.upstream)
    if wanted and upstream not in [one.value for one in wanted]:
        yield "what it follows is not what its events say"


def _belongings(conn: Connection, facts: Facts, known: Mapping[str, Row]) -> Found:
    columns = _by_job(rows(conn, column_lineage), ("column_lineage", COLUMNS))
    checks = rows(conn, validation)
    counted: dict[str, Sum] = defaultdict(Sum)
    results: dict[str, Sum] = defaultdict(Sum)
    for row in checks:
        kept = counted if row["kind"] == "row_count" and row["source_value"] is not None else results
        kept[row["job_id"]].add("validation", CHECK, row)
    marks = _by_job(rows(conn, watermark), ("watermark", WATERMARK))
    followed: dict[str, Sum] = defaultdict(Sum)
    for row in rows(conn, follow):
        followed[row["job_id"]].add("follow", FOLLOW[1:], row)
        if row["job_id"] in known and known[row["job_id"]]["pipeline_key"] != row["pipeline_key"]:
            yield known[row["job_id"]]["run_id"], f"job {row['job_id'][:12]}: a follower of another pipeline"
    for job_id in sorted(facts.jobs.keys() | known.keys()):
        told = facts.jobs.get(job_id, JobFacts())
        run_id = known[job_id]["run_id"] if job_id in known else ""
        pairs = [("comparisons", counted, told.counted), ("followed chunks", followed, told.followed)]
        if told.sealed:
            pairs += [("check results", results, told.results), ("watermarks", marks, told.marks)]
        for what, there, wanted in pairs:
            if there.get(job_id, Sum()) != wanted:
                yield run_id, f"job {job_id[:12]}: {differs(what, there.get(job_id, Sum()), wanted)}"
        lines = newest(told.columns)
        if lines and columns.get(job_id, Sum()).told() not in [one.value for one in lines]:
            yield run_id, f"job {job_id[:12]}: its column lineage is not as its events sealed it"


def _by_job(found: Iterable[Row], how: tuple[str, tuple[str, ...]]) -> dict[str, Sum]:
    sums: dict[str, Sum] = defaultdict(Sum)
    for row in found:
        table, names = how
        sums[row["job_id"]].add(table, names, row)
    return sums


def _schemas(conn: Connection, facts: Facts, jobs: Iterable[Row]) -> Found:
    sums: dict[str, Sum] = defaultdict(Sum)
    named = {one[side] for one in jobs for side in ("source_dataset_id", "sink_dataset_id")}
    for row in rows(conn, dataset_schema):
        named.add(row["dataset_id"])
        sums[row["run_id"]].merge(sum_of("dataset_schema", SCHEMA, [row]).told())
    for run_id, told in sorted(facts.runs.items()):
        if told.opened is None or "seal" not in told.opened:
            continue
        if sums.get(run_id, Sum()) != told.schemas:
            yield run_id, differs("schemas and acceptances", sums.get(run_id, Sum()), told.schemas)
    for run_id in sorted(sums.keys() - facts.runs.keys()):
        yield run_id, "schemas and acceptances: no event tells of them"
    for row in rows(conn, dataset):
        named.discard(row["dataset_id"])
        if Dataset(row["namespace"], row["name"]).dataset_id != row["dataset_id"]:
            yield "", f"dataset {row['dataset_id'][:12]}: its name is not the one it was given"
    for gone in sorted(named):
        yield "", f"dataset {gone[:12]}: named by jobs or schemas, and gone"


def all_jobs(conn: Connection) -> dict[str, Row]:
    """Return every job's row by the job's id."""
    return {row["job_id"]: row for row in rows(conn, job)}
