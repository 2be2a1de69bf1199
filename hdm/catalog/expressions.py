"""Translates SQL expressions and queries between dialects with sqlglot.

SQL that is not understood for certain is refused, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hdm.catalog.admission import Admission
from hdm.catalog.model import Path
from hdm.catalog.parsing import Untranslatable, parse, sqlglot_name

Rename = Callable[[str], str]
"""Returns a column's name on the target."""
Resolve = Callable[[Path], Path | None]
"""Returns a table's path on the target; None if the table is not carried over."""

SAFE_FUNCTIONS = frozenset({"nextval"})
__all__ = [
    "Rename",
    "Resolve",
    "Untranslatable",
    "check",
    "generate",
    "parse",
    "simplified",
    "translate_expression",
]


def translate_expression(
    text: str,
    source: str,
    target: str,
    rename: Rename = lambda name: name,
    admission: Admission | None = None,
) -> str:
    """Return a SQL expression of system ``source`` in the SQL of system ``target``, with new column names.

    ``rename`` returns a column's new name. ``admission`` says which functions the source's texts may call.
    Raises ``Untranslatable`` if the expression cannot be translated for certain.
    """
    admission = admission or Admission(source)
    text = admission.expression(text)
    tree = simplified(parse(text, source), target)
    check(tree, source, target)
    return admission.on(target).known(generate(_renamed(tree, rename), target))


def generate(tree: Any, system: str) -> str:
    """Return a sqlglot tree as SQL of one system, with every identifier quoted.

    The text is parsed once more, so that it is known to parse. Raises ``Untranslatable`` if the system has no
    SQL for it.
    """
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
    """Raise ``Untranslatable`` for SQL that may mean something else on the target."""
    from sqlglot import exp

    if source == target:
        return  # ``Admission`` has seen every word of it
    unknown = sorted({node.name for node in tree.find_all(exp.Anonymous)} - SAFE_FUNCTIONS)
    if unknown:
        raise Untranslatable(f"function {', '.join(unknown)} is not known to mean the same in {target}")
    if target not in ("postgres", "duckdb", "redshift") and any(
        tree.find(node) for node in (exp.RegexpLike, exp.RegexpILike)
    ):
        raise Untranslatable("regular expressions differ between the systems")
    if target in ("redshift", "synapse") and tree.find(exp.Uuid):
        raise Untranslatable(f"{target} makes no UUIDs")
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
    """Return a sqlglot tree changed so that the target's SQL can express it.

    Casts that catalogues put around literals are removed, and so are character sets. PostgreSQL's ANY
    (ARRAY[...]) becomes IN. Booleans and Unicode literals are spelled as the target needs them.
    """
    return tree.transform(lambda node: _plainer(node, target))


def _plainer(node: Any, target: str) -> Any:
    from sqlglot import exp

    if isinstance(node, exp.EQ | exp.NEQ):
        listed = _listed(node.expression, "ANY" if isinstance(node, exp.EQ) else "ALL")
        if isinstance(listed, exp.Array):
            among = exp.In(this=node.this, expressions=listed.expressions).transform(
                lambda n: _plainer(n, target)
            )
            return among if isinstance(node, exp.EQ) else exp.Not(this=among)
    if isinstance(node, exp.Cast):
        return _plain_cast(node, target)
    if isinstance(node, exp.Boolean) and target in ("sqlserver", "synapse"):
        return exp.Literal.number(1 if node.this else 0)
    if isinstance(node, exp.Literal) and node.is_string and target in ("sqlserver", "synapse"):
        return node if node.this.isascii() else exp.National(this=node.this)
    return node


def _listed(node: Any, word: str) -> Any:
    """Return what stands in ANY (...) or ALL (...), which sqlglot parses in several ways; else None."""
    from sqlglot import exp

    if isinstance(node, exp.Any | exp.All) and type(node).__name__.upper() == word:
        inner = node.this
    elif isinstance(node, exp.Anonymous) and node.name.upper() == word and len(node.expressions) == 1:
        inner = node.expressions[0]
    else:
        return None
    return inner.this if isinstance(inner, exp.Paren) else inner


def _plain_cast(node: Any, target: str) -> Any:
    from sqlglot import exp

    kind, inner = node.to.this, node.this
    while isinstance(inner, exp.Cast | exp.Paren):
        inner = _plain_cast(inner, target) if isinstance(inner, exp.Cast) else inner.this
        if isinstance(inner, exp.Cast):
            break
    if isinstance(inner, exp.Literal | exp.Neg):
        if kind in exp.DataType.NUMERIC_TYPES and _is_number(inner):
            return exp.Literal.number(inner.this) if isinstance(inner, exp.Literal) else inner
        if isinstance(inner, exp.Literal) and inner.is_string and _is_textual(kind, target):
            return inner
    if kind is exp.DataType.Type.CHARACTER_SET:
        return exp.cast(node.this, "text" if target != "mysql" else "char")
    if target in ("sqlserver", "synapse") and kind in exp.DataType.TEXT_TYPES and not node.to.expressions:
        return exp.Cast(this=node.this, to=exp.DataType.build("nvarchar(max)", dialect="tsql"))
    return node


def _is_number(node: Any) -> bool:
    from sqlglot import exp

    value = node.this if isinstance(node, exp.Literal) else node.this.this
    return bool(re.fullmatch(r"[+-]?\d+(\.\d+)?", str(value)))


def _is_textual(kind: Any, target: str) -> bool:
    from sqlglot import exp

    known = exp.DataType.Type
    texts = {*exp.DataType.TEXT_TYPES, known.USERDEFINED, known.BPCHAR, known.CHARACTER_SET}
    if target in ("mysql", "snowflake", "redshift", "bigquery", "sqlite"):
        texts.add(known.UUID)
    return kind in texts


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:120]
