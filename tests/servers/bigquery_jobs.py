"""Jobs and tables of the stand-in for BigQuery, as its REST API shows them."""

from __future__ import annotations

import io
import json
import re
import threading
import time
import traceback
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from urllib.request import urlopen

import duckdb
import pyarrow.parquet as pq

from tests.servers.bigquery_parts import Refused, Result, Session, Table, quoted
from tests.servers.bigquery_sql import Warehouse
from tests.servers.bigquery_values import cells, duck, field, parameter

PROJECT = "tests"
_PAGE_BYTES = 8_000_000


class Service:
    """Jobs and tables of one project."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.warehouse = Warehouse(PROJECT)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.results: dict[str, Result] = {}
        self.uploads: dict[str, tuple[dict[str, Any], io.BytesIO]] = {}
        self.lock = threading.RLock()

    # -- faults ------------------------------------------------------------------

    def order(self, what: str, text: str) -> dict[str, Any] | None:
        """The first order of the tests of that kind that matches, counted down; see ``BigQuery.fault``."""
        file = self.home / "orders.json"
        with self.lock:
            if not file.exists():
                return None
            orders = json.loads(file.read_text())
            for one in orders:
                if one["what"] == what and one["times"] > 0 and re.search(one["match"], text):
                    one["times"] -= 1
                    file.write_text(json.dumps(orders))
                    return dict(one)
        return None

    # -- jobs --------------------------------------------------------------------

    def insert(self, body: dict[str, Any], data: bytes | None = None) -> dict[str, Any]:
        """jobs.insert: a job of an id that was used once, well or not, is refused with 409."""
        config = body["configuration"]
        name = body.get("jobReference", {}).get("jobId") or uuid.uuid4().hex
        dry = bool(config.get("dryRun"))
        with self.lock:
            self.must_be_new(name)
            job = self.jobs[name] = {
                "kind": "bigquery#job", "id": f"{PROJECT}:US.{name}", "configuration": config,
                "jobReference": {"projectId": PROJECT, "jobId": name, "location": "US"},
                "status": {"state": "RUNNING"}, "statistics": {"creationTime": _now(), "startTime": _now()},
            }  # fmt: skip
        try:
            text = config["query"]["query"] if "query" in config else name
            if fault := self.order("fail", text):
                raise Refused(fault["reason"], f"told to fail: {text[:40]}")
            if "query" in config:
                self._query(name, job, config["query"], dry, bool(config["query"].get("createSession")))
            else:
                self._load(job, config["load"], data)
            job["status"] = {"state": "DONE"}
        except Exception as failure:  # noqa: BLE001 -- no job runs for ever
            error = failure if isinstance(failure, Refused) else Refused("internalError", str(failure))
            if error is not failure:
                traceback.print_exc()
            told = {"reason": error.reason, "message": error.message}
            job["status"] = {"state": "DONE", "errorResult": told, "errors": [told]}
        job["statistics"]["endTime"] = _now()
        if dry:
            del self.jobs[name]
            if "errorResult" in job["status"]:
                raise Refused(told["reason"], told["message"])
        if "load" in config:  # a load is answered before it has ended
            return {**job, "status": {"state": "RUNNING"}, "statistics": {"creationTime": _now()}}
        return job

    def must_be_new(self, name: str) -> None:
        if name in self.jobs:
            raise Refused("duplicate", f"Already Exists: Job {PROJECT}:US.{name}", 409)

    def _query(self, name: str, job: dict[str, Any], query: dict[str, Any], dry: bool, begin: bool) -> None:
        if query.get("useLegacySql"):
            raise Refused("invalidQuery", "legacy SQL is not understood here")
        told = {one["key"]: one["value"] for one in query.get("connectionProperties", [])}
        number = self.warehouse.begin_session() if begin else told.get("session_id")
        session: Session | None = None
        if number is not None:
            session = self.warehouse.sessions.get(number)
            if session is None:
                raise Refused("invalid", f"Session {number} not found or expired.")
            job["statistics"]["sessionInfo"] = {"sessionId": number}
        values = [parameter(one) for one in query.get("queryParameters", [])]
        if query["query"].startswith("CALL BQ.ABORT_SESSION"):
            self.warehouse.end_session(str(values[0]))
            done = Result("CALL")
        elif session is not None:
            with session.lock:
                done = self.warehouse.run(query["query"], values, session, dry)
        else:
            done = self.warehouse.run(query["query"], values, None, dry)
        said: dict[str, Any] = {"statementType": done.kind}
        if done.changed is not None:
            said["numDmlAffectedRows"] = str(done.changed)
        if done.fields is not None:
            said["schema"] = {"fields": done.fields}
        job["statistics"]["query"] = said
        self.results[name] = done

    def _load(self, job: dict[str, Any], load: dict[str, Any], data: bytes | None) -> None:
        place = load["destinationTable"]
        name = (place["datasetId"], place["tableId"])
        if name not in self.warehouse.tables:
            raise Refused("notFound", f"Not found: Table {PROJECT}:{'.'.join(name)}")
        if load.get("sourceFormat") != "PARQUET" or load.get("writeDisposition") != "WRITE_APPEND":
            raise Refused("invalid", "only Parquet, and only WRITE_APPEND, are understood here")
        files = [data] if data is not None else [self._fetched(uri) for uri in load["sourceUris"]]
        held = {one["name"].lower(): one for one in self.warehouse.tables[name].fields}
        connection, rows = self.warehouse.fresh(), 0
        try:
            connection.execute("BEGIN")
            for file in files:
                read = pq.read_table(io.BytesIO(file or b""))
                unknown = [one for one in read.schema.names if one.lower() not in held]
                if unknown:
                    raise Refused("invalid", f"Provided Schema does not match: {unknown[0]}")
                connection.register("loaded", read)
                names = ", ".join(f'"{one}"' for one in read.schema.names)
                shown = ", ".join(f'CAST("{one}" AS {duck(held[one.lower()])})' for one in read.schema.names)
                connection.execute(f"INSERT INTO {quoted(name)} ({names}) SELECT {shown} FROM loaded")
                rows += read.num_rows
            connection.execute("COMMIT")
        except duckdb.Error as error:
            raise Refused("invalid", f"Error while reading data: {error}") from None
        finally:
            connection.close()
        self.warehouse._has_changed({name})
        job["statistics"]["load"] = {"outputRows": str(rows), "badRecords": "0"}

    def _fetched(self, uri: str) -> bytes:
        file = self.home / "gcs"
        split = urlsplit(uri)
        key = quote(unquote(split.path.lstrip("/")), safe="")
        try:
            with urlopen(
                f"{file.read_text()}/storage/v1/b/{split.netloc}/o/{key}?alt=media", timeout=30
            ) as reply:
                return bytes(reply.read())
        except OSError as error:
            raise Refused("notFound", f"Not found: URI {uri} ({error})") from None

    def query_results(self, name: str, asked: dict[str, str]) -> dict[str, Any]:
        """jobs.getQueryResults: a page of at most about 10 MB."""
        job = self.job(name)
        if failed := job["status"].get("errorResult"):
            raise Refused(failed["reason"], failed["message"])
        done = self.results[name]
        made: dict[str, Any] = {"jobReference": job["jobReference"], "jobComplete": True, "totalRows": "0"}
        if done.changed is not None:
            made["numDmlAffectedRows"] = str(done.changed)
        if done.rows is None:
            return made
        start = int(asked.get("pageToken") or asked.get("startIndex") or 0)
        wide = done.rows.nbytes // max(done.rows.num_rows, 1) + 1
        count = max(1, min(int(asked.get("maxResults") or 50_000), _PAGE_BYTES // wide, 50_000))
        if asked.get("maxResults") == "0":
            count = 0
        part = done.rows.slice(start, count)
        columns = [cells(column) for column in part.columns]
        rows = [{"f": [{"v": value} for value in row]} for row in zip(*columns, strict=True)]
        made |= {"schema": {"fields": done.fields}, "totalRows": str(done.rows.num_rows)}
        if rows:
            made["rows"] = rows
        if count and start + count < done.rows.num_rows:
            made["pageToken"] = str(start + count)
        return made

    def job(self, name: str) -> dict[str, Any]:
        if name not in self.jobs:
            raise Refused("notFound", f"Not found: Job {PROJECT}:US.{name}", 404)
        return self.jobs[name]

    # -- tables ------------------------------------------------------------------

    def table(self, dataset: str, name: str) -> dict[str, Any]:
        house = self.warehouse
        if dataset not in house.datasets:
            raise Refused("notFound", f"Not found: Dataset {PROJECT}:{dataset}", 404)
        held = house.tables.get((dataset, name))
        if held is None:
            raise Refused("notFound", f"Not found: Table {PROJECT}:{dataset}.{name}", 404)
        connection = house.fresh()
        ((rows,),) = connection.execute(f"SELECT COUNT(*) FROM {quoted((dataset, name))}").fetchall()
        connection.close()
        made: dict[str, Any] = {
            "kind": "bigquery#table", "tableReference": reference(dataset, name),
            "type": "VIEW" if held.is_view else "TABLE", "schema": {"fields": held.fields},
            "numRows": str(rows), "numBytes": str(rows * 64), "creationTime": str(held.created),
            "location": "US",
        }  # fmt: skip
        if held.is_view:
            made |= {"view": {"query": held.clauses["query"], "useLegacySql": False}}
            del made["numRows"], made["numBytes"]
        if held.key:
            made["tableConstraints"] = {"primaryKey": {"columns": held.key}}
        if held.expires:
            made["expirationTime"] = str(held.expires)
        for kind, text in held.clauses.items():
            if kind.startswith("Cluster"):
                made["clustering"] = {"fields": re.findall(r"\w+", text.partition(" BY ")[2])}
        return made

    def create_table(self, dataset: str, body: dict[str, Any]) -> dict[str, Any]:
        name = body["tableReference"]["tableId"]
        fields = [{"mode": "NULLABLE", **field("x", one["type"]), **one} for one in body["schema"]["fields"]]
        made = Table(
            fields, self.warehouse.now() // 1000, expires=int(body.get("expirationTime") or 0) or None
        )
        self.warehouse.create((dataset, name), made)
        return self.table(dataset, name)


def _now() -> str:
    return str(time.time_ns() // 1_000_000)


def reference(dataset: str, name: str) -> dict[str, str]:
    return {"projectId": PROJECT, "datasetId": dataset, "tableId": name}
