"""A private Azure Blob server (azurite, npm). It checks keys and signatures for real."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import provision
from tests.servers.process import HOST, Server, ServerFailed, answers, folder, free_port, new_name

PACKAGE = "azurite@3.37.0"
ACCOUNT = "devstoreaccount1"


@dataclass
class Azurite:
    """A running server; ``fresh`` makes an empty container."""

    server: Server
    port: int
    key: str

    @property
    def account_url(self) -> str:
        return f"http://{HOST}:{self.port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        parts = {
            "DefaultEndpointsProtocol": "http",
            "AccountName": ACCOUNT,
            "AccountKey": self.key,
            "BlobEndpoint": self.account_url,
        }
        return ";".join(f"{name}={value}" for name, value in parts.items()) + ";"

    def service(self) -> Any:
        """A BlobServiceClient for tests to look with."""
        from azure.storage.blob import BlobServiceClient

        return BlobServiceClient.from_connection_string(self.connection_string)

    def sas(self) -> str:
        """A signature for an hour of everything in the account's containers."""
        import datetime

        from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
        kinds = ResourceTypes(service=True, container=True, object=True)
        rights = AccountSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True)
        return str(generate_account_sas(ACCOUNT, self.key, kinds, rights, until))

    def fresh(self) -> str:
        """A new, empty container."""
        name = new_name("container-", "-")
        with self.service() as service:
            service.create_container(name)
        return name


@contextmanager
def running() -> Iterator[Azurite]:
    """Start a server of its own, stop it at the end."""
    programs = provision.npm("azurite", PACKAGE)
    home, port = folder("azurite"), free_port()
    command: list[str | Path] = [programs / "azurite-blob", "-l", home, "--blobHost", HOST]
    command += ["--blobPort", str(port), "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    server = Server("azurite", command, home)
    server.start(lambda: answers(port))
    try:
        yield Azurite(server, port, _well_known_key(programs.parent))
    finally:
        server.stop()


def _well_known_key(modules: Path) -> str:
    """The public key of the emulator's account, read from azurite's own README."""
    text = (modules / "azurite" / "README.md").read_text(encoding="utf-8")
    found = re.search(r"[A-Za-z0-9+/]{86}==", text)
    if found is None:
        raise ServerFailed("azurite's README does not name its account key any more")
    return found.group()
