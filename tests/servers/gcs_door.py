"""Stands before fake-gcs-server and keeps two conditions that it ignores and Cloud Storage keeps.

A resumable upload with ``ifGenerationMatch=0`` ends in 412 if the name is taken when it ends, and a
deletion with ``ifGenerationMatch`` in 412 if the object has another generation.
https://cloud.google.com/storage/docs/request-preconditions
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

HOST = "127.0.0.1"
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
_INSERT = re.compile(r"/upload/storage/v1/b/([^/]+)/o$")
_OBJECT = re.compile(r"/storage/v1/b/([^/]+)/o/(.+)$")
_REFUSED = json.dumps(
    {"error": {"code": 412, "message": "conditionNotMet", "errors": [{"reason": "conditionNotMet"}]}}
).encode()


class Door(ThreadingHTTPServer):
    """The proxy; ``uploads`` are the conditional uploads under way: their id -> bucket and name."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, target: int) -> None:
        super().__init__((HOST, port), Handler)
        self.target = target
        self.uploads: dict[str, tuple[str, str]] = {}
        self.order = threading.Lock()
        """Held while an object is made or deleted, so that looking and doing are one step."""


class Handler(BaseHTTPRequestHandler):
    """One connection of a client, with one of its own to the server behind."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Door
    behind: http.client.HTTPConnection | None = None

    def log_message(self, *said: object) -> None:
        """Say nothing."""

    def handle_one_request(self) -> None:
        """Any method is forwarded."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
            return
        if self.parse_request():
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._answer(body)
            self.wfile.flush()

    def finish(self) -> None:
        """Close both connections."""
        if self.behind is not None:
            self.behind.close()
        super().finish()

    def _answer(self, body: bytes) -> None:
        split = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        insert, one = _INSERT.search(split.path), _OBJECT.search(split.path)
        if self.command == "PUT" and query.get("upload_id") in self.server.uploads:
            ended = re.fullmatch(r"bytes (?:\d+-(\d+)|\*)/(\d+)", self.headers.get("Content-Range", ""))
            if ended and int(ended[1] or -1) + 1 == int(ended[2]):
                with self.server.order:
                    bucket, name = self.server.uploads.pop(query["upload_id"])
                    if self._generation(bucket, name) is not None:
                        self._send(412, [], _REFUSED)
                        return
                    self._send(*self._forward(body))
                return
        elif self.command == "DELETE" and one and "ifGenerationMatch" in query:
            with self.server.order:
                if self._generation(unquote(one[1]), unquote(one[2])) != query["ifGenerationMatch"]:
                    self._send(412, [], _REFUSED)
                    return
                self._send(*self._forward(body))
            return
        elif self.command == "POST" and insert:
            with self.server.order:
                status, headers, answer = self._forward(body)
            if query.get("uploadType") == "resumable" and query.get("ifGenerationMatch") == "0":
                name = query.get("name") or json.loads(body or b"{}").get("name", "")
                where = {key.lower(): value for key, value in headers}.get("location", "")
                for upload in parse_qs(urlsplit(where).query).get("upload_id", ()):
                    self.server.uploads[upload] = (unquote(insert[1]), name)
            self._send(status, headers, answer)
            return
        self._send(*self._forward(body))

    def _generation(self, bucket: str, name: str) -> str | None:
        status, _, answer = self._ask("GET", f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}", b"", {})
        return str(json.loads(answer)["generation"]) if status == 200 else None

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        kept = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        return self._ask(self.command, self.path, body, kept)

    def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        if self.behind is None:
            self.behind = http.client.HTTPConnection(HOST, self.server.target, timeout=60)
        self.behind.request(method, path, body, {"Host": f"{HOST}:{self.server.server_port}", **headers})
        found = self.behind.getresponse()
        return found.status, found.getheaders(), found.read()

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        lines = [f"{self.protocol_version} {status} {http.client.responses.get(status, '')}"]
        lines += [f"{name}: {value}" for name, value in headers if name.lower() not in _HOP]
        lines += [f"Content-Length: {len(body)}", "", ""]
        self.wfile.write("\r\n".join(lines).encode("latin-1") + (b"" if self.command == "HEAD" else body))


if __name__ == "__main__":
    Door(int(sys.argv[1]), int(sys.argv[2])).serve_forever()
