"""What import-linter cannot see: imports at module level, and what starting hdm really loads."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "hdm").rglob("*.py"))
DRIVERS = {
    "psycopg",
    "pymysql",
    "duckdb",
    "oracledb",
    "pyodbc",
    "arrow_odbc",
    "adbc_driver_postgresql",
    "boto3",
    "botocore",
    "azure",
    "google",
    "google_crc32c",
    "paramiko",
    "snowflake",
    "nzpy",
    "keyring",
    "sqlglot",
    "jinja2",
    "dask",
    "distributed",
}
HEAVY = DRIVERS | {
    "sqlalchemy",
    "alembic",
    "pyarrow",
    "pydantic",
    "numpy",
    "pandas",
    "providah",
    "rich",
    "yaml",
}


def module_level(body: list[ast.stmt]) -> Iterator[str]:
    """First names of what is imported when the module is, not when a function runs."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").split(".")[0]
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for name in ("body", "orelse", "finalbody"):
                yield from module_level([n for n in getattr(node, name, []) if isinstance(n, ast.stmt)])
            for handler in getattr(node, "handlers", []):
                yield from module_level(handler.body)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_driver_is_imported_at_module_level(path: Path) -> None:
    assert DRIVERS & set(module_level(ast.parse(path.read_text(encoding="utf-8")).body)) == set()


def loaded_by(code: str) -> set[str]:
    """First names of the modules that a fresh interpreter holds after ``code``."""
    report = "import json, sys; sys.stderr.write('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"try:\n    {code}\nfinally:\n    {report}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return {name.split(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


def test_importing_hdm_loads_nothing_heavy() -> None:
    assert loaded_by("import hdm") & HEAVY == set()


def test_importing_every_public_name_loads_no_driver() -> None:
    assert loaded_by("import hdm; [getattr(hdm, n) for n in hdm.__all__]") & DRIVERS == set()


def test_help_loads_nothing_heavy() -> None:
    modules = loaded_by("import sys; from hdm.cli import main; main(['--help'])")
    assert "click" in modules
    assert modules & HEAVY == set()
    assert modules & {"difflib", "ipaddress", "urllib"} == set()  # what reading a manifest takes
