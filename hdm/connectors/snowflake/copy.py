"""Sinks that load staged files by COPY, unchanged, in one transaction with the ledger row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pydantic import BaseModel, Field, model_validator

from hdm.config.deprecated import FILE_FORMAT, OWN_STAGE, STAGE_DIRECTORY
from hdm.connectors.snowflake.database import SnowflakeDatabase
from hdm.connectors.snowflake.session import SnowflakeProfile, folded
from hdm.connectors.snowflake.staging import Put, Staging
from hdm.connectors.snowflake.targets import must_be_standard
from hdm.errors import UsageError
from hdm.model import Chunk, Mode, Payload, StagedFile, Table
from hdm.sql import Database, SqlSink, SqlSinkConfig, name_parts
from hdm.sql.sessions import looking
from hdm.sql.swap import swap_before
from hdm.sql.table_name import TableNameLike


class _Copied(SqlSinkConfig):
    stage_directory: str | None = Field(None, deprecated=STAGE_DIRECTORY)
    """Is taken so that older manifests still work, and names no folder: files are found by the stage's URL.
    Another value makes another link."""
    file_format: str | None = Field(None, pattern="^(csv|parquet|CSV|PARQUET)$", deprecated=FILE_FORMAT)
    """Has no effect, and is taken so that older manifests still work: each file's own format counts."""


class SnowflakeCopyConfig(_Copied):
    """Configuration of a COPY sink: where rows go.

    Keys that describe a stage are accepted and have no effect here.
    """

    stage_name: TableNameLike | None = Field(None, deprecated=OWN_STAGE)
    """Has no effect, and is taken so that older manifests still work: the sink makes a stage of its own."""
    storage_integration: str | None = Field(None, deprecated=OWN_STAGE)
    """Has no effect, and is taken so that older manifests still work: the sink makes a stage of its own."""
    url: str | None = Field(None, deprecated=OWN_STAGE)
    """Has no effect, and is taken so that older manifests still work: the sink makes a stage of its own."""


class SnowflakeExternalCopyConfig(_Copied):
    """Configuration of a COPY sink: where rows go, and which external stage has the files."""

    stage_name: TableNameLike | None = None
    """Names the external stage, ``database.schema.stage``."""
    storage_integration: str | None = None
    """Storage integration over which the stage is made, with ``url``, if it is not there; left out, the stage
    must exist."""
    url: str | None = None
    """Address of the bucket or container over which the stage is made, without a query; left out, the stage
    must exist."""

    @model_validator(mode="after")
    def _both(self) -> SnowflakeExternalCopyConfig:
        if (self.url is None) != (self.storage_integration is None):
            raise ValueError("give both url and storage_integration, or neither: a stage is made of both")
        return self


