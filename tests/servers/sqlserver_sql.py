"""T-SQL in PostgreSQL's words, by sqlglot; and what SQL Server refuses before it runs anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tests.servers.sqlserver_types import Native, Refused, converted, declared_type, native
from tests.servers.sqlserver_wire import Parameter

_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)


@dataclass(frozen=True)
class Held:
    """A table that is there: its name in SQL, its columns by folded name, and those that number rows."""

    name: str
    columns: dict[str, tuple[str, Native]]
    identities: frozenset[str]


Look = Callable[[str, str, bool], Held | None]
"""Schema, table, whether it is a temporary one -> the table."""


@dataclass
class Statement:
    """One statement for PostgreSQL. ``natives``: types that its CASTs name, by place."""

    kind: str
    sql: str
    natives: list[Native | None] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    domains: list[Native] = field(default_factory=list)
    begins: bool = True


def translate(text: str, look: Look, parameters: Sequence[Parameter], numbering: frozenset[str]) -> Statement:
    """``numbering``: names of the tables for which IDENTITY_INSERT is on."""
    try:
        tree = sqlglot.parse_one(text, read="tsql")
    except SqlglotError as error:
        raise Refused(102, f"Incorrect syntax: {str(error).splitlines()[0][:100]}") from None
    if isinstance(tree, exp.Command):
        raise Refused(102, f"Incorrect syntax near '{text[:20]}'.")
    return Translation(tree, look, parameters, numbering).statement()


class Translation:
    """Rewrites one statement's tree."""

    def __init__(
        self, tree: exp.Expr, look: Look, parameters: Sequence[Parameter], numbering: frozenset[str]
    ) -> None:
        self.tree, self.look, self.numbering = tree, look, numbering
        self.parameters = {one.name.lower(): (n, one) for n, one in enumerate(parameters, 1)}
        self.held: dict[int, Held] = {}
        self.columns: dict[str, tuple[str, Native]] = {}
        self.before: list[str] = []

    def statement(self) -> Statement:
        tree = self.tree
        _refuse(tree)
        kind = type(tree).__name__.lower()
        begins = kind not in ("select", "union") or any(tree.find_all(exp.From))
        into = None
        for select in tree.find_all(exp.Select):
            if select.args.get("into"):
                into = select.args["into"].this
                select.set("into", None)
        if isinstance(tree, exp.Delete):
            tree = self.tree = _delete(tree)
        target = self._target()
        if isinstance(tree, exp.Update):
            _update(tree)
        self._tables()
        natives = self._projected()
        self.rewrite()
        if isinstance(tree, exp.Insert):
            self._insert(tree, target)
        elif isinstance(tree, exp.Update) and target is not None:
            for one in tree.expressions:
                _, to = target.columns.get(one.this.name.lower(), ("", None))
                one.set("this", exp.to_identifier(one.this.name, quoted=True))
                if to is not None:
                    one.set("expression", converted(one.expression, to, implicit=True))
        sql = tree.sql("postgres")
        if into is not None:
            known = self.look("", into.name, True) if into.this.args.get("temporary") else None
            if known is not None:
                raise Refused(2714, f"There is already an object named '#{into.name}' in the database.")
            return Statement("into", f'CREATE TEMP TABLE "{into.name}" AS {sql}', before=self.before)
        return Statement(kind, sql, natives, self.before, begins=begins)

    # -- names -----------------------------------------------------------------

    def _target(self) -> Held | None:
        """The table that is written to."""
        tree = self.tree
        if not isinstance(tree, (exp.Insert, exp.Update, exp.Delete)):
            return None
        table = tree.find(exp.Table)
        if isinstance(tree, exp.Insert):
            table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        elif isinstance(tree, exp.Update) and (source := tree.args.get("from_")):
            named = tree.this.name
            for one in source.find_all(exp.Table):
                if one.alias_or_name == named:
                    table = one
        if not isinstance(table, exp.Table):
            return None
        return self._found(table)

    def _found(self, table: exp.Table) -> Held:
        temporary = bool(table.this.args.get("temporary"))
        held = self.look(table.db or "dbo", table.name, temporary)
        if held is None:
            raise Refused(208, f"Invalid object name '{table.db or 'dbo'}.{table.name}'.")
        return held

    def _tables(self) -> None:
        names = {cte.alias for cte in self.tree.find_all(exp.CTE)}
        for table in list(self.tree.find_all(exp.Table)):
            if not isinstance(table.this, exp.Identifier) or (not table.db and table.name in names):
                continue
            hints = " ".join(one.sql("tsql").upper() for one in table.args.get("hints") or ())
            table.set("hints", None)
            if table.db.lower() == "sys":
                if table.catalog.lower() == "tempdb" and table.name.lower() == "columns":
                    table.set("this", exp.to_identifier("temporary_columns"))
                    table.set("db", exp.to_identifier("ms"))
                table.set("catalog", None)
                continue
            if table.db.lower() == "information_schema":
                continue
            if isinstance(self.tree, exp.Drop) and self.tree.args.get("exists"):
                try:
                    self._found(table)
                except Refused:
                    table.set("catalog", None)
                    continue
            if isinstance(self.tree, exp.Create) and table is self.tree.this:  # a view
                table.set("db", exp.to_identifier(table.db or "dbo", quoted=True))
                continue
            held = self._found(table)
            self.columns.update(held.columns)
            schema, _, name = held.name.partition(".")
            alias = table.args.get("alias")
            table.set("catalog", None)
            table.set("db", exp.to_identifier(schema.strip('"'), quoted=True))
            table.set("this", exp.to_identifier(name.strip('"'), quoted=True))
            table.set("alias", alias)
            if "UPDLOCK" in hints and isinstance(table.parent_select, exp.Select):
                rows = exp.Table(this=exp.to_identifier(table.alias_or_name, quoted=True))
                table.parent_select.append("locks", exp.Lock(update=True, expressions=[rows]))
            if "TABLOCKX" in hints:
                self.before.append(f"LOCK TABLE {held.name} IN ACCESS EXCLUSIVE MODE")

    # -- expressions -------------------------------------------------------------

    def _projected(self) -> list[Native | None]:
        tree = self.tree
        if not isinstance(tree, exp.Select):
            return []
        found: list[Native | None] = []
        for one in tree.expressions:
            bare = one.unalias()
            if isinstance(bare, exp.Star):
                return []
            if isinstance(bare, (exp.Cast, exp.Convert)):
                found.append(declared_type(bare.args.get("to") or bare.this))
            else:
                found.append(native("int") if isinstance(bare, exp.Count) else None)
        return found

    def rewrite(self) -> None:
        for node in reversed(list(self.tree.walk())):
            made = self._rewritten(node)
            if made is not node:
                node.replace(made)

    def _rewritten(self, node: exp.Expr) -> exp.Expr:
        if isinstance(node, _COMPARED):
            self._widen(node)
        elif isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier):
            if node.table.lower() == "inserted":  # of OUTPUT
                node.set("table", None)
            if known := self.columns.get(node.name.lower()):
                node.set("this", exp.to_identifier(known[0], quoted=True))
        elif isinstance(node, exp.National):
            made = exp.Literal.string(node.name)
            made.meta["wide"] = True
            return made
        elif isinstance(node, exp.Parameter):
            return self._parameter(node)
        elif isinstance(node, exp.Convert):
            style = node.args.get("style")
            value, to = node.expression, declared_type(node.this)
            return converted(value, to, int(style.name) if style else None)
        elif isinstance(node, exp.Cast):
            made_cast = converted(node.this, declared_type(node.to))
            made_cast.meta["text"] = "char" in declared_type(node.to).name
            return made_cast
        elif isinstance(node, exp.Collate):
            node.set("expression", exp.Var(this=f'ms."{node.expression.name}"'))
        elif isinstance(node, exp.DateAdd | exp.TsOrDsAdd):
            part = exp.Literal.string(str(node.args.get("unit") or "day").lower())
            return exp.Anonymous(this="date_add", expressions=[part, node.expression, node.this])
        elif isinstance(node, exp.Anonymous) and node.name.lower() == "datalength":
            value = node.expressions[0]
            known_type = exp.Anonymous(this="pg_typeof", expressions=[value.copy()])
            return exp.Anonymous(this="data_length", expressions=[value, known_type])
        elif isinstance(node, exp.Replace) or (
            isinstance(node, exp.Anonymous) and node.name.lower() == "replace"
        ):
            given = node.expressions or [node.this, node.args["expression"], node.args["replacement"]]
            return exp.Anonymous(this="replaced", expressions=given)
        elif isinstance(node, exp.CurrentTimestamp):
            return exp.Anonymous(this="getdate")
        return node

    def _parameter(self, node: exp.Parameter) -> exp.Expr:
        name = node.this.name.lower()
        if name not in self.parameters:
            raise Refused(137, f'Must declare the scalar variable "@{name}".')
        number, one = self.parameters[name]
        made = exp.Var(this=f"${number}::{one.kind}")
        made.meta["wide"] = one.wide
        return made

    def _widen(self, node: exp.Expr) -> None:
        """Beside an nvarchar, a varchar is turned to nvarchar; beside another type, a text to that type."""
        for side, beside in (("this", "expression"), ("expression", "this")):
            column, other = node.args[side], node.args[beside]
            known = self.columns.get(column.name.lower()) if isinstance(column, exp.Column) else None
            if known is None:
                continue
            if known[1].name in ("char", "varchar") and other.meta.get("wide"):
                node.set(side, exp.Var(this=f"({column.sql('postgres')} COLLATE ms.wide)"))
            elif "char" not in known[1].name and (other.meta.get("wide") or other.meta.get("text")):
                node.set(beside, converted(other.copy(), known[1], implicit=True))

    # -- statements --------------------------------------------------------------

    def _insert(self, tree: exp.Insert, target: Held | None) -> None:
        if target is None:
            return
        named = tree.this.expressions if isinstance(tree.this, exp.Schema) else []
        names = [one.name.lower() for one in named] or [*target.columns]
        for one in named:
            if one.name.lower() not in target.columns:
                raise Refused(207, f"Invalid column name '{one.name}'.")
            one.set("this", target.columns[one.name.lower()][0])
            one.set("quoted", True)
        given = target.identities & set(names)
        if given and target.name not in self.numbering:
            raise Refused(544, f"Cannot insert explicit value for identity column in table '{target.name}' "
                          "when IDENTITY_INSERT is set to OFF.")  # fmt: skip
        if target.identities and not given and target.name in self.numbering:
            raise Refused(
                545, f"Explicit value must be specified for identity column in table '{target.name}'."
            )
        wanted = [target.columns[name][1] for name in names]
        source = tree.expression
        if isinstance(source, exp.Values):
            sets = [one.expressions for one in source.expressions]
        elif isinstance(source, exp.Select) and not any(isinstance(e, exp.Star) for e in source.expressions):
            sets = [source.expressions]
        else:
            return
        for values in sets:
            if len(values) != len(wanted):
                raise Refused(
                    213, "Column name or number of supplied values does not match table definition."
                )
            for value, to in zip(list(values), wanted, strict=True):
                if not isinstance(value, exp.Null) and value.sql("tsql").upper() != "DEFAULT":
                    value.replace(converted(value.unalias().copy(), to, implicit=True))


