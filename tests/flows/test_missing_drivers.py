"""A driver that is not installed: one line that names the extra, and nothing else of hdm is affected."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from hdm.components import registry
from hdm.components.builtin import BUILTIN, NEEDS
from tests.flows.kit import run, shop
from tests.flows.test_canaries import NO_PORT, profile_of, project, secret_fields

EXTRAS = {
    "Postgres": "postgres", "MySQL": "mysql", "MariaDB": "mysql", "DuckDB": "duckdb", "Netezza": "netezza",
    "Oracle": "oracle", "Exadata": "oracle", "SQLServer": "odbc", "AzureSQLServer": "odbc", "ODBC": "odbc",
    "JDBC": "jdbc", "Teradata": "teradata", "HANA": "hana", "Redshift": "redshift",
    "Snowflake": "snowflake", "S3": "s3", "AzureBlob": "azure",
    "GCS": "gcs", "SFTP": "sftp", "BigQuery": "bigquery",
}  # fmt: skip
MODULES = (
    "psycopg", "pymysql", "duckdb", "nzpy", "oracledb", "pyodbc", "arrow_odbc", "jpype", "snowflake",
    "snowflake.connector", "teradatasql", "hdbcli", "redshift_connector", "boto3", "botocore",
    "azure", "azure.storage",
    "azure.storage.blob", "google.cloud.storage", "google.auth", "google.api_core", "paramiko",
    "google.cloud.bigquery",
)  # fmt: skip


def extra_of(name: str) -> str | None:
    """The extra that brings a type's driver; of all beginnings that fit, the longest counts."""
    fitting = [start for start in EXTRAS if name.startswith(start)]
    return EXTRAS[max(fitting, key=len)] if fitting else None


@pytest.fixture
def no_drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] in {module.split(".")[0] for module in MODULES}:
            monkeypatch.delitem(sys.modules, name)
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, None)


def needy() -> list[tuple[str, str]]:
    kinds = ("source", "sink", "catalog", "state_manager")
    return [(kind, name) for kind in kinds for name in sorted(BUILTIN[kind]) if extra_of(name)]


@pytest.mark.parametrize(("kind", "name"), needy())
def test_one_line_names_the_extra(kind: str, name: str, tmp_path: Path, no_drivers: None) -> None:
    profile: dict[str, Any] = {"path": str(tmp_path / "x.duckdb")}
    (tmp_path / "x.duckdb").touch()
    if not name.startswith(NO_PORT):
        field = secret_fields(getattr(registry.find(kind, name), "Profile", None))[0]
        profile = profile_of(kind, name, field, 9)
    if kind == "catalog":
        place = shop(tmp_path, orders=1, items=1)
        place.profiles["canary"] = profile
        system = {"MariaDBCatalog": "mysql"}.get(name, name.removesuffix("Catalog").lower())
        place.write()
        options = ["-e", "dev", "--profiles", str(tmp_path / "p.yml")]
        done = run(["catalog", "crawl", "--from", f"{system}:canary", "--to", "sqlite", *options], place.env)
    else:
        place = project(tmp_path, kind, name, profile)
        if name == "OracleSink":  # or it is refused before, since '' becomes NULL
            place.manifest["declared_data_links"]["stages"][1]["sink"]["conf"]["allow_loss"] = True
        before = place.write().files()
        done = place.hdm("run")
    assert done.code != 0
    said = [line for line in done.err.splitlines() if line.strip()]
    (hint,) = [line for line in said if "pip install" in line]
    assert re.search(r"pip install 'hdm\[(\w+)\]'", hint)[1] in (extra_of(name), "sqlserver")  # type: ignore[index]
    assert len(said) <= 3 and "Traceback" not in done.err, done.err
    if kind != "catalog":
        assert place.files() == before


def test_the_rest_works_without_any_driver(tmp_path: Path, no_drivers: None) -> None:
    place = shop(tmp_path, orders=20, items=5)
    assert place.hdm("run").code == 0
    assert place.rows("orders") == place.source_rows("orders")
    for verb in ("plan", "status", "doctor"):
        assert place.hdm(verb).code == 0
    assert run(["components"], place.env).code == 0


def test_each_part_of_an_extra_is_missed_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """psycopg is there, numpy is not: without a look, all is staged before each chunk dies."""
    monkeypatch.setitem(sys.modules, "numpy", None)
    place = project(
        tmp_path, "sink", "PostgresSink", {"host": "127.0.0.1", "port": 9, "database": "d", "user": "u"}
    )
    before = place.write().files()
    done = place.hdm("run")
    assert done.code == 2
    assert "PostgresSink needs numpy, which is not installed" in done.err
    assert "pip install 'hdm[postgres]'" in done.err
    assert place.files() == before


UNINSTALLED = {"teradatasql", "hdbcli"}


@pytest.mark.parametrize(
    "module", [name for _, needed in NEEDS.values() for name in needed if name not in UNINSTALLED]
)
def test_what_a_connector_needs_can_be_imported(module: str) -> None:
    """A module that does not exist would make every run fail, and none here would notice."""
    assert importlib.util.find_spec(module) is not None
