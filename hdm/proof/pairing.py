"""Finds which column of one table belongs to which of the other, and the key by which rows are compared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from hdm.config.located import suggest
from hdm.errors import UsageError
from hdm.model import Column, Table
from hdm.proof.forms import NONE_ACCEPTED, Accepted, Pair, pair_of
from hdm.proof.result import Level

OWN = "_hdm_"
"""How the names of columns begin that hdm itself adds to a target."""
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Wishes:
    """How two tables are to be compared.

    ``key`` names columns of the first table (default: its primary key, else that of the second). ``columns``
    maps names of the first table to other names in the second, ``exclude`` names columns of either that are
    left out, ``accept`` says, by names of the first table, which differences count as none. ``show`` is how
    many rows that differ are read and returned. Unless ``more_columns``, a column that only the second table
    has is a difference.
    """

    level: Level = Level.ROWS
    key: tuple[str, ...] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    accept: Mapping[str, Accepted] = field(default_factory=dict)
    show: int = SHOWN
    more_columns: bool = False


@dataclass(frozen=True, slots=True)
class Paired:
    """The columns that are compared, the places of the key among them, what only one side has, and notes."""

    pairs: tuple[Pair, ...]
    keys: tuple[int, ...]
    schema: tuple[str, ...]
    notes: tuple[str, ...]


def paired(a: Table, b: Table, wishes: Wishes) -> Paired:
    """Return how the columns of two tables belong together.

    Columns belong together if the names are equal, or differ only in case and no other column's do. Raises
    ``UsageError`` for a name in ``wishes`` that no column has, and if there is nothing to compare.
    """
    names_a, names_b = [c.name for c in a.columns], [c.name for c in b.columns]
    _known("columns", wishes.columns, names_a)
    _known("columns", wishes.columns.values(), names_b)
    _known("exclude", wishes.exclude, [*names_a, *names_b])
    _known("accept", wishes.accept, names_a)
    _known("key", wishes.key or (), names_a)
    pairs: list[Pair] = []
    schema: list[str] = []
    notes = [f"not compared: {name}" for name in wishes.exclude]
    left = [column for column in b.columns if column.name not in wishes.exclude]
    for column in a.columns:
        if column.name in wishes.exclude:
            left = [
                one for one in left if one is not _named(wishes.columns.get(column.name, column.name), left)
            ]
            continue
        found = _named(wishes.columns.get(column.name, column.name), left)
        if found is None:
            schema.append(f"only the first has the column {column.name}")
            continue
        left.remove(found)
        pair = pair_of(column, found, wishes.accept.get(column.name, NONE_ACCEPTED))
        pairs.append(pair)
        notes += _said(pair)
    for column in left:
        if column.name.lower().startswith(OWN) or wishes.more_columns:
            notes.append(f"not compared: only the second has the column {column.name}")
        else:
            schema.append(f"only the second has the column {column.name}")
    if not pairs:
        raise UsageError(
            "the tables have no column in common", hint="map names with columns: {first: second}"
        )
    return Paired(tuple(pairs), _keys(a, b, pairs, wishes), tuple(schema), tuple(notes))


def _known(what: str, given: Iterable[str], names: Collection[str]) -> None:
    for name in given:
        if name not in names:
            raise UsageError(
                f"{what}: there is no column {name!r}",
                hint=suggest(name, names) or "name a column of the table",
            )


def _named(name: str, columns: Collection[Column]) -> Column | None:
    exact = [column for column in columns if column.name == name]
    found = exact or [column for column in columns if column.name.casefold() == name.casefold()]
    return found[0] if len(found) == 1 else None


def _said(pair: Pair) -> list[str]:
    found = []
    name = pair.a.name
    if pair.a.kind is not pair.b.kind:
        form = pair.form.name.lower()
        found.append(f"{name}: {pair.a.kind} in the first, {pair.b.kind} in the second, compared as {form}")
    if pair.a.name.casefold() != pair.b.name.casefold():
        found.append(f"{name} is called {pair.b.name} in the second")
    return found + [f"{name}: accepted: {words}" for words in pair.accepted.words()]


def _keys(a: Table, b: Table, pairs: list[Pair], wishes: Wishes) -> tuple[int, ...]:
    first = {pair.a.name: number for number, pair in enumerate(pairs)}
    second = {pair.b.name: number for number, pair in enumerate(pairs)}
    if wishes.key is not None:
        left_out = [name for name in wishes.key if name not in first]
        if left_out:
            raise UsageError(
                f"key: the column {left_out[0]!r} is not compared", hint="name columns that both tables have"
            )
        return tuple(first[name] for name in wishes.key)
    for key, places in ((a.key, first), (b.key, second)):
        if key and all(name in places for name in key):
            return tuple(places[name] for name in key)
    return ()
