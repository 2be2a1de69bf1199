"""Translates the defaults of columns: fits literals to the target's type, and translates functions."""

from __future__ import annotations

import re
from typing import Any

from hdm.catalog.admission import Admission
from hdm.catalog.expressions import Rename, Untranslatable, generate, parse, translate_expression
from hdm.dialects import dialect
from hdm.dialects.types import INTEGERS
from hdm.model import Column, Kind

NEXTVAL = re.compile(r"nextval\s*\(\s*'(?P<name>(?:[^']|'')+)'(?:::regclass)?\s*\)\Z", re.IGNORECASE)
_ON_UPDATE = re.compile(r"\s+on\s+update\s+.*\Z", re.IGNORECASE | re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?\Z")
_TRUE, _FALSE = ("t", "true", "1", "y", "yes", "on"), ("f", "false", "0", "n", "no", "off")
_NUMERIC = frozenset({*INTEGERS, Kind.DECIMAL, Kind.FLOAT32, Kind.FLOAT64})


def translate_default(
    column: Column, kept: Column, admission: Admission, target: str, rename: Rename
) -> str | None:
    """Return the source column's default in the target's SQL; None if it has none, or just NULL.

    ``column`` is the source's column, ``kept`` the target's, to whose type a literal is fitted. ``admission``
    knows the source's system and which functions a default may call; ``rename`` returns a column's name on
    the target. MySQL's ON UPDATE is left out. Raises ``Untranslatable`` if the default cannot be translated
    for certain.
    """
    source, text = admission.system, _ON_UPDATE.sub("", column.default or "").strip()
    if not text or text.upper() in ("NULL", "(NULL)"):
        return None
    if source == "sqlite" and not text.startswith("(") and re.match(r"[A-Za-z_]+\Z", text):
        text = text.upper()
    tree = _bare(parse(_prepared(text, source), source), source)
    literal = _literal(tree, column, kept, target)
    if literal is not None:
        return literal
    moment = _moment(tree, column, kept, target)
    return moment or translate_expression(
        generate(tree, source) if source != "sqlite" else text, source, target, rename, admission
    )


def has_on_update(column: Column) -> bool:
    """Return True if a default has MySQL's ON UPDATE clause, which sets the value again at every UPDATE."""
    return bool(_ON_UPDATE.search(column.default or ""))


def _prepared(text: str, source: str) -> str:
    return re.sub(r"::regclass\b", "", text) if source == "postgres" else text


def _bare(tree: Any, source: str) -> Any:
    """Return the tree without brackets and casts around a literal, since the column has the type already."""
    from sqlglot import exp

    while True:
        if isinstance(tree, exp.Paren) or (isinstance(tree, exp.Cast) and _constant(tree.this)):
            tree = tree.this
        else:
            return tree


def _constant(tree: Any) -> bool:
    from sqlglot import exp

    while isinstance(tree, exp.Cast | exp.Paren | exp.Neg):
        tree = tree.this
    return isinstance(tree, exp.Literal | exp.Boolean | exp.Null)


def _literal(tree: Any, column: Column, kept: Column, target: str) -> str | None:
    """Return a literal in the form that the target's type takes; None if ``tree`` is not a literal."""
    from sqlglot import exp

    sign = ""
    if isinstance(tree, exp.Neg) and isinstance(tree.this, exp.Literal):
        sign, tree = "-", tree.this
    if isinstance(tree, exp.Null):
        return "NULL"
    if isinstance(tree, exp.Boolean):
        return _boolean(bool(tree.this), kept, target)
    if not isinstance(tree, exp.Literal):
        return None
    value = sign + str(tree.this)
    if column.kind is Kind.BOOLEAN or kept.kind is Kind.BOOLEAN:
        if value.lower() in (*_TRUE, *_FALSE):
            return _boolean(value.lower() in _TRUE, kept, target)
        raise Untranslatable("its default is not a truth value")
    if kept.kind in _NUMERIC and _NUMBER.match(value):
        return value
    if kept.kind is Kind.BINARY and value:
        raise Untranslatable("its default is binary")
    if column.kind is Kind.TIMESTAMPTZ and dialect(target).zoneless:
        value = re.sub(r"\+00(:?00)?\Z", "", value)
    if kept.kind in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.TIME):
        if value.startswith("0000-00-00"):
            raise Untranslatable("its default is a date that does not exist")
        if not re.match(r"[\d:. +TZ-]+\Z", value):
            raise Untranslatable(f"its default {value!r} is a word for a time")
    return dialect(target).string(value)


def _boolean(value: bool, kept: Column, target: str) -> str:
    if kept.kind is Kind.BOOLEAN and target not in ("sqlserver", "synapse", "sqlite"):
        return "TRUE" if value else "FALSE"
    return "1" if value else "0"


def _moment(tree: Any, column: Column, kept: Column, target: str) -> str | None:
    """Return the current time in the target's own spelling, if it has one; else None."""
    from sqlglot import exp

    if not isinstance(tree, exp.CurrentTimestamp) or kept.kind not in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        return None
    if target == "sqlserver":
        return "SYSDATETIMEOFFSET()" if kept.kind is Kind.TIMESTAMPTZ else "SYSDATETIME()"
    if target != "mysql":
        return None
    digits = f"({kept.precision})" if kept.precision else ""
    if column.kind is Kind.TIMESTAMPTZ and kept.kind is Kind.TIMESTAMP:
        return f"(UTC_TIMESTAMP{digits or '()'})"
    return f"CURRENT_TIMESTAMP{digits}"
