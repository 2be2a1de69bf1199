"""A private S3 server (moto). It holds objects in memory and takes any credentials."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.servers.process import HOST, Server, ServerFailed, answers, folder, free_port, new_name

KEY, SECRET, REGION = "test", "test", "us-east-1"


@dataclass
class S3:
    """A running server; ``fresh`` makes an empty bucket."""

    server: Server
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def profile(self) -> dict[str, str]:
        """The keys of a profile's S3 connection."""
        return {
            "aws_access_key_id": KEY,
            "aws_secret_access_key": SECRET,
            "region": REGION,
            "endpoint_url": self.endpoint,
        }

    def client(self) -> Any:
        """A boto3 client for tests to look with."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name=REGION,
        )

    def fresh(self) -> str:
        """A new, empty bucket."""
        name = new_name("bucket-", "-")
        self.client().create_bucket(Bucket=name)
        return name

    def reset(self) -> None:
        """Forget everything."""
        with urlopen(Request(f"{self.endpoint}/moto-api/reset", method="POST"), timeout=10) as reply:
            reply.read()


@contextmanager
def running() -> Iterator[S3]:
    """Start a server of its own, stop it at the end."""
    port = free_port()
    program = Path(sys.executable).parent / "moto_server"
    if not program.exists():
        raise ServerFailed("no moto_server: pip install 'hdm[test]'")
    server = Server("moto", [program, "-H", HOST, "-p", str(port)], folder("moto"))
    server.start(lambda: answers(port))
    try:
        yield S3(server, port)
    finally:
        server.stop()
