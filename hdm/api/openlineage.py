"""Makes OpenLineage events of what is on record: https://openlineage.io/docs/spec/run-cycle.

One link's work on one table in one run is an OpenLineage run: START, then COMPLETE, FAIL or ABORT. The same
records always give the same events, with the same ids and times, so that one that is sent twice is known.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from hdm._version import __version__
from hdm.model import Table

_SPEC = "https://openlineage.io/spec"
_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = {
    "schema": "1-2-0/SchemaDatasetFacet",
    "columnLineage": "1-2-0/ColumnLineageDatasetFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
    "dataQualityMetrics": "1-0-3/DataQualityMetricsInputDatasetFacet",
    "dataQualityAssertions": "1-1-0/DataQualityAssertionsDatasetFacet",
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
    "parent": "1-2-0/ParentRunFacet",
}
PRODUCER = f"hdm:hdm/{__version__}"
_IDS = uuid.UUID("5a0f2cf8-6d0e-5d3c-9a3d-7a1d2f9f4b11")
"""The namespace of the ids that are made of ids on record."""
Row = dict[str, Any]


def events_of(told: Mapping[str, Any]) -> Iterator[tuple[int, Row]]:
    """Yield the OpenLineage events of a run, each with the number of the event on record behind it.

    ``told`` is what the state database returned about the run. A job that the run began and did not close
    ends with ABORT when the run ends.
    """
    jobs, run = told["jobs"], told["run"]
    begun: dict[str, bool] = {}
    for one in told["events"]:
        kind, job = one["event_type"], jobs.get(one["job_id"])
        if kind.startswith("run."):
            for open_job in [key for key, at_work in begun.items() if at_work]:
                begun[open_job] = False
                yield one["seq"], _event("ABORT", one, run, jobs[open_job])
        elif job is None:
            continue
        elif kind in ("job.opened", "job.adopted"):
            if not begun.get(one["job_id"]):
                begun[one["job_id"]] = True
                yield one["seq"], _event("START", one, run, job)
        elif begun.get(one["job_id"]):
            begun[one["job_id"]] = False
            good = kind != "job.failed" and one["to_status"] == "success"
            yield one["seq"], _event("COMPLETE" if good else "FAIL", one, run, job)


def _event(kind: str, one: Mapping[str, Any], run: Mapping[str, Any], job: Row) -> Row:
    ended = kind != "START"
    facets: Row = {"parent": _facet("parent", run=_run(run), job=_job(run))}
    if kind in ("FAIL", "ABORT"):
        why = one["payload"].get("message") or f"the job is {one['to_status']}"
        facets["errorMessage"] = _facet("errorMessage", message=str(why), programmingLanguage="Python")
    return {
        "eventType": kind,
        "eventTime": one["at_db"],
        "producer": PRODUCER,
        "schemaURL": _EVENT,
        "run": {"runId": _id(run["run_id"], job["job_id"]), "facets": facets},
        "job": {
            "namespace": f"hdm/{run['env']}",
            "name": f"{run['manifest_name']}.{job['source_dataset']} to {job['sink_name']}",
            "facets": {},
        },
        "inputs": [_input(job, ended=ended, checked=kind == "COMPLETE")],
        "outputs": [_output(job, ended=ended)],
    }


def _run(run: Mapping[str, Any]) -> Row:
    return {"runId": _id(run["run_id"])}


def _job(run: Mapping[str, Any]) -> Row:
    return {"namespace": f"hdm/{run['env']}", "name": run["manifest_name"]}


def _id(*parts: str) -> str:
    return str(uuid.uuid5(_IDS, " ".join(parts)))


def _input(job: Mapping[str, Any], *, ended: bool, checked: bool) -> Row:
    """Return the source; results of checks only if every chunk passed on: a dead one has none on record."""
    found = {
        "namespace": job["source_namespace"],
        "name": job["source_dataset"],
        "facets": {"schema": _schema(job["source"])},
        "inputFacets": {},
    }
    if ended:
        metrics = _facet("dataQualityMetrics", rowCount=job["extracted"], columnMetrics={})
        found["inputFacets"]["dataQualityMetrics"] = metrics
        if checked and job["checks"]:
            found["inputFacets"]["dataQualityAssertions"] = _facet(
                "dataQualityAssertions", assertions=[_assertion(one) for one in job["checks"]]
            )
    return found


def _assertion(one: Mapping[str, Any]) -> Row:
    said: Row = {"assertion": one["kind"], "success": one["least"] == one["most"] == "pass"}
    said["severity"] = one["severity"]
    return said | ({"column": one["column_name"]} if one["column_name"] else {})


def _output(job: Mapping[str, Any], *, ended: bool) -> Row:
    found: Row = {
        "namespace": job["target_namespace"],
        "name": job["target_dataset"],
        "facets": {"schema": _schema(job["target"])},
        "outputFacets": {},
    }
    if job["columns"]:
        found["facets"]["columnLineage"] = _column_lineage(job)
    if ended:
        statistics = _facet("outputStatistics", rowCount=job["rows"], size=job["bytes"])
        found["outputFacets"]["outputStatistics"] = statistics
    return found


def _schema(table: Table) -> Row:
    fields = [{"name": one.name, "type": one.native or one.kind.value} for one in table.columns]
    return _facet("schema", fields=fields)


def _column_lineage(job: Mapping[str, Any]) -> Row:
    """Return where each column comes from; a column of which nobody knows that is left out."""
    fields: dict[str, Row] = {}
    whole: list[Row] = []
    for line in job["columns"]:
        if line["transform_type"] == "UNKNOWN":
            continue
        if line["sink_column"] == "*":
            whole.append(_from(job, line))
            continue
        inputs = fields.setdefault(line["sink_column"], {"inputFields": []})["inputFields"]
        if line["source_column"]:
            inputs.append(_from(job, line))
    return _facet("columnLineage", fields=fields, **({"dataset": whole} if whole else {}))


def _from(job: Mapping[str, Any], line: Mapping[str, Any]) -> Row:
    how: Row = {"type": line["transform_type"], "subtype": line["transform_subtype"]}
    how["masking"] = bool(line["masking"])
    if line["expression"]:
        how["description"] = line["expression"]
    return {
        "namespace": job["source_namespace"], "name": job["source_dataset"], "field": line["source_column"],
        "transformations": [how],
    }  # fmt: skip


def _facet(kind: str, **values: Any) -> Row:
    name = _FACETS[kind]
    url = f"{_SPEC}/facets/{name}.json#/$defs/{name.rpartition('/')[2]}"
    return {"_producer": PRODUCER, "_schemaURL": url, **values}
