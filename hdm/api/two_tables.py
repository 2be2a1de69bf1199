"""Compares two tables of any two connections."""

from __future__ import annotations

import os
from dataclasses import replace

from hdm.api.boundary import guarded
from hdm.api.ends import Given, component, read_end
from hdm.components import registry
from hdm.config.located import LocatedDict
from hdm.config.profile import Profiles, environment, load_profiles
from hdm.errors import UsageError
from hdm.model import ComponentSpec
from hdm.proof.compare import compare
from hdm.proof.pairing import Wishes
from hdm.proof.result import Comparison
from hdm.proof.side import Side, side_of
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

    Each table is named ``SYSTEM:CONNECTION.TABLE``, such as ``postgres:shop.public.orders``, or as an end of
    ``hdm cp``, by an address or a connection that says its system. ``env`` and
    ``profiles`` are those of ``hdm.open``. ``where`` is one SQL condition on the rows of both. The result has
    values of rows; hdm keeps none. Raises ``UsageError`` for a name that does not exist, or a wish that fits
    no column.
    """
    file = profiles if profiles is not None else os.environ.get("HDM_PROFILES") or None
    known = load_profiles(None if file is None else os.fspath(file), environment(env))
    return of_tables(first, second, known, wishes, where)


def of_tables(
    first: str, second: str, profiles: Profiles, wishes: Wishes, where: str | None = None
) -> Comparison:
    """Compare two tables, each named ``SYSTEM:CONNECTION.TABLE``; see ``hdm.api.diff``."""
    a, b = (_side(text, profiles, where) for text in (first, second))
    found = replace(compare(a, b, wishes), a=first, b=second)
    return found if where is None else replace(found, notes=(f"compared: rows where {where}", *found.notes))


def _side(text: str, profiles: Profiles, where: str | None) -> Side:
    end = read_end(Given(text), profiles)
    if not end.object:
        raise UsageError(
            f"{text!r} names no table", hint="write SYSTEM:CONNECTION.TABLE, e.g. postgres:shop.public.orders"
        )
    cls = component("source", end)
    if cls is None or not issubclass(cls, SqlSource):
        raise UsageError(f"there is no database system {end.system!r}", hint="see: hdm components")
    conf = LocatedDict({"env": end.connection, "table_name": end.object.split(".")})
    if where is not None:
        conf["where"] = where
    known = profiles.beside({end.connection: end.entry}) if end.entry and end.connection else profiles
    source = registry.create("source", ComponentSpec(end.label, cls.__name__, conf), known)
    return side_of(source)
