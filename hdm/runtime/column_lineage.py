"""Finds which source columns a link's columns are made of, from ``transform:`` or the link's declaration.

Nothing is guessed: what cannot be derived is recorded as unknown. Parsing needs sqlglot (the extra
``catalog``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hdm.model import Origin, Table

_ONE_WAY = {"MD5", "MD5DIGEST", "SHA", "SHA1", "SHA2", "SHA256", "SHA512", "HASH", "FARM_FINGERPRINT"}
"""Functions whose result does not reveal their argument, as DuckDB and sqlglot name them.

https://duckdb.org/docs/stable/sql/functions/utility
"""
_NO_PARSER = "not derived: sqlglot is not installed (pip install 'hdm[catalog]')"
_LONGEST = 500


def unknown(table: Table, why: str) -> tuple[Origin, ...]:
    """Return an ``Origin`` for each column of ``table`` that says that its source is unknown, and ``why``."""
    return tuple(Origin(column.name, how="unknown", expression=why) for column in table.columns)


def as_they_are(table: Table) -> tuple[Origin, ...]:
    """Return an ``Origin`` for each column of ``table``: the source's column, unchanged."""
    return tuple(Origin(column.name, (column.name,)) for column in table.columns)


def of_statement(sql: str, given: Table, made: Table) -> tuple[Origin, ...]:
    """Return an ``Origin`` for each column of ``made``, the result of the statement ``sql`` over ``given``.

    An origin named ``*`` lists the columns that decide which rows remain. Where the origin cannot be derived,
    it is unknown, with the reason.
    """
    try:
        import sqlglot  # noqa: F401
    except ImportError:
        return unknown(made, _NO_PARSER)
    folded = {column.name.lower(): column.name for column in given.columns}
    if len(folded) != len(given.columns):
        return unknown(made, "not derived: the source has names that differ by case alone")
    try:
        return _derived(sql, folded, made)
    except _Unclear as why:
        return unknown(made, f"not derived: {why}")


def declared(given: Sequence[Origin], said: Sequence[Origin]) -> tuple[Origin, ...]:
    """Return the origins of a link's columns: those that the link declares, else those of its input.

    ``said`` are the declared origins, ``given`` those of the input, through which the declared ones are
    followed back.
    """
    below = {one.column: one for one in given}
    named = {one.column: one for one in said}
    found = [
        _through(named[one.column], below) if one.column in named else one
        for one in given
        if one.column != "*"
    ]
    return (*found, *(one for one in given if one.column == "*"))


def _through(said: Origin, below: Mapping[str, Origin]) -> Origin:
    """Return a declared origin, with its sources replaced by what these are themselves made of."""
    parts = [below.get(name) for name in said.sources]
    if any(part is None or part.how == "unknown" for part in parts):
        return replace(said, how="unknown", sources=(), masked=())
    use = _Use()
    for name, part in zip(said.sources, parts, strict=True):
        assert part is not None
        use.add(part, masked=name in said.masked)
    return replace(said, sources=use.sources, masked=use.masked, conditions=use.conditions(said.conditions))


class _Unclear(Exception):
    """Raised for a statement whose columns cannot be followed."""


@dataclass
class _Use:
    """The source columns of one value; True for a column that reaches it only through a one-way function."""

    values: dict[str, bool] = field(default_factory=dict)
    deciding: dict[str, None] = field(default_factory=dict)

    def add(self, part: Origin, *, masked: bool) -> None:
        for name in part.sources:
            self.values[name] = self.values.get(name, True) and (masked or name in part.masked)
        self.deciding.update(dict.fromkeys(part.conditions))

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(self.values)

    @property
    def masked(self) -> tuple[str, ...]:
        return tuple(name for name, hidden in self.values.items() if hidden)

    def conditions(self, more: Sequence[str] = ()) -> tuple[str, ...]:
        return tuple(name for name in dict.fromkeys([*self.deciding, *more]) if name not in self.values)


def _derived(sql: str, folded: Mapping[str, str], made: Table) -> tuple[Origin, ...]:
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    schema: dict[str, object] = {"batch": dict.fromkeys(folded, "text")}
    try:
        tree = qualify(parse_one(sql, read="duckdb"), schema=schema, dialect="duckdb")
        scope = build_scope(tree)
    except (SqlglotError, RecursionError, ValueError, AttributeError, KeyError) as error:
        raise _Unclear(f"sqlglot cannot follow it ({type(error).__name__})") from error
    if scope is None or list(tree.find_all(exp.Columns)):
        raise _Unclear("it names columns by a pattern")
    walker = _Walker(folded)
    found = walker.outputs(scope)
    names = [name for name, _ in found]
    if len(found) != len(made.columns) or any(
        not name.startswith("_col_") and name.lower() != column.name.lower()
        for name, column in zip(names, made.columns, strict=False)
    ):
        raise _Unclear("its columns are not those that DuckDB gives")
    origins = [replace(one, column=column.name) for (_, one), column in zip(found, made.columns, strict=True)]
    if walker.deciding:
        origins.append(Origin("*", how="filter", conditions=tuple(walker.deciding)))
    return tuple(origins)


