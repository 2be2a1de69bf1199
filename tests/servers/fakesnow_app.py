"""Run fakesnow's server with S3 and Azure external stages and a fixed stage folder.

Runs in fakesnow's own venv: ``python fakesnow_app.py PORT S3_PORT STAGE_FOLDER``. Without DuckDB's
httpfs and azure (not on PyPI for this version), external stages are read through pyarrow. The Azure
server is the one that ``azure.json`` in the working folder names when a stage is first read. The fixed folder
lets the record of loaded files survive a restart, as the real system's does.
"""

from __future__ import annotations

import json
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import case  # noqa: F401 (tests/servers/fakesnow_case.py, around the objects)
import fakesnow.instance as instance
import fakesnow.transforms.stage as stage
import keys  # noqa: F401 (tests/servers/fakesnow_keys.py, around the shim)
import objects  # noqa: F401 (tests/servers/fakesnow_objects.py, around the keys)
import shim  # noqa: F401 (tests/servers/fakesnow_shim.py: what fakesnow lacks)
import uvicorn
from fsspec.implementations.arrow import ArrowFSWrapper
from pyarrow import fs

PORT, S3_PORT, STAGES = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class S3(ArrowFSWrapper):
    protocol = ("s3",)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("s3://")

    def glob(self, path: str, **options: Any) -> list[str]:
        return ["s3://" + found for found in super().glob(path, **options)]


class Azure(ArrowFSWrapper):
    """``azure://account.blob.core.windows.net/container/name``, as Snowflake writes it."""

    protocol = ("azure",)
    cachable = False

    def __init__(self) -> None:
        super(ArrowFSWrapper, self).__init__()

    @cached_property
    def fs(self) -> Any:
        place = json.loads(Path("azure.json").read_text())
        here = {f"{kind}_storage_authority": f"127.0.0.1:{place['port']}" for kind in ("blob", "dfs")}
        plain = {f"{kind}_storage_scheme": "http" for kind in ("blob", "dfs")}
        return fs.AzureFileSystem(account_name=place["account"], account_key=place["key"], **here, **plain)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("azure://").partition("/")[2] if path.startswith("azure://") else path

    def glob(self, path: str, **options: Any) -> list[str]:
        host = path.removeprefix("azure://").partition("/")[0]
        return [f"azure://{host}/{found}" for found in super().glob(path, **options)]


_original = instance.FakeSnow.__init__


def _init(self: Any, *args: Any, **options: Any) -> None:
    _original(self, *args, **options)
    self.duck_conn.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
    if S3_PORT != "0":
        place = {"endpoint_override": f"127.0.0.1:{S3_PORT}", "scheme": "http", "region": "us-east-1"}
        keys = {"access_key": "test", "secret_key": "test"}
        self.duck_conn.register_filesystem(S3(fs.S3FileSystem(**place, **keys)))
    self.duck_conn.register_filesystem(Azure())


instance.FakeSnow.__init__ = _init
stage.LOCAL_BUCKET_PATH = STAGES
uvicorn.run("fakesnow.server:app", host="127.0.0.1", port=PORT, log_level="warning")
