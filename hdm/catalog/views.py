"""Translates the queries of views to the target's SQL, with the new names of tables and columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hdm.catalog.admission import Admission
from hdm.catalog.expressions import Resolve, Untranslatable, check, generate, parse, simplified
from hdm.catalog.model import Path, Schema, View, dotted


class Names:
    """Finds tables and columns of a crawled schema by the names that a query uses.

    An exact match comes first, then one without regard to case.
    """

    def __init__(self, schema: Schema) -> None:
        self.exact: dict[Path, dict[str, str]] = {}
        self.folded: dict[Path, Path] = {}
        for relation in schema.relations:
            self._add(relation.path, [column.name for column in relation.table.columns])
        for view in schema.views:
            self._add(view.path, list(view.columns))

    def _add(self, path: Path, columns: list[str]) -> None:
        self.exact[path] = {name.casefold(): name for name in columns}
        self.folded.setdefault(tuple(part.casefold() for part in path), path)

    def table(self, parts: Path, schema: str | None) -> Path | None:
        """Return the path of a table that a query names; None if the crawl did not find it.

        A name without a schema is sought in ``schema``, the view's own.
        """
        for full in (parts, (schema, *parts) if schema else parts, parts[-2:], parts[-1:]):
            if full in self.exact:
                return full
            found = self.folded.get(tuple(part.casefold() for part in full))
            if found:
                return found
        return None

    def column(self, path: Path, name: str) -> str:
        """Return a column's name as the catalogue spells it.

        If the table has no such column, ``name`` itself.
        """
        return self.exact.get(path, {}).get(name.casefold(), name)


def mentioned(view_sql: str, system: str, path: Path, names: Names) -> tuple[Path, ...]:
    """Return the tables and views that a view's query reads, as far as the crawl found them.

    Empty if the query cannot be parsed.
    """
    try:
        tree = parse(view_sql, system, query=True)
        tables = _tables(tree).values()
    except Untranslatable:
        return ()
    schema = path[-2] if len(path) > 1 else None
    found = [names.table(parts, schema) for parts in tables]
    return tuple(sorted({one for one in found if one and one != path}))


def translate_view(
    view: View,
    source: str,
    target: str,
    names: Names,
    resolve: Resolve,
    columns: Mapping[Path, Mapping[str, str]],
    admission: Admission | None = None,
) -> str:
    """Return a view's query translated from the SQL of ``source`` to that of ``target``.

    ``resolve`` returns a table's new path, ``columns`` the new names of a table's columns. Raises
    ``Untranslatable``, also if the view reads an object that is not carried over.
    """
    admission = admission or Admission(source)
    tree = simplified(parse(admission.query(view.sql), source, query=True), target)
    check(tree, source, target)
    schema = view.path[-2] if len(view.path) > 1 else None
    meant: dict[str, Path] = {}
    for node, parts in list(_tables(tree).items()):
        path = names.table(parts, schema)
        if path is None:
            raise Untranslatable(f"it reads {dotted(parts)}, which is not part of the crawl")
        new = resolve(path)
        if new is None:
            raise Untranslatable(f"it reads {dotted(path)}, which does not go along")
        meant[node.alias_or_name.casefold()] = path
        _point(node, path, new)
    _rename_columns(tree, meant, names, columns)
    return admission.on(target).known(generate(tree, target))


def admitted_view(view: View, admission: Admission, names: Names, resolve: Resolve) -> str:
    """Return a view's query without comments, for a target of the same system that keeps every name.

    ``resolve`` returns None for an object that is not carried over; ``Untranslatable`` is raised then, too.
    """
    text = admission.query(view.sql)
    tree = parse(text, admission.system, query=True)
    schema = view.path[-2] if len(view.path) > 1 else None
    for parts in _tables(tree).values():
        path = names.table(parts, schema)
        if path is None or resolve(path) is None:
            raise Untranslatable(f"it reads {dotted(parts)}, which does not go along")
    return text


def _tables(tree: Any) -> dict[Any, Path]:
    """Return the table nodes that are not common table expressions, each with the parts of its name."""
    from sqlglot import exp

    found = {}
    for node in tree.find_all(exp.Table):
        parts = tuple(part.name for part in node.parts)
        if isinstance(node.this, exp.Identifier) and not (len(parts) == 1 and _is_cte(node, parts[0])):
            found[node] = parts
        elif not isinstance(node.this, exp.Identifier | exp.Func):
            raise Untranslatable("it reads what is no table")
    return found


def _is_cte(node: Any, name: str) -> bool:
    """Whether a query around ``node`` has a common table expression of that name."""
    around = node.parent
    while around is not None:
        ctes = getattr(around, "ctes", None) or []
        if any(cte.alias.casefold() == name.casefold() for cte in ctes):
            return True
        around = around.parent
    return False


def _point(node: Any, old: Path, new: Path) -> None:
    from sqlglot import exp

    if not node.alias and old[-1] != new[-1]:
        node.set("alias", exp.TableAlias(this=exp.to_identifier(old[-1], quoted=True)))
    node.set("this", exp.to_identifier(new[-1], quoted=True))
    node.set("db", exp.to_identifier(new[-2], quoted=True) if len(new) > 1 else None)
    node.set("catalog", exp.to_identifier(new[-3], quoted=True) if len(new) > 2 else None)


def _rename_columns(
    tree: Any, meant: Mapping[str, Path], names: Names, columns: Mapping[Path, Mapping[str, str]]
) -> None:
    """Give columns their new names; a qualifier keeps the spelling of its table or alias."""
    from sqlglot import exp

    aliases = {
        node.alias_or_name.casefold(): node.alias_or_name
        for node in tree.find_all(exp.Table, exp.Subquery, exp.CTE)
        if node.alias_or_name
    }
    for column in list(tree.find_all(exp.Column)):
        if isinstance(column.this, exp.Star):
            continue
        owner = column.table.casefold()
        paths = [meant[owner]] if owner in meant else ([] if owner else list(meant.values()))
        for path in paths:
            spelled = names.column(path, column.name)
            if spelled.casefold() in names.exact.get(path, {}):
                new = columns.get(path, {}).get(spelled, spelled)
                column.set("this", exp.to_identifier(new, quoted=True))
                break
        for part in ("db", "catalog"):
            column.set(part, None)
        if owner:
            column.set("table", exp.to_identifier(aliases.get(owner, column.table), quoted=True))
