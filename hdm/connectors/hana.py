"""Reads SAP HANA by hdbcli (https://pypi.org/project/hdbcli), chunk after chunk.

Under READ COMMITTED each statement of HANA reads as of one moment, which sessions cannot share; each chunk is
one statement. A table is cut by its key; one without a key is one chunk. hdbcli begins in autocommit, which
hdm turns off; a session that reads begins with SET TRANSACTION READ ONLY.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from hdm.arrow import rows as row_codec
from hdm.config.tls import is_local
from hdm.errors import MissingDriver, UsageError
from hdm.model import Column, Dataset
from hdm.sql import Database, DbApiDatabase, SqlProfile, SqlSource, dbapi_codec


class HANAProfile(SqlProfile):
    """Profile entry of a SAP HANA database: address and credentials; it has no ``url``."""

    takes_url: ClassVar[bool] = False
    port: int | None = Field(443, ge=1, le=65535)
    """TCP port on which the server listens: 443 for HANA Cloud, 3NN15 for instance NN of a HANA 2."""
    database: str | None = None
    """Names the tenant's database, where the port is the system database's; left out, the port's own."""
    ca_certs: str | None = None
    """File (PEM) of the authority that signed the server's certificate; left out, the machine's."""
    options: dict[str, str] = Field(default_factory=dict)
    """Further connection properties of the driver, ``name: value``; they come before hdm's own."""


class HANADatabase(DbApiDatabase):
    """Connects to one SAP HANA database and reads it."""

    dialect_name = "hana"
    begin_read = begin_write = None

    def open(self, label: str, *, write: bool) -> Any:
        """Open a connection without autocommit, by verified TLS unless local or ``insecure: true``."""
        try:
            from hdbcli import dbapi
        except ImportError:
            raise MissingDriver("hdbcli is not installed", hint="pip install 'hdm[hana]'") from None
        profile: HANAProfile = self.profile
        safe = not profile.insecure and not is_local(profile.host)
        given: dict[str, Any] = {
            "address": profile.host,
            "port": profile.port,
            "user": profile.user,
            "password": profile.password.reveal() if profile.password else None,
            "databaseName": profile.database,
            "currentSchema": profile.schema_name,
            "encrypt": "true" if safe else None,
            "sslValidateCertificate": "true" if safe else None,
            "sslTrustStore": profile.ca_certs,
            "sessionVariable:APPLICATION": label[:60],
        }
        told = {name: value for name, value in given.items() if value is not None}
        return dbapi.connect(**{**told, **profile.options}, autocommit=False)

    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return a table's OpenLineage name: ``hana://host:port`` and ``schema.table``."""
        place = f"hana://{self.profile.host}:{self.profile.port}"
        return Dataset(place, ".".join(part for part in (self.profile.database, *path) if part))

    def default_schema(self) -> str | None:
        """Return the schema of tables that are named without one: the profile's, else the user's own."""
        return self.profile.schema_name or (self.profile.user.upper() if self.profile.user else None)

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Raise ``UsageError``: what the driver tells of a query's columns is not exact."""
        raise UsageError(
            "hana does not tell the columns of a query exactly",
            hint="make a view of the query, and write table_name: with its name",
        )

    def decoder(self, column: Column) -> row_codec.Decoder:
        """Return the function that converts the driver's values of a column; LOBs that it gives as objects
        are read first."""
        decode = dbapi_codec.decoder(column)
        return lambda values, kind: decode(
            [one.read() if hasattr(one, "read") else one for one in values], kind
        )


class HANASource(SqlSource):
    """Reads a table or view of SAP HANA, chunk after chunk."""

    Profile: ClassVar[type[BaseModel] | None] = HANAProfile
    Database: ClassVar[type[Database]] = HANADatabase
