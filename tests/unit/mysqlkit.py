"""MariaDB and DuckDB behind the same face as ``tests.unit.sqlkit``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
import pymysql

from hdm.config.secrets import Secret
from hdm.connectors.duckdb import DuckDBProfile, DuckDBSink, DuckDBSource
from hdm.connectors.mysql import MySQLProfile, MySQLSink, MySQLSource
from tests.unit.sqlkit import System

LOOSE = "STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO"


class MySQLSystem(System):
    """``run`` takes ``%s`` marks and several statements cut by ``;;``."""

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = self.connect()
        try:
            cursor = connection.cursor()
            cursor.execute(f"SET sql_mode = '{LOOSE}', time_zone = '+00:00'")
            for part in sql.split(";;"):
                cursor.execute(part, values or None)
            rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
            connection.commit()
            return rows
        finally:
            connection.close()


class DuckDBSystem(System):
    """``run`` opens the file for itself, so no session of hdm may have it open read-only."""

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = self.connect()
        try:
            connection.execute("SET TimeZone = 'UTC'")
            rows: list[tuple[Any, ...]] = connection.execute(sql, list(values)).fetchall()
            return rows
        finally:
            connection.close()


def mysql_system(profile: Mapping[str, Any]) -> MySQLSystem:
    made = MySQLProfile.model_validate({**profile, "password": Secret(str(profile["password"]))})
    return MySQLSystem(
        "mysql", made, MySQLSource, MySQLSink, lambda: pymysql.connect(charset="utf8mb4", **profile)
    )


def duckdb_system(path: str) -> DuckDBSystem:
    duckdb.connect(path).close()
    config = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    return DuckDBSystem(
        "duckdb",
        DuckDBProfile(path=path),
        DuckDBSource,
        DuckDBSink,
        lambda: duckdb.connect(path, config=config),
    )