def _refuse(tree: exp.Expr) -> None:
    """What is no table expression in SQL Server."""
    for inner in tree.find_all(exp.Subquery, exp.CTE):
        select = inner.this
        if not isinstance(select, exp.Select):
            continue
        if select.args.get("order") and not any(select.args.get(k) for k in ("limit", "offset")):
            raise Refused(1033, "The ORDER BY clause is invalid in views, inline functions, derived tables, "
                          "subqueries, and common table expressions, unless TOP, OFFSET or FOR XML is also "
                          "specified.")  # fmt: skip
        if inner.args.get("with_") or select.args.get("with_"):
            raise Refused(156, "Incorrect syntax near the keyword 'WITH'.")
        if isinstance(inner.parent, (exp.From, exp.Join)) and not inner.alias_column_names:
            names = [one.alias_or_name.lower() for one in select.expressions]
            if "" in names:
                raise Refused(8155, f"No column name was specified for column {names.index('') + 1}.")
            for name in names:
                if names.count(name) > 1 and name != "*":
                    raise Refused(8156, f"The column '{name}' was specified multiple times.")
    if tree.find(exp.Boolean) or (tree.find(exp.Limit) and re.search(r"\bLIMIT\b", str(tree.meta))):
        raise Refused(102, "Incorrect syntax.")


