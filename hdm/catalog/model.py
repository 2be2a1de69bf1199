"""A whole schema as values that cannot change: all that a crawl finds, in the system's own SQL.

Texts (defaults, checks, generated columns, views) are SQL of ``Schema.system``. The mapper turns a schema
into a schema of another system, made of the same classes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hdm.model import Column, Table, digest
from hdm.model.json import table_from_json, table_to_json

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or a unique constraint.

    ``name`` is empty if the system has none for it.
    """

    name: str
    columns: tuple[str, ...]
    nulls_distinct: bool = True


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key: ``columns`` refer to the columns ``target_columns`` of the table ``target``.

    Actions are in upper case.
    """

    name: str
    columns: tuple[str, ...]
    target: Path
    target_columns: tuple[str, ...]
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"
    deferrable: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """A check constraint, with the SQL condition that every row fulfils."""

    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class IndexPart:
    """A column, or an expression, of an index.

    ``length`` is MySQL's prefix, in characters.
    """

    column: str | None = None
    expression: str | None = None
    descending: bool = False
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """An index that does not belong to a key.

    ``method`` is empty for the ordinary sorted one.
    """

    name: str
    parts: tuple[IndexPart, ...]
    unique: bool = False
    method: str = ""
    where: str | None = None
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """How the system numbers the rows in an identity column.

    ``always``: values given by an INSERT are refused. ``style`` tells spellings of one system apart (SQLite:
    ``rowid`` or ``autoincrement``).
    """

    column: str
    start: int = 1
    increment: int = 1
    always: bool = False
    style: str = ""


@dataclass(frozen=True, slots=True)
class Partitioning:
    """How the system partitions a table.

    ``kind`` is RANGE, LIST, HASH or the system's word; ``text`` is the clause as the system spells it.
    """

    kind: str
    columns: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Distribution:
    """How a distributed system places a table's rows.

    ``style`` is HASH, EVEN or ALL; ``columns`` are hashed; ``sort`` are sort, organising or clustering
    columns.
    """

    style: str = ""
    columns: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """A table with its keys, checks, indexes and other properties.

    ``virtual`` names generated columns that are computed when read. ``part_of`` and ``part_bound`` are set
    for a partition of another table. ``inherits`` names the parents in PostgreSQL's INHERITS: a query of a
    parent also returns this table's rows, though it is a table of its own.
    """

    table: Table
    primary_key: Key | None = None
    uniques: tuple[Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    indexes: tuple[Index, ...] = ()
    identities: tuple[Identity, ...] = ()
    virtual: tuple[str, ...] = ()
    comment: str | None = None
    partitioning: Partitioning | None = None
    part_of: Path | None = None
    part_bound: str | None = None
    distribution: Distribution | None = None
    options: str = ""
    inherits: tuple[Path, ...] = ()

    @property
    def path(self) -> Path:
        """The table's name, outermost part first."""
        return self.table.path

    def with_columns(self, columns: tuple[Column, ...]) -> Relation:
        """Return a copy whose table has these columns."""
        return replace(self, table=replace(self.table, columns=columns))

    def identity(self, column: str) -> Identity | None:
        """Return how the system numbers the column ``column``; None if it does not number it."""
        return next((one for one in self.identities if one.column == column), None)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A named sequence of numbers.

    ``owner`` is the column that it was made for: table path + name.
    """

    path: Path
    start: int = 1
    increment: int = 1
    minimum: int | None = None
    maximum: int | None = None
    cycle: bool = False
    type: str = "bigint"
    owner: Path | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class EnumType:
    """A named enumeration type with its labels in their order."""

    path: Path
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """A database view with its query.

    ``sql`` is the query without CREATE VIEW, ``uses`` are the paths that it reads.
    """

    path: Path
    sql: str
    columns: tuple[str, ...] = ()
    materialized: bool = False
    comment: str | None = None
    uses: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Schema:
    """All that a crawl found in one system: tables, views, sequences and types.

    ``system`` is a dialect's name, ``flavour`` its fork (``mariadb``). ``unread`` lists objects that exist
    and cannot be described: kind, name.
    """

    system: str
    database: str = ""
    flavour: str = ""
    relations: tuple[Relation, ...] = ()
    views: tuple[View, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    enums: tuple[EnumType, ...] = ()
    _by_path: dict[Path, Relation] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[Path, Relation] = {}
        for one in self.relations:
            found.setdefault(one.path, one)
        object.__setattr__(self, "_by_path", found)

    @property
    def schemas(self) -> list[str]:
        """The names of the schemas with objects in them, sorted; empty for a system without schemas."""
        paths = [one.path for one in self.relations]
        paths += [one.path for one in self.views] + [one.path for one in self.sequences]
        return sorted({path[-2] for path in paths if len(path) > 1})

    def relation(self, path: Path) -> Relation | None:
        """Return the table with the full name ``path``; None if there is none."""
        return self._by_path.get(path)

    @property
    def sha(self) -> str:
        """A digest of the whole schema, without the database's name and the estimates of size."""
        return digest("schema", schema_to_json(replace(self, database=""), sizes=False))


