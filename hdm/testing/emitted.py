"""Makes columns of every kind, and the statements of a dialect that the checks look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hdm.dialects.base import Dialect
from hdm.dialects.types import carrier
from hdm.errors import UsageError
from hdm.model import Column, Condition, Dataset, Kind, Table
from hdm.sql.ledger import COLUMNS as LEDGER

_CLOCKS = (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
_ALL: tuple[tuple[Kind, int | None, int | None, int | None], ...] = (
    *((kind, None, None, None) for kind in Kind if kind is not Kind.BIT),
    (Kind.TEXT, 40, None, None),
    (Kind.TEXT, 20_000_000, None, None),
    (Kind.BINARY, 16, None, None),
    (Kind.BIT, 8, None, None),
    (Kind.DECIMAL, None, 12, 2),
    (Kind.DECIMAL, None, 38, 38),
    (Kind.DECIMAL, None, 60, 10),
    *((kind, None, digits, None) for kind in _CLOCKS for digits in (0, 3, 9)),
)  # fmt: skip


def foreign() -> list[Column]:
    """Return a column of every kind, declared as in another system."""
    return [
        Column(
            f"c{n}_{kind.value}",
            kind,
            carrier(kind, digits, scale),
            length=length,
            precision=digits,
            scale=scale,
        )
        for n, (kind, length, digits, scale) in enumerate(_ALL)
    ]


def typed(dialect: Dialect, kind: Kind) -> Column:
    """Return a column of one kind, with the dialect's own type for it."""
    length = 200 if kind is Kind.TEXT else None
    bare = Column("c", kind, carrier(kind, 20, 2), length=length, precision=None, scale=None)
    if kind is Kind.DECIMAL:
        bare = Column("c", kind, carrier(kind, 20, 2), precision=20, scale=2)
    return dialect.column_from_catalog("c", dialect.native(bare).native)


def can_have(dialect: Dialect, name: str) -> bool:
    """Return True if the dialect accepts a name, else False."""
    try:
        return bool(dialect.quote(name))
    except UsageError:
        return False


def statements(dialect: Dialect, names: Sequence[str] = ("id", "v", "w")) -> Iterator[str]:
    """Yield statements that the dialect writes, with columns of these names.

    They create, rename and drop tables, merge rows, and select by every expression and condition.
    """
    path = ("s", "t")[-min(dialect.max_path, 2) :]
    stage, key = ("stage",), names[:1]
    columns = [Column(name, Kind.INT64, carrier(Kind.INT64), nullable=name not in key) for name in names]
    yield dialect.create_table(path, columns, key)
    yield dialect.create_table(path, foreign())
    yield dialect.create_table(stage, columns, temporary=True)
    yield dialect.create_table(path, LEDGER, ("chunk_id",))
    yield dialect.rename_table(path, "u")
    yield dialect.drop_table(path)
    for null_keys in (False, True):
        yield from dialect.merge(path, stage, names, key, null_keys=null_keys)
    yield dialect.conflicting(stage, names, key)
    yield from dialect.keep_one(stage, names, (), key)
    yield dialect.first("SELECT 1 FROM " + dialect.derived("SELECT 1 AS a"))
    yield from (f"SELECT {sql}" for sql in _expressions(dialect))
    table = Table(Dataset("n", "t"), path, tuple(columns), tuple(key))
    conditions = [Condition(names[1], op, "5") for op in (">=", ">", "<=", "<", "=")]
    where = dialect.predicate([*conditions, Condition(names[2], "null")], table)
    yield f"SELECT 1 FROM {dialect.qualify(path)} WHERE {where}"


def _expressions(dialect: Dialect) -> Iterator[str]:
    for column in foreign():
        own = dialect.column_from_catalog(column.name, dialect.native(column).native)
        yield dialect.select_expression(own)
        if dialect.is_sortable(own):
            yield dialect.text_of(dialect.quote(own.name), own)
            yield dialect.comparable(own)
    for kind in (Kind.INT64, Kind.DECIMAL):
        yield dialect.minus("c", "1.5", typed(dialect, kind))
    for kind in (Kind.DATE, Kind.TIMESTAMP):
        yield dialect.minus("c", "2 days", typed(dialect, kind))
    yield dialect.modulo("c", 7)
