"""Parses SQL of a catalogue with sqlglot; refuses SQL that sqlglot does not understand."""

from __future__ import annotations

from typing import Any

from hdm.dialects import dialect as find_dialect
from hdm.errors import HdmError


class Untranslatable(HdmError):
    """SQL that cannot be translated for certain; the message says why."""


def sqlglot_name(system: str) -> str | None:
    """Return the name of a dialect in sqlglot; None for sqlglot's own dialect.

    A system that sqlglot does not know is parsed like a related one.
    """
    near = {"synapse": "tsql", "netezza": "postgres", "mariadb": "mysql", "odbc": ""}
    if system in near:
        return near[system] or None
    return find_dialect(system).sqlglot


def parse(text: str, system: str, *, query: bool = False) -> Any:
    """Return a SQL expression (or with ``query``, a query) as a sqlglot tree.

    Raises ``Untranslatable`` if the text is not exactly one of these, or if sqlglot is not installed.
    """
    try:
        import sqlglot
        from sqlglot import exp
        from sqlglot.errors import SqlglotError
    except ImportError:
        raise Untranslatable("nothing is there to parse it with: pip install 'hdm[catalog]'") from None
    try:
        statements = sqlglot.parse(text, read=sqlglot_name(system))
    except (SqlglotError, RecursionError) as error:
        raise Untranslatable(f"it is not understood as {system} SQL ({type(error).__name__})") from error
    if len(statements) != 1 or statements[0] is None:
        raise Untranslatable("it is not one expression")
    tree = statements[0]
    other = (exp.DDL, exp.Drop, exp.DML, exp.Alter, exp.Set, exp.Use, exp.Query)
    if isinstance(tree, exp.Command) or (not query and isinstance(tree, other)):
        raise Untranslatable("it is not one expression")
    if query and not isinstance(tree, exp.Query):
        raise Untranslatable("it is not one query")
    return tree