def dotted(path: Path) -> str:
    """Return a name's parts joined by dots, for people; parts that contain a dot are quoted."""
    return ".".join(f'"{part}"' if "." in part or not part else part for part in path)


def schema_to_json(schema: Schema, *, sizes: bool = True) -> str:
    """Return a schema as one JSON object with sorted keys; without ``sizes``, estimates are left out."""
    body = {
        **{name: getattr(schema, name) for name in ("system", "database", "flavour")},
        "relations": [relation_to_dict(one, sizes=sizes) for one in schema.relations],
        "views": [asdict(one) for one in schema.views],
        "sequences": [asdict(one) for one in schema.sequences],
        "unread": schema.unread,
        "enums": [asdict(one) for one in schema.enums],
    }
    return json.dumps(body, sort_keys=True, ensure_ascii=False, indent=1)


def schema_from_json(text: str) -> Schema:
    """Return the schema for a JSON text that ``schema_to_json`` wrote."""
    body = json.loads(text)
    return Schema(
        body["system"],
        body["database"],
        body["flavour"],
        tuple(relation_from_dict(one) for one in body["relations"]),
        tuple(_view(one) for one in body["views"]),
        tuple(_sequence(one) for one in body["sequences"]),
        tuple((kind, name) for kind, name in body["unread"]),
        tuple(EnumType(**_tuples(one)) for one in body["enums"]),
    )


def relation_to_dict(relation: Relation, *, sizes: bool = True) -> dict[str, Any]:
    """Return a table with its keys, indexes and other properties as plain dicts and lists.

    Without ``sizes``, estimates of size are left out.
    """
    table = relation.table if sizes else replace(relation.table, rows=None, bytes=None)
    rest = asdict(replace(relation, table=_NOTHING))
    rest["table"] = json.loads(table_to_json(table))
    if not relation.inherits:
        del rest["inherits"]  # came later: what was recorded before stays what it is
    return rest


def relation_from_dict(body: dict[str, Any]) -> Relation:
    """Return the table for the plain data that ``relation_to_dict`` returned."""
    body = dict(body)
    return Relation(
        table=table_from_json(json.dumps(body.pop("table"))),
        primary_key=_key(body.pop("primary_key")),
        uniques=tuple(_key(one) for one in body.pop("uniques")),
        foreign_keys=tuple(ForeignKey(**_tuples(one)) for one in body.pop("foreign_keys")),
        checks=tuple(Check(**one) for one in body.pop("checks")),
        indexes=tuple(_index(one) for one in body.pop("indexes")),
        identities=tuple(Identity(**one) for one in body.pop("identities")),
        partitioning=_made(Partitioning, body.pop("partitioning")),
        distribution=_made(Distribution, body.pop("distribution")),
        inherits=tuple(tuple(path) for path in body.pop("inherits", ())),
        **_tuples(body),
    )


@dataclass(frozen=True, slots=True)
class _Nothing:
    nothing: None = field(default=None)


_NOTHING: Any = _Nothing()


def _tuples(body: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in body.items()}


def _made(cls: Any, body: dict[str, Any] | None) -> Any:
    return None if body is None else cls(**_tuples(body))


def _key(body: dict[str, Any] | None) -> Any:
    return _made(Key, body)


def _index(body: dict[str, Any]) -> Index:
    parts = tuple(IndexPart(**one) for one in body.pop("parts"))
    return Index(parts=parts, **_tuples(body))


def _view(body: dict[str, Any]) -> View:
    uses = tuple(tuple(path) for path in body.pop("uses"))
    return View(uses=uses, **_tuples(body))


def _sequence(body: dict[str, Any]) -> Sequence:
    return Sequence(**_tuples(body))
