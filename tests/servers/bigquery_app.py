"""Speaks as much of BigQuery's REST API as hdm uses; the tables are DuckDB's, in memory.

https://cloud.google.com/bigquery/docs/reference/rest. ``python -m tests.servers.bigquery_app PORT FOLDER``.
"""

from __future__ import annotations

import io
import json
import sys
import traceback
import uuid
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.bigquery_jobs import PROJECT, Service, reference
from tests.servers.bigquery_parts import Refused


class Handler(BaseHTTPRequestHandler):
    """One request; the paths are those of the documentation."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    service: Service

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        split = urlsplit(self.path)
        asked = {key: value[0] for key, value in parse_qs(split.query).items()}
        try:
            status, made, more = self._made(split.path, asked, body)
        except Refused as error:
            told = {"reason": error.reason, "message": error.message, "domain": "global"}
            said = {"error": {"code": error.status, "message": error.message, "errors": [told]}}
            status, made, more = error.status, said, {}
        except Exception:  # noqa: BLE001 -- the log shows what the stand-in cannot do
            traceback.print_exc()
            status, more = 500, {}
            made = {"error": {"code": 500, "message": "stand-in", "errors": [{"reason": "internalError"}]}}
        if self.service.order("lose", f"{self.command} {self.path} {self._named(made, body)}"):
            self.close_connection = True
            self.connection.close()
            return
        sent = b"" if made is None else json.dumps(made).encode()
        self.send_response(status)
        for key, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(sent)),
            **more,
        }.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(sent)
        self.wfile.flush()

    @staticmethod
    def _named(made: Any, body: bytes) -> str:
        """The job's id and its statement, for orders to match."""
        config = made.get("configuration", {}) if isinstance(made, dict) else {}
        name = made.get("jobReference", {}).get("jobId", "") if isinstance(made, dict) else ""
        return f"{name} {config.get('query', {}).get('query', '')}"

    def _made(self, path: str, asked: dict[str, str], body: bytes) -> tuple[int, Any, dict[str, str]]:
        if path.startswith("/upload/"):
            return self._upload(asked, body)
        parts = [unquote(one) for one in path.split("/")[4:]]  # /bigquery/v2/projects/...
        if parts[0] != PROJECT:
            raise Refused("accessDenied", f"Access Denied: Project {parts[0]}", 403)
        given = json.loads(body) if body and self.command != "DELETE" else {}
        service, house = self.service, self.service.warehouse
        match self.command, *parts[1:]:
            case "POST", "jobs":
                return 200, service.insert(given), {}
            case "GET", "jobs":
                return 200, {"jobs": [*reversed(service.jobs.values())]}, {}
            case "GET", "jobs", name:
                return 200, service.job(name), {}
            case "POST", "jobs", name, "cancel":
                return 200, {"job": service.job(name)}, {}
            case "GET", "queries", name:
                return 200, service.query_results(name, asked), {}
            case "GET", "datasets":
                listed = [
                    {"datasetReference": {"projectId": PROJECT, "datasetId": d}}
                    for d in sorted(house.datasets)
                ]
                return 200, {"datasets": listed}, {}
            case "GET", "datasets", name:
                if name not in house.datasets:
                    raise Refused("notFound", f"Not found: Dataset {PROJECT}:{name}", 404)
                made = {"datasetReference": {"projectId": PROJECT, "datasetId": name}, "location": "US"}
                return 200, made, {}
            case "GET", "datasets", name, "tables":
                kinds = {
                    one: "VIEW" if held.is_view else "TABLE" for one, held in sorted(house.tables.items())
                }
                tables = [{"tableReference": reference(*one), "type": kind}
                          for one, kind in kinds.items() if one[0] == name]  # fmt: skip
                return 200, {"tables": tables, "totalItems": len(tables)}, {}
            case "POST", "datasets", name, "tables":
                return 200, service.create_table(name, given), {}
            case "GET", "datasets", dataset, "tables", name:
                return 200, service.table(dataset, name), {}
            case "DELETE", "datasets", dataset, "tables", name:
                service.table(dataset, name)
                house.drop((dataset, name))
                return 204, None, {}
        raise Refused("notImplemented", f"{self.command} {path}", 501)

    def _upload(self, asked: dict[str, str], body: bytes) -> tuple[int, Any, dict[str, str]]:
        """A resumable upload: what the job is, then its bytes."""
        service = self.service
        if self.command == "POST":
            given = json.loads(body)
            service.must_be_new(given["jobReference"]["jobId"])
            name = uuid.uuid4().hex
            service.uploads[name] = (given, io.BytesIO())
            place = (
                f"http://{self.headers['Host']}/upload/bigquery/v2/projects/{PROJECT}/jobs?upload_id={name}"
            )
            return 200, {}, {"Location": place}
        given, kept = service.uploads[asked["upload_id"]]
        kept.write(body)
        if self.headers["Content-Range"].endswith("/*"):
            return 308, None, {"Range": f"bytes=0-{kept.tell() - 1}"}
        return 200, service.insert(given, kept.getvalue()), {}


def main() -> None:
    warnings.filterwarnings("ignore", message="Arrow output")
    Handler.service = Service(Path(sys.argv[2]))
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
