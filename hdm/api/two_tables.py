"""Compares two tables of any two connections."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hdm.api.boundary import guarded
from hdm.api.ends import End, Given, component, read_end
from hdm.components import registry
from hdm.config.located import LocatedDict
from hdm.config.profile import Profiles, environment, load_profiles
from hdm.config.secrets import redact
from hdm.errors import UsageError
from hdm.model import ComponentSpec
from hdm.proof.compare import compare
from hdm.proof.pairing import Wishes
from hdm.proof.result import Comparison
from hdm.proof.side import Side, SqlSide, side_of
from hdm.sql.sessions import looking
from hdm.sql.sink import SqlSink
from hdm.sql.source import SqlSource
from hdm.sql.whereabouts import no_table, whereabouts


@guarded
def diff(
    first: str,
    second: str,
    wishes: Wishes = Wishes(),  # noqa: B008 -- a frozen value
    *,
    env: str | None = None,
    profiles: str | os.PathLike[str] | None = None,
    where: str | None = None,
    notes: Callable[[str], object] | None = None,
) -> Comparison:
    """Compare two tables of any two databases, and return what differs; change nothing.

    Each table is named ``SYSTEM:CONNECTION.TABLE``, such as ``postgres:shop.public.orders``, or as an end of
    ``hdm cp``, by an address or a connection that says its system. ``env`` and
    ``profiles`` are those of ``hdm.open``. ``where`` is one SQL condition on the rows of both. The result has
    values of rows; hdm keeps none. ``notes`` is called with each line of which the user must know. Raises
    ``UsageError`` for a name that does not exist, a wish that fits no column, and two names of one table.
    """
    return of_tables(first, second, known_profiles(env, profiles), wishes, where, notes)


def known_profiles(env: str | None, profiles: str | os.PathLike[str] | None) -> Profiles:
    """Read the profiles of an environment, as ``hdm.open`` finds them."""
    file = profiles if profiles is not None else os.environ.get("HDM_PROFILES") or None
    return load_profiles(None if file is None else os.fspath(file), environment(env))


def of_tables(
    first: str,
    second: str,
    profiles: Profiles,
    wishes: Wishes,
    where: str | None = None,
    notes: Callable[[str], object] | None = None,
) -> Comparison:
    """Compare two tables and return the result; for the arguments see ``hdm.api.diff``."""
    a, b = (one.side(profiles, where) for one in places(first, second, profiles, notes))
    refuse_one_table(first, second, a, b)
    found = replace(compare(a, b, wishes), a=first, b=second)
    return found if where is None else replace(found, notes=(f"compared: rows where {where}", *found.notes))


def refuse_one_table(first: str, second: str, a: Side, b: Side) -> None:
    """Raise ``UsageError`` if two names are known to stand for one table."""
    hint = "name two tables"
    if a.table.dataset == b.table.dataset:
        raise UsageError(f"{first} and {second} are one table", hint=hint)
    if not (isinstance(a, SqlSide) and isinstance(b, SqlSide)):
        return
    if a.database.dialect.name != b.database.dialect.name:
        return
    here = whereabouts(a.database, a.table.path)
    if here is not None and here == whereabouts(b.database, b.table.path):
        raise UsageError(f"{first} and {second} are one table under two names", hint=hint)


@dataclass(frozen=True, slots=True)
class Place:
    """A table as the command line names it: an end of ``hdm cp`` that is a table of a database."""

    text: str
    end: End

    def side(self, profiles: Profiles, where: str | None) -> Side:
        """Return the table as a side of a comparison, with only the rows that fulfil ``where``."""
        cls = component("source", self.end)
        if cls is None or not issubclass(cls, SqlSource):
            raise UsageError(f"there is no database system {self.end.system!r}", hint="see: hdm components")
        conf = self._conf(self.end.object.split("."))
        if where is not None:
            conf["where"] = where
        source = registry.create(
            "source", ComponentSpec(self.end.label, cls.__name__, conf), self._known(profiles)
        )
        if where is not None:
            source.ready(source.describe())
        return side_of(source)

    def sink(self, profiles: Profiles, path: Sequence[str], key: Sequence[str]) -> SqlSink:
        """Return a sink that writes the existing table at ``path``; ``key`` tells its rows apart."""
        system = self.end.system
        known = (registry.canonical("sink", f"{system}_{end}") for end in ("sink", "copy_sink"))
        kind = next((one for one in known if one is not None), None)
        if kind is None or not issubclass(registry.find("sink", kind), SqlSink):
            raise UsageError(
                f"{self.text}: hdm does not write single rows of {system}",
                hint="name a second table of another system; see: hdm components",
            )
        conf = self._conf(path)
        conf.update(key=list(key), create=False)
        sink: SqlSink = registry.create(
            "sink", ComponentSpec(self.end.label, kind, conf), self._known(profiles)
        )
        return sink

    def _conf(self, path: Sequence[str]) -> LocatedDict:
        return LocatedDict({"env": self.end.connection, "table_name": list(path)})

    def _known(self, profiles: Profiles) -> Profiles:
        """Return the profiles with the entry that an address gives, if the end is one."""
        if self.end.entry and self.end.connection:
            return profiles.beside({self.end.connection: self.end.entry})
        return profiles


def must_be_table(text: str, side: Side) -> None:
    """Raise ``UsageError`` if ``text`` names no table, but a view: its rows are not its own."""
    if not isinstance(side, SqlSide):
        return
    with looking(side.database, "hdm:proof") as connection:
        kind = no_table(side.database, connection, side.table.path)
    if kind is not None:
        raise UsageError(
            f"{text} is {kind}, and hdm changes rows of tables only", hint="name the table that has the rows"
        )


def places(
    first: str, second: str, profiles: Profiles, notes: Callable[[str], object] | None = None
) -> list[Place]:
    """Return what two texts name; call ``notes`` with each line of which the user must know."""
    found = [place_of(text, profiles) for text in (first, second)]
    if notes is not None:
        for note in (note for one in found for note in one.end.notes):
            notes(redact(note))
    return found


def place_of(text: str, profiles: Profiles) -> Place:
    """Return what a text names; raise ``UsageError`` if it names no table."""
    end = read_end(Given(text), profiles)
    if not end.object:
        raise UsageError(
            f"{text!r} names no table", hint="write SYSTEM:CONNECTION.TABLE, e.g. postgres:shop.public.orders"
        )
    return Place(text, end)
