"""The systems that are named by HDM_LIVE_<SYSTEM>_URL, and a first look at each of them.

A wrong password in sixty tests is sixty refused logins, after which a server locks the account; so one
login comes before all tests, and what is wrong is said once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from hdm.components import registry
from hdm.config.located import LocatedDict, Problems
from hdm.config.validation import validate
from hdm.errors import HdmError

SYSTEMS = {
    "ORACLE": ("OracleSource", "OracleSink"),
    "SQLSERVER": ("SQLServerSource", "SQLServerSink"),
    "NETEZZA": ("NetezzaSource", "NetezzaSink"),
    "SNOWFLAKE": ("SnowflakeSource", "SnowflakeCopySink"),
    "ODBC": ("ODBCSource", "ODBCSink"),
    "POSTGRES": ("PostgresSource", "PostgresSink"),
    "MARIADB": ("MariaDBSource", "MariaDBSink"),
}
PREFIX, SUFFIX = "HDM_LIVE_", "_URL"
SET = [name for name in SYSTEMS if os.environ.get(f"{PREFIX}{name}{SUFFIX}")]


def component(kind: str, system: str, **conf: Any) -> Any:
    return _made(kind, system, json.loads(os.environ[f"{PREFIX}{system}{SUFFIX}"]), conf)


def _made(kind: str, system: str, profile: dict[str, Any], conf: dict[str, Any]) -> Any:
    cls = registry.find(kind, SYSTEMS[system][kind == "sink"])
    return cls(cls.Config.model_validate(conf), cls.Profile.model_validate(profile), name=kind)


def mistakes(environ: Mapping[str, str]) -> list[str]:
    """What keeps the tests from running, in a line for each variable; logs in once where nothing does."""
    given = {name: text for name, text in environ.items() if name.startswith(PREFIX) and text}
    known = {f"{PREFIX}{name}{SUFFIX}": name for name in SYSTEMS}
    if not given:
        return [f"no variable is set: export one of {', '.join(known)} (docs/howto/test-live.md says how)"]
    return [
        f"{name}: {said}"
        for name, text in given.items()
        if (said := _mistake(known[name], text) if name in known else f"write one of {', '.join(known)}")
    ]


def _mistake(system: str, text: str) -> str | None:
    try:
        profile = json.loads(text)
    except ValueError:
        profile = None
    if not isinstance(profile, dict):
        return (
            'not one JSON object of a profile\'s keys, e.g. {"host": "...", "user": "...", "schema": "..."}'
        )
    try:
        cls = registry.find("sink", SYSTEMS[system][1])
        problems = Problems(f"{PREFIX}{system}{SUFFIX}")
        validate(cls.Profile, LocatedDict(profile), problems, what="profile", private=True)
        problems.raise_any()
        told = _made("sink", system, profile, {"table_name": "X"}).database.probe()
    except HdmError as error:
        return error.in_one_line.removeprefix(f"{PREFIX}{system}{SUFFIX}: ")
    return next((said for what, ok, said in told if what == "connection" and not ok), None)
