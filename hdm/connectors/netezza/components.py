"""NetezzaSource and NetezzaSink: by nzpy, or by ODBC where the profile names a driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from hdm.connectors.netezza.database import NetezzaDatabase, NetezzaProfile
from hdm.model import Dataset
from hdm.sql import Database, SqlSink, SqlSource
from hdm.sql.catalog import SqlCatalog
from hdm.sql.odbc import OdbcDatabase, valued
from hdm.sql.target import TargetMapping


class NetezzaOdbcDatabase(OdbcDatabase):
    """The same system by its ODBC driver, which delivers Arrow."""

    dialect_name = "netezza"

    def connection_string(self, label: str) -> str:
        """The driver's own keywords; TLS insisted on unless ``insecure: true``."""
        profile: NetezzaProfile = self.profile
        parts: dict[str, str | None] = {
            "Driver": profile.driver,
            "Servername": profile.host,
            "Port": str(profile.port),
            "Database": profile.database,
            "Username": profile.user,
            "Password": profile.password.reveal() if profile.password else None,
            "SecurityLevel": "preferredUnSecured" if profile.insecure else "onlySecured",
            "CaCertFile": profile.ca_certs,
            "DateFormat": "1",
        }
        return ";".join(f"{key}={valued(value)}" for key, value in parts.items() if value is not None)

    def dataset(self, path: Sequence[str]) -> Dataset:
        """As by nzpy: how it is reached does not change what it is."""
        return NetezzaDatabase(self.profile).dataset(path)


def reached(profile: NetezzaProfile) -> Database:
    """The database by the driver that the profile asks for."""
    return NetezzaOdbcDatabase(profile) if profile.driver else NetezzaDatabase(profile)


class NetezzaSource(SqlSource):
    """Reads a Netezza table or query, by data slices or by key."""

    Profile: ClassVar[type[BaseModel] | None] = NetezzaProfile
    Database: ClassVar[type[Database]] = NetezzaDatabase

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        self.database = reached(profile)
        self.dialect = self.database.dialect


class NetezzaSink(SqlSink):
    """Writes a Netezza table; for bulk, unload and load through external tables are faster."""

    Profile: ClassVar[type[BaseModel] | None] = NetezzaProfile
    Database: ClassVar[type[Database]] = NetezzaDatabase

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        self.database = reached(profile)
        self.dialect = self.database.dialect
        self.mapping = TargetMapping(config, self.database)


class NetezzaCatalog(SqlCatalog):
    """Finds and makes tables and keys."""

    Profile: ClassVar[type[BaseModel] | None] = NetezzaProfile
    Database: ClassVar[type[Database]] = NetezzaDatabase

    def __init__(self, config: Any, profile: Any = None, *, name: str = "", database: Any = None) -> None:
        super().__init__(config, profile, name=name, database=database or reached(profile))
