"""Compares two tables of any two connections."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hdm.api.boundary import guarded
from hdm.components import registry
from hdm.config.located import LocatedDict
from hdm.config.profile import Profiles, environment, load_profiles
from hdm.errors import UsageError
from hdm.model import ComponentSpec
from hdm.proof.compare import compare
from hdm.proof.pairing import Wishes
from hdm.proof.result import Comparison
from hdm.proof.side import Side, side_of
from hdm.sql.sink import SqlSink
from hdm.sql.source import SqlSource


@guarded
def diff(
    first: str,
    second: str,
    wishes: Wishes = Wishes(),  # noqa: B008 -- a frozen value
    *,
    env: str | None = None,
    profiles: str | os.PathLike[str] | None = None,
    where: str | None = None,
) -> Comparison:
    """Compare two tables of any two databases, and return what differs; change nothing.

    Each table is named ``SYSTEM:CONNECTION.TABLE``, such as ``postgres:shop.public.orders``; ``env`` and
    ``profiles`` are those of ``hdm.open``. ``where`` is one SQL condition on the rows of both. The result has
    values of rows; hdm keeps none. Raises ``UsageError`` for a name that does not exist, or a wish that fits
    no column.
    """
    return of_tables(first, second, known_profiles(env, profiles), wishes, where)


def known_profiles(env: str | None, profiles: str | os.PathLike[str] | None) -> Profiles:
    """Read the profiles of an environment, as ``hdm.open`` finds them."""
    file = profiles if profiles is not None else os.environ.get("HDM_PROFILES") or None
    return load_profiles(None if file is None else os.fspath(file), environment(env))


def of_tables(
    first: str, second: str, profiles: Profiles, wishes: Wishes, where: str | None = None
) -> Comparison:
    """Compare two tables, each named ``SYSTEM:CONNECTION.TABLE``; see ``hdm.api.diff``."""
    a, b = (place_of(text, profiles).side(profiles, where) for text in (first, second))
    found = replace(compare(a, b, wishes), a=first, b=second)
    return found if where is None else replace(found, notes=(f"compared: rows where {where}", *found.notes))


@dataclass(frozen=True, slots=True)
class Place:
    """A table as the command line names it: ``SYSTEM:CONNECTION.TABLE``."""

    text: str
    system: str
    connection: str
    table: tuple[str, ...]

    def side(self, profiles: Profiles, where: str | None) -> Side:
        """Return the table as a side of a comparison, with only the rows that fulfil ``where``."""
        kind = registry.canonical("source", f"{self.system}_source")
        if kind is None or not issubclass(registry.find("source", kind), SqlSource):
            raise UsageError(f"there is no database system {self.system!r}", hint="see: hdm components")
        conf = LocatedDict({"env": self.connection, "table_name": list(self.table)})
        if where is not None:
            conf["where"] = where
        source = registry.create("source", ComponentSpec(self.connection, kind, conf), profiles)
        return side_of(source)

    def sink(self, profiles: Profiles, path: Sequence[str], key: Sequence[str]) -> SqlSink:
        """Return a sink that writes the existing table at ``path``; ``key`` tells its rows apart."""
        known = (registry.canonical("sink", f"{self.system}_{end}") for end in ("sink", "copy_sink"))
        kind = next((one for one in known if one is not None), None)
        if kind is None or not issubclass(registry.find("sink", kind), SqlSink):
            raise UsageError(
                f"{self.text}: hdm does not write single rows of {self.system}",
                hint="name a second table of another system; see: hdm components",
            )
        conf = LocatedDict(
            {"env": self.connection, "table_name": list(path), "key": list(key), "create": False}
        )
        sink: SqlSink = registry.create("sink", ComponentSpec(self.connection, kind, conf), profiles)
        return sink


def place_of(text: str, profiles: Profiles) -> Place:
    """Return what ``SYSTEM:CONNECTION.TABLE`` names; raise ``UsageError`` for another form."""
    system, _, rest = text.partition(":")
    names = sorted(profiles.names(), key=len, reverse=True)
    connection = next((name for name in names if rest.startswith(f"{name}.")), rest.partition(".")[0])
    table = rest[len(connection) + 1 :]
    if not rest or not table:
        raise UsageError(
            f"{text!r} names no table", hint="write SYSTEM:CONNECTION.TABLE, e.g. postgres:shop.public.orders"
        )
    return Place(text, system, connection, tuple(table.split(".")))
