"""The chain's parts, real or emulated, and hdm commands run over them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.servers import azurite, fakesnow, moto
from tests.servers.process import Database

ROOT = Path(__file__).resolve().parents[3]
MANIFEST = Path(__file__).with_name("chain.yml")
ENDS = ("snowflake_by_s3", "snowflake_by_azure", "snowflake_by_put")
"""The sinks at the chain's ends; each has a Snowflake database of its own."""


@dataclass
class World:
    """A warehouse behind ODBC, a folder, a bucket, a container, and a Snowflake database per end."""

    folder: Path
    warehouse: Database
    s3: moto.S3
    blobs: azurite.Azurite
    snowflake: fakesnow.Snowflake
    profiles: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bucket, self.container = self.s3.fresh(), self.blobs.fresh()
        self.snowflake.reach(self.blobs)
        self.profiles = {
            "warehouse": {**self.warehouse.profile, "driver": "PostgreSQL Unicode"},
            "s3": self.s3.profile,
            "azure": {"url": self.blobs.account_url, "account_key": self.blobs.key},
            "state_manager": {"dbpath": str(self.folder), "database": "hdm"},
            **{end: self.snowflake.fresh() for end in ENDS},
        }
        self.stage("snowflake_by_s3", "CHAIN_S3", f"s3://{self.bucket}/stage/")
        self.stage("snowflake_by_azure", "CHAIN_AZURE", self.azure_url)
        self.write_profiles()

    @property
    def azure_url(self) -> str:
        """The container as Snowflake writes it."""
        return f"azure://{azurite.ACCOUNT}.blob.core.windows.net/{self.container}/stage/"

    def stage(self, end: str, name: str, url: str) -> None:
        """What an account's administrator prepares once; hdm never sees the secret behind it."""
        with self.account(end) as account:
            account.cursor().execute(f"CREATE STAGE {name} URL = '{url}'")

    def write_profiles(self) -> None:
        place = self.folder / ".hashmap_data_migrator" / "hdm_profiles.yml"
        place.parent.mkdir(mode=0o700, exist_ok=True)
        place.write_text(yaml.safe_dump({"prod": self.profiles}))
        place.chmod(0o600)

    @contextmanager
    def account(self, end: str) -> Iterator[Any]:
        """A session of Snowflake's connector that sees one end's database."""
        connection = self.snowflake.connect(self.profiles[end])
        try:
            yield connection
        finally:
            connection.close()

    @property
    def env(self) -> dict[str, str]:
        return {
            "HDM_HOME": str(self.folder),
            "HDM_DATA_STAGING": str(self.folder / "staging"),
            "CHAIN_BUCKET": self.bucket,
            "CHAIN_CONTAINER": self.container,
        }

    def hdm(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``python -m hdm ARGUMENTS`` as a process of its own, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "hdm", *arguments],
            env={**os.environ, **self.env, "PYTHONPATH": str(ROOT)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=900,
            check=False,
        )

    def only(self, tables: Collection[str]) -> Path:
        """The manifest with these tables alone."""
        whole = yaml.safe_load(MANIFEST.read_text())
        for template in whole["template_data_links"]["templates"]:
            batch = template["batch_definition"]
            batch["scenarios"] = [one for one in batch["scenarios"] if one["table_name"] in tables]
        made = self.folder / "chain.yml"
        made.write_text(yaml.safe_dump(whole, sort_keys=False))
        return made

    def run(self, manifest: Path = MANIFEST) -> dict[str, Any]:
        """One run of the manifest to its end; its closing event. Fails unless it ended well."""
        done = self.hdm("run", str(manifest), "-e", "prod", "--log-format", "json")
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
        last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return last

    def staged(self) -> tuple[int, int]:
        """Data files and their bytes in all places together."""
        sizes = [path.stat().st_size for path in (self.folder / "staging").rglob("*.parquet")]
        for one in self.s3.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            sizes += [found["Size"] for found in one.get("Contents", ()) if found["Key"].endswith(".parquet")]
        with self.blobs.service() as service:
            listed = service.get_container_client(self.container).list_blobs()
            sizes += [blob.size for blob in listed if blob.name.endswith(".parquet")]
        return len(sizes), sum(sizes)
