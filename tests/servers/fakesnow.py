"""A private Snowflake emulator (fakesnow) for the real connector.

It enforces primary keys and keys the load history on the file's name alone; the real system does
neither. Tests must not lean on that.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import azurite, provision
from tests.servers.process import HOST, Server, answers, folder, free_port, new_name


@dataclass
class Snowflake:
    """A running server; ``fresh`` names a new database, which connecting creates."""

    server: Server
    port: int

    def fresh(self) -> dict[str, Any]:
        """The keys of a profile's connection, to a database of its own."""
        return {
            "account": "fakesnow",
            "user": "fake",
            "password": "let-it-be",
            "host": HOST,
            "port": self.port,
            "protocol": "http",
            "database": new_name("DB").upper(),
            "schema": "PUBLIC",
        }

    def reach(self, blobs: azurite.Azurite) -> None:
        """Let external stages be read from that Azure server from now on."""
        place = {"port": blobs.port, "account": azurite.ACCOUNT, "key": blobs.key}
        (self.server.home / "azure.json").write_text(json.dumps(place))

    def connect(self, profile: dict[str, Any]) -> Any:
        """A connection of the real connector for tests to look with."""
        import snowflake.connector

        return snowflake.connector.connect(
            **profile,
            session_parameters={"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False},
            network_timeout=10,
            platform_detection_timeout_seconds=0.0,
        )


@contextmanager
def running(s3_port: int = 0) -> Iterator[Snowflake]:
    """Start a server of its own; external stages are read from the S3 server at ``s3_port``."""
    programs = provision.venv("fakesnow")
    home, port = folder("fakesnow"), free_port()
    stages = home / "stages"
    stages.mkdir()
    # beside no module named like the package that it imports
    script = shutil.copy(Path(__file__).with_name("fakesnow_app.py"), home / "app.py")
    for name in ("shim", "keys", "objects", "case"):
        shutil.copy(Path(__file__).with_name(f"fakesnow_{name}.py"), home / f"{name}.py")
    command = [programs / "python", script, str(port), str(s3_port), stages]
    server = Server("fakesnow", command, home)
    server.start(lambda: answers(port), within=120)
    try:
        yield Snowflake(server, port)
    finally:
        server.stop()