class _Walker:
    """Follows the columns of a qualified statement down to ``batch``."""

    def __init__(self, folded: Mapping[str, str]) -> None:
        self.folded = folded
        self.deciding: dict[str, None] = {}

    def outputs(self, scope: Any) -> list[tuple[str, Origin]]:
        """Return the name and origin of each column of the scope's result, in order."""
        from sqlglot import exp

        tree = scope.expression
        if isinstance(tree, exp.SetOperation):
            left, right = (self.outputs(one) for one in scope.union_scopes)
            return [(name, _either(a, b)) for (name, a), (_, b) in zip(left, right, strict=True)]
        if not isinstance(tree, exp.Select):
            raise _Unclear(f"it is a {type(tree).__name__.upper()}")
        self._decide(scope, tree)
        return [(one.alias_or_name, self._origin(scope, one.unalias())) for one in tree.selects]

    def _decide(self, scope: Any, tree: Any) -> None:
        """Collect the columns that decide which rows remain: those of WHERE, HAVING, QUALIFY and ON."""
        from sqlglot import exp

        places = [tree.args.get(name) for name in ("where", "having", "qualify")]
        places += [join.args.get("on") for join in tree.args.get("joins") or ()]
        for place in places:
            for column in place.find_all(exp.Column) if place is not None else ():
                self.deciding.update(dict.fromkeys(self._column(scope, column).sources))

    def _column(self, scope: Any, column: Any) -> Origin:
        from sqlglot.optimizer.scope import Scope

        source = scope.sources.get(column.table)
        name = column.name
        if source is None:
            raise _Unclear(f"it reads {column.table or name} in an inner query")
        if isinstance(source, Scope):
            for given, origin in self.outputs(source):
                if given == name:
                    return origin
            raise _Unclear(f"{name} is not among what an inner query gives")
        if source.name.lower() != "batch" or name.lower() not in self.folded:
            raise _Unclear(f"it reads {source.name}.{name}")
        return Origin(name, (self.folded[name.lower()],))

    def _origin(self, scope: Any, tree: Any) -> Origin:
        from sqlglot import exp

        tree = tree.unnest() if isinstance(tree, exp.Paren) else tree
        if isinstance(tree, exp.Star) or tree.find(exp.Star):
            raise _Unclear("a * was left in it")
        if isinstance(tree, exp.Column):
            return self._column(scope, tree)
        use = _Use()
        for column in tree.find_all(exp.Column):
            part = self._column(scope, column)
            if _decides(column, tree):
                use.deciding.update(dict.fromkeys((*part.sources, *part.conditions)))
            else:
                use.add(part, masked=_is_hidden(column, tree))
        text = tree.sql(dialect="duckdb")[:_LONGEST]
        if not use.values and not use.deciding:
            fixed = all(isinstance(node, _fixed()) for node in tree.walk())
            return Origin("", how="constant" if fixed else "generated", expression=text)
        how = "aggregation" if tree.find(exp.AggFunc) and not tree.find(exp.Window) else "transformation"
        place = list(self.folded.values()).index
        values = tuple(sorted(use.sources, key=place))
        return Origin("", values, how, text, tuple(sorted(use.masked, key=place)), use.conditions())


def _fixed() -> tuple[Any, ...]:
    from sqlglot import exp

    return exp.Literal, exp.Null, exp.Boolean, exp.Cast, exp.DataType, exp.Neg


def _decides(column: Any, top: Any) -> bool:
    """Return whether the column stands only in the condition of a CASE or IF, so its value is not used."""
    from sqlglot import exp

    node = column
    while node is not top:
        parent = node.parent
        if isinstance(parent, exp.If) and node.arg_key == "this":
            return True
        node = parent
    return False


def _is_hidden(column: Any, top: Any) -> bool:
    """Whether a one-way function stands between the column and the value."""
    from sqlglot import exp

    node = column
    while True:
        if isinstance(node, exp.Anonymous | exp.Func):
            name = node.name if isinstance(node, exp.Anonymous) else type(node).__name__
            if name.upper() in _ONE_WAY:
                return True
        if node is top:
            return False
        node = node.parent


def _either(left: Origin, right: Origin) -> Origin:
    """Return the origin of a column of a set operation, whose value comes from either side."""
    if left == right:
        return left
    use = _Use()
    use.add(left, masked=False)
    use.add(right, masked=False)
    kinds = {left.how, right.how}
    how = left.how if len(kinds) == 1 and left.how != "identity" else "transformation"
    both = " | ".join(one.expression or one.column for one in (left, right))[:_LONGEST]
    return Origin("", use.sources, how, both, use.masked, use.conditions())
