"""SQL expressions and queries from one dialect to another, through sqlglot; what it does not
understand for certain is refused, never guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hdm.catalogs.model import Path
from hdm.dialects import dialect as find_dialect
from hdm.errors import HdmError

Rename = Callable[[str], str]
"""A column's name on the target."""
Resolve = Callable[[Path], Path | None]
"""A table's path on the target; None if it does not go there."""

SAFE_FUNCTIONS = frozenset({"nextval"})


class Untranslatable(HdmError):
    """The SQL cannot be carried over for certain; the message says why."""


def sqlglot_name(system: str) -> str | None:
    """The dialect's name in sqlglot; None if it has none of its own (it is read as a near one)."""
    near = {"synapse": "tsql", "netezza": "postgres", "mariadb": "mysql", "odbc": ""}
    if system in near:
        return near[system] or None
    return find_dialect(system).sqlglot


def translate_expression(text: str, source: str, target: str, rename: Rename = lambda name: name) -> str:
    """A scalar expression of ``source`` in ``target``'s words, its columns renamed and quoted.

    Raises ``Untranslatable``.
    """
    tree = parse(text, source)
    check(tree, source, target)
    return generate(simplified(_renamed(tree, rename), target), target)


def parse(text: str, system: str, *, query: bool = False) -> Any:
    """The expression (or SELECT) as a sqlglot tree; ``Untranslatable`` if it is none."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        statements = sqlglot.parse(text, read=sqlglot_name(system))
    except (SqlglotError, RecursionError) as error:
        raise Untranslatable(f"it is not understood as {system} SQL ({type(error).__name__})") from error
    if len(statements) != 1 or statements[0] is None:
        raise Untranslatable("it is not one expression")
    tree = statements[0]
    if isinstance(tree, exp.Command) or (query and not isinstance(tree, exp.Query)):
        raise Untranslatable("it is not one query" if query else "it is not one expression")
    return tree


def generate(tree: Any, system: str) -> str:
    """SQL of ``system``, every identifier quoted; read back once, so that it is known to parse."""
    import sqlglot
    from sqlglot.errors import ErrorLevel, SqlglotError

    name = sqlglot_name(system)
    try:
        text = str(tree.sql(dialect=name, identify=True, unsupported_level=ErrorLevel.RAISE, comments=False))
        sqlglot.parse_one(text, read=name)
    except (SqlglotError, RecursionError) as error:
        raise Untranslatable(f"{system} has no word for it: {_first_line(error)}") from error
    return text


def check(tree: Any, source: str, target: str) -> None:
    """Raise ``Untranslatable`` for what may mean something else on the target."""
    from sqlglot import exp

    if source == target:
        return
    unknown = sorted({node.name for node in tree.find_all(exp.Anonymous)} - SAFE_FUNCTIONS)
    if unknown:
        raise Untranslatable(f"function {', '.join(unknown)} is not known to mean the same in {target}")
    if target not in ("postgres", "duckdb", "redshift") and any(
        tree.find(node) for node in (exp.RegexpLike, exp.RegexpILike)
    ):
        raise Untranslatable("regular expressions differ between the systems")
    if any(tree.find(node) for node in (exp.Placeholder, exp.Parameter, exp.SessionParameter)):
        raise Untranslatable("it has parameters or session variables")


def _renamed(tree: Any, rename: Rename) -> Any:
    from sqlglot import exp

    for column in list(tree.find_all(exp.Column)):
        column.set("this", exp.to_identifier(rename(column.name), quoted=True))
        for part in ("table", "db", "catalog"):
            column.set(part, None)
    return tree


def simplified(tree: Any, target: str) -> Any:
    """Without the casts that catalogues put around string literals and without character sets;
    booleans as the target writes them."""
    from sqlglot import exp

    def plain(node: Any) -> Any:
        if isinstance(node, exp.Cast):
            if isinstance(node.this, exp.Literal) and node.this.is_string and _is_textual(node.to, target):
                return node.this
            if node.to.this is exp.DataType.Type.CHARACTER_SET:
                return exp.cast(node.this, "text" if target != "mysql" else "char")
        if isinstance(node, exp.Boolean) and target in ("sqlserver", "synapse"):
            return exp.Literal.number(1 if node.this else 0)
        return node

    return tree.transform(plain)


def _is_textual(kind: Any, target: str) -> bool:
    from sqlglot import exp

    texts = {*exp.DataType.TEXT_TYPES, exp.DataType.Type.USERDEFINED}
    if target in ("mysql", "snowflake", "redshift", "bigquery", "sqlite"):
        texts.add(exp.DataType.Type.UUID)
    texts.add(exp.DataType.Type.CHARACTER_SET)
    return kind.this in texts


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:120]