def _update(tree: exp.Update) -> None:
    """``UPDATE t SET .. FROM x AS t JOIN s ON ..`` names its target twice."""
    source = tree.args.get("from_")
    if source is None:
        return
    first = source.this
    if first.alias_or_name != tree.this.name:
        return
    joins = first.args.get("joins") or []
    first.set("joins", None)
    tree.set("this", first.copy())
    conditions = [join.args["on"] for join in joins if join.args.get("on")]
    if not joins:
        tree.set("from_", None)
        return
    others = joins[0].this.copy()
    if len(joins) > 1:
        others.set("joins", [exp.Join(this=join.this.copy()) for join in joins[1:]])
    tree.set("from_", exp.From(this=others))
    where = tree.args.get("where")
    tree.set("where", exp.Where(this=exp.and_(*conditions, *([where.this] if where else []))))


def _delete(tree: exp.Delete) -> exp.Delete:
    """``WITH q AS (..) DELETE FROM q`` deletes the rows behind the query.

    ``DELETE t FROM x AS t JOIN s ON ..`` names its target twice.
    """
    having = tree.args.get("with_")
    joins = tree.this.args.get("joins")
    if tree.args.get("tables") and joins:
        tree.this.set("joins", None)
        on = exp.and_(*(join.args["on"] for join in joins))
        return exp.Delete(this=tree.this, using=[join.this for join in joins], where=exp.Where(this=on))
    if not having or having.expressions[0].alias != tree.this.name:
        return tree
    query = having.expressions[0].this
    behind = query.find(exp.Table)
    query.append("expressions", exp.Var(this="ctid AS hdm_row"))
    picked = exp.select(exp.Var(this="hdm_row")).from_(query.subquery(tree.this.name))
    picked.set("where", tree.args.get("where"))
    return exp.Delete(
        this=behind.copy(), where=exp.Where(this=exp.In(this=exp.Var(this="ctid"), query=picked.subquery()))
    )


def suggested(text: str, look: Look) -> list[tuple[str, Any]]:
    """Parameters of a statement and the types that sp_describe_undeclared_parameters suggests for them."""
    tree = sqlglot.parse_one(text, read="tsql")
    if any(table.this.args.get("temporary") for table in tree.find_all(exp.Table)):
        raise Refused(11525, "The metadata could not be determined because the statement uses a temp table.")
    known: dict[str, Native] = {}
    if isinstance(tree, exp.Insert) and isinstance(tree.this, exp.Schema):
        held = look(tree.this.this.db or "dbo", tree.this.this.name, False)
        for values in tree.expression.expressions if held and isinstance(tree.expression, exp.Values) else ():
            for name, value in zip(tree.this.expressions, values.expressions, strict=False):
                if isinstance(value, exp.Parameter) and held and name.name.lower() in held.columns:
                    known[value.this.name] = held.columns[name.name.lower()][1]
    names = list(dict.fromkeys(one.this.name for one in tree.find_all(exp.Parameter)))
    return [(name, known.get(name, Native("nvarchar", 4000))) for name in names]