class SnowflakeCopySink(SqlSink):
    """Loads Snowflake by COPY from an internal stage, onto which it puts upstream files unchanged."""

    Config: ClassVar[type[BaseModel]] = SnowflakeCopyConfig
    Profile: ClassVar[type[BaseModel] | None] = SnowflakeProfile
    Database: ClassVar[type[Database]] = SnowflakeDatabase
    modes = frozenset(Mode)
    accepts_files = frozenset({"parquet", "csv"})

    @property
    def account(self) -> SnowflakeDatabase:
        """The sink's database, typed as ``SnowflakeDatabase``."""
        assert isinstance(self.database, SnowflakeDatabase)
        return self.database

    def accepts(self, table: Table, mode: Mode) -> None:
        """Raise ``UsageError`` if the mode cannot work, or if the target is a table that COPY cannot fill."""
        super().accepts(table, mode)
        with looking(self.database, "hdm:accepts") as connection:
            must_be_standard(self.account, connection, self.target(table).path)

    def _bring(
        self, connection: Any, into: Sequence[str], target: Table, chunk: Chunk, payload: Payload
    ) -> Callable[[], int]:
        if not self._takes(payload):
            return super()._bring(connection, into, target, chunk, payload)
        location, files = self._put(connection, into, payload)
        payload.tally.extracted = sum(file.rows for file in payload.files)
        payload.tally.bytes = sum(file.bytes for file in payload.files)
        fold = self.config.identifiers != "keep"
        return self.account.taking(connection, into, target.columns, location, files, fold=fold)

    def finish(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """In mode ``replace``, replace the target's rows by the new ones.

        An existing table is filled in one transaction with the ledger row. If there is none, the new table is
        renamed first, since DDL commits.
        """
        if not mode.rules.swaps_at_end:
            return
        target = self.target(table)
        new = self._beside(target, job_key, epoch)
        swap_before(self.database, self._ledger(target), target, new, job_key, epoch)

    def _put(self, connection: Any, into: Sequence[str], payload: Payload) -> tuple[str, Sequence[Put]]:
        """Put the payload's files on a stage; return the stage's location and the files."""
        assert payload.open is not None
        with Staging(self.account, connection, self.account.load_stage(connection, into)) as staging:
            put = []
            for file in payload.files:
                with payload.open(file) as stream:
                    put.append(staging.receive(file, stream))
            return staging.location, put

    def _takes(self, payload: Payload) -> bool:
        """Whether the payload's files can be copied: known formats, whole files, types that COPY can read."""
        if not payload.files or payload.open is None or self.config.row_lineage:
            return False
        if any(file.format not in self.accepts_files for file in payload.files):
            return False
        if any(file.format == "csv" and self.config.identifiers != "keep" for file in payload.files):
            return False
        return not any(pa.types.is_decimal256(column.type) for column in payload.table.columns)


class _ExternalCopySink(SnowflakeCopySink):
    """Copies from the external stage on which the files lie already. Only names travel, once the files are
    confirmed to be those that were staged."""

    Config: ClassVar[type[BaseModel]] = SnowflakeExternalCopyConfig

    @property
    def place(self) -> str:
        """The full name of the stage that ``ready`` checks."""
        return ".".join(self.stage)

    def ready(self) -> None:
        """Open a session, and look for the stage unless ``prepare`` creates it.

        Raises ``UsageError`` if there is none.
        """
        super().ready()
        if self._makes_stage:
            return
        connection = self.database.connect("hdm:ready")
        try:
            self._url(connection)
        finally:
            connection.close()

    @property
    def _makes_stage(self) -> bool:
        conf = self.config
        if conf.url and "?" in conf.url:
            raise UsageError("url: holds a query, which may be a secret", hint="give the bare URL")
        return bool(conf.storage_integration and conf.url and self.stage)

    def prepare(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """Create the stage if ``storage_integration`` and ``url`` are given, then prepare the table."""
        conf = self.config
        if self._makes_stage:
            assert conf.storage_integration and conf.url
            connection = self.database.connect("hdm:prepare", write=True)
            try:
                self.database.change(
                    connection,
                    f"CREATE STAGE IF NOT EXISTS {self.dialect.qualify(self.stage)} "
                    f"URL = {self.dialect.string(conf.url)} "
                    f"STORAGE_INTEGRATION = {self.dialect.quote(folded(conf.storage_integration))}",
                )
            finally:
                connection.close()
        super().prepare(table, job_key, epoch, mode)

    @property
    def stage(self) -> tuple[str, ...]:
        """The stage's full name, in the case in which Snowflake keeps it."""
        if self.config.stage_name is None:
            raise UsageError(
                f"{self.name}: which stage are the files on?",
                hint="write stage_name: with an external stage over the bucket or container",
            )
        *around, name = name_parts(self.config.stage_name)
        return self.database.default_path((*around, folded(name)))

    def _put(self, connection: Any, into: Sequence[str], payload: Payload) -> tuple[str, Sequence[Put]]:
        url = self._url(connection)
        for file in payload.files:
            if payload.confirm is not None:
                payload.confirm(file)
        files = [Put(self._below(file, url), file.rows, file.format) for file in payload.files]
        return "@" + self.dialect.qualify(self.stage), files

    def _url(self, connection: Any) -> str:
        """Return the address that the stage lies over; ``UsageError`` if there is no such stage."""
        within = self.dialect.qualify(self.stage[:-1])
        listed = self.account.rows(connection, "SHOW STAGES" + (f" IN SCHEMA {within}" if within else ""))
        found = [row for row in listed if row["name"] == self.stage[-1] and row.get("url")]
        if not found:
            raise UsageError(
                f"there is no external stage {'.'.join(self.stage)}",
                hint="have it created over a storage integration, or give storage_integration: and url:",
            )
        return str(found[0]["url"])

    def _below(self, file: StagedFile, url: str) -> str:
        root, path = location_of(url), location_of(file.uri)
        root = root.rstrip("/") + "/"
        if not path.startswith(root):
            raise UsageError(
                f"{file.uri} does not lie under the stage's {url}",
                hint="name a stage over the bucket or container that the upstream sink writes to",
            )
        return path[len(root) :]


class SnowflakeS3CopySink(_ExternalCopySink):
    """Loads Snowflake by COPY from an external stage on S3."""

    loads_from = "s3"


class SnowflakeAzureCopySink(_ExternalCopySink):
    """Loads Snowflake by COPY from an external stage on Azure Blob Storage."""

    loads_from = "azure_blob"


def location_of(uri: str) -> str:
    """Return ``bucket/key`` or ``container/key`` of a file's address in any spelling.

    Azure's account and host, which stand before the container, are left out.
    """
    split = urlsplit(uri)
    path = unquote(split.path).lstrip("/")
    if split.scheme in ("s3", "s3a", "s3gov", "s3china"):
        return f"{split.netloc}/{path}"
    if split.scheme in ("azure", "https", "http", "wasbs", "abfss"):
        container, at, _ = split.netloc.partition("@")
        if at:
            return f"{container}/{path}"
        return path
    return f"{split.netloc}/{path}"
