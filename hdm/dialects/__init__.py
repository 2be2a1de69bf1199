"""The SQL and the types of every database, one file per database; imports no driver."""

from __future__ import annotations

import importlib
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from hdm import locator
from hdm.config.located import fold
from hdm.errors import UnknownComponent

if TYPE_CHECKING:
    from hdm.dialects.base import Dialect as Dialect
    from hdm.dialects.catalog_queries import CatalogueSql as CatalogueSql
    from hdm.dialects.traits import Traits as Traits
    from hdm.dialects.types import Fidelity as Fidelity
    from hdm.dialects.types import Stored as Stored

_PUBLIC = {
    "Dialect": "hdm.dialects.base",
    "CatalogueSql": "hdm.dialects.catalog_queries",
    "Traits": "hdm.dialects.traits",
    "Fidelity": "hdm.dialects.types",
    "Stored": "hdm.dialects.types",
}

__all__ = ["CatalogueSql", "Dialect", "Fidelity", "Stored", "Traits", "dialect"]

HOMES = {
    "ansi": ("ansi", "AnsiDialect"),
    "bigquery": ("bigquery", "BigQueryDialect"),
    "duckdb": ("duckdb", "DuckDBDialect"),
    "h2": ("h2", "H2Dialect"),
    "hana": ("hana", "HanaDialect"),
    "hsqldb": ("hsqldb", "HsqldbDialect"),
    "mariadb": ("mariadb", "MariaDBDialect"),
    "mssql": ("sqlserver", "SQLServerDialect"),
    "mysql": ("mysql", "MySQLDialect"),
    "netezza": ("netezza", "NetezzaDialect"),
    "oracle": ("oracle", "OracleDialect"),
    "postgres": ("postgres", "PostgresDialect"),
    "postgresql": ("postgres", "PostgresDialect"),
    "redshift": ("redshift", "RedshiftDialect"),
    "snowflake": ("snowflake", "SnowflakeDialect"),
    "sqlite": ("sqlite", "SQLiteDialect"),
    "sqlserver": ("sqlserver", "SQLServerDialect"),
    "synapse": ("synapse", "SynapseDialect"),
    "teradata": ("teradata", "TeradataDialect"),
}
"""What hdm brings: a system's name -> the module in this room, and the class."""
_KIND = "dialect"


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'hdm.dialects' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def dialect(name: str) -> Dialect:
    """Return the dialect of that name, in any case of letters.

    Raises ``UnknownComponent`` if there is none.
    """
    return _made(name, locator.changes())


@lru_cache(maxsize=256)
def _made(name: str, changes: int) -> Dialect:
    """The dialect, as of that number of changes of the registry."""
    del changes
    if not locator.knows(_KIND, fold(name)):
        raise UnknownComponent(f"no dialect is called {name!r}", hint="known: " + ", ".join(_names()))
    found: Any = locator.class_of(_KIND, fold(name))
    return _instance(found)


@lru_cache(maxsize=256)
def _instance(cls: Any) -> Dialect:
    made: Dialect = locator.make(_KIND, cls, {})
    return made


def find(name: str) -> Dialect | None:
    """Return the dialect of exactly that name; None if there is none.

    Names of forks, such as ``mariadb``, are not found.
    """
    known = dialect(name) if locator.knows(_KIND, fold(name)) else None
    return known if known is not None and known.name == name else None


def canonical(name: str) -> str:
    """Return the main spelling of a dialect's name, such as ``postgres`` for ``postgresql``.

    A fork such as ``mariadb`` keeps its own name. Raises ``UnknownComponent`` if there is no such dialect.
    """
    known = dialect(name)
    return known.flavour or known.name


def names_with(fact: str) -> list[str]:
    """Return the sorted names of the dialects that have a value for the attribute named ``fact``.

    None counts as no value.
    """
    return [name for name in _names() if (known := find(name)) and getattr(known, fact) is not None]


def load(home: str) -> Any:
    """Import and return the object that a text ``module:name`` refers to."""
    module, _, name = home.partition(":")
    return getattr(importlib.import_module(module), name)


def _names() -> list[str]:
    """Every name that a dialect gives itself, also those that plugins bring, in order."""
    brought = (locator.class_of(_KIND, word).name for word in locator.words(_KIND) if word not in HOMES)
    return sorted({*HOMES, *brought})


for _module, _class in set(HOMES.values()):
    _home = f"hdm.dialects.{_module}:{_class}"
    _called = [word for word, home in HOMES.items() if home == (_module, _class)]
    locator.add(_KIND, fold(_class), _class, partial(load, _home), _called)
