"""Reads what users write in manifests, and refuses what is no duration, predicate or query."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile

from hdm.dialects.lexer import Token, UnclearSQL, balanced
from hdm.errors import UsageError

_DURATION = re.compile(
    r"(\d+(?:\.\d+)?)\s*(us|ms|s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)?\Z", re.IGNORECASE
)
_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def seconds(text: str, *, days: bool = False) -> float:
    """Return the number of seconds in a duration such as ``90``, ``15m``, ``2 hours`` or ``1d``.

    A bare number counts seconds, or days with ``days``. Raises ``UsageError`` for any other text.
    """
    found = _DURATION.match(text.strip())
    if not found:
        raise UsageError(f"not a duration: {text!r}", hint="write for example 90s, 15m, 2h or 1d")
    unit = (found[2] or ("d" if days else "s")).lower()
    scale = {"us": 1e-6, "ms": 1e-3}.get(unit) or _UNIT_SECONDS[unit[0]]
    return float(found[1]) * scale


def one_predicate(text: str) -> str:
    """Return ``text`` if it can only be one SQL predicate; else raise ``UsageError``.

    A predicate contains no second statement, no comment and no open bracket.
    """
    depth, quote = 0, ""
    for number, mark in enumerate(text):
        if quote:
            quote = "" if mark == quote else quote
        elif mark in "'\"`":
            quote = mark
        elif mark == ";" or text.startswith(("--", "/*"), number):
            raise UsageError("where: holds a semicolon or a comment", hint="write one predicate")
        elif mark in "()":
            depth += 1 if mark == "(" else -1
            if depth < 0:
                break
    if depth or quote or not text.strip():
        raise UsageError("where: is not one complete predicate", hint="close its quotes and brackets")
    return text


_IN_CONDITIONS = frozenset(
    [
        "and",
        "or",
        "not",
        "in",
        "is",
        "null",
        "like",
        "ilike",
        "glob",
        "regexp",
        "rlike",
        "similar",
        "between",
        "escape",
        "exists",
        "any",
        "all",
        "some",
        "true",
        "false",
        "unknown",
        "case",
        "when",
        "then",
        "else",
        "end",
        "cast",
        "as",
        "collate",
        "distinct",
        "from",
        "select",
        "where",
        "date",
        "time",
        "timestamp",
        "interval",
        "at",
        "zone",
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "binary",
        "current_date",
        "current_time",
        "current_timestamp",
    ]
)


def strangers(read: Sequence[Token], columns: Collection[str]) -> list[str]:
    """Return the names in a condition that look like columns and are none of ``columns``, whatever the case.

    Words of SQL, functions, and what stands before a point are left out.
    """
    known = {name.lower() for name in columns}
    words = [one for one in read if one.kind not in ("space", "comment")]
    after = [*(one.text for one in words[1:]), ""]
    return [
        one.text
        for one, following in zip(words, after, strict=True)
        if one.kind in ("word", "name") and following not in ("(", ".")
        and one.folded not in known and one.folded not in _IN_CONDITIONS
    ]  # fmt: skip


def not_columns(read: Sequence[Token], columns: Collection[str]) -> str:
    """Return the beginning of an error that names what ``strangers`` finds; empty if it finds nothing."""
    wrong = strangers(read, columns)
    return f"it has no column {', '.join(wrong)}: " if wrong else ""


def refuse_texts(read: Sequence[Token], columns: Collection[str]) -> None:
    """Raise ``UsageError`` for a name in double quotes that no column has, where it would pass for a text.

    A condition with a query in it, which has names of its own, is let through.
    """
    if any(one.folded == "select" and one.kind == "word" for one in read):
        return
    quoted = {one.text for one in read if one.kind == "name" and one.text.startswith('"')}
    wrong = [name for name in strangers(read, columns) if name in quoted]
    if wrong:
        raise UsageError(
            f"where: there is no column {', '.join(wrong)}",
            hint=f"write texts in single quotes; the columns are {', '.join([*columns][:20])}",
        )


_CHANGING = frozenset({"insert", "update", "delete", "merge", "replace", "truncate"})
DENIED = "grant what is missing: hdm doctor names each right, with the statement that gives it"
"""The hint where a server denies the profile's user a right."""
WRITES = "let query: call nothing that writes: hdm reads where nothing can be changed"
"""The hint where a server refuses that something is changed in a session that reads."""
_ELSEWHERE = "acts beyond the transaction that hdm rolls back"
_BEGINNINGS = frozenset({"select", "with", "values", "from", "table", "("})


def one_query(
    text: str,
    tokens: Callable[[str], list[Token]],
    acting: Sequence[str] = (),
    table_functions: Collection[str] | None = None,
) -> str:
    """Return ``text`` without comments and last semicolon if it can only be one query that reads.

    ``tokens``, ``acting`` (words with which a query acts beyond its transaction) and ``table_functions``
    (those that it may call, None: all) are the dialect's. Comments that are hints (``/*+``) stay. Raises
    ``UsageError`` for any other text.
    """
    hint = "write one SELECT; put a view in its place if it needs more"
    try:
        read = tokens(text)
    except UnclearSQL as error:
        raise UsageError(f"query: it is not certain where it ends: {error.message}", hint=hint) from None
    while read and (read[-1].kind in ("space", "comment") or read[-1].text == ";"):
        read.pop()
    words = [one for one in read if one.kind not in ("space", "comment")]
    if not words or words[0].folded not in _BEGINNINGS:
        raise UsageError("query: is not a SELECT", hint=hint)
    if any(one.text == ";" and one.kind == "mark" for one in words) or not balanced(words):
        raise UsageError("query: is more than one statement, or its brackets do not match", hint=hint)
    for before, word, after in zip(words[:-1], words[1:], [*words[2:], words[0]], strict=True):
        changes = word.folded in _CHANGING and before.text in ("(", ")") and after.text != "("
        if word.kind == "word" and (word.folded == "into" or changes):
            raise UsageError(f"query: {word.text} changes something", hint=hint)
    for found in (_acts(words, acting), _calls(words, table_functions)):
        if found is not None:
            raise UsageError(f"query: {found} {_ELSEWHERE}", hint=hint)
    return "".join(
        " " if one.kind == "comment" and one.text[2:3] != "+" else one.text for one in read
    ).strip()


def _acts(words: list[Token], acting: Sequence[str]) -> str | None:
    """The first words of ``acting`` that stand in the query."""
    for pattern in acting:
        wanted = pattern.split()
        for place in range(len(words) - len(wanted) + 1):
            found = words[place : place + len(wanted)]
            if all(
                one.kind != "string" and fnmatchcase(one.folded, want)
                for one, want in zip(found, wanted, strict=True)
            ):
                return " ".join(one.text for one in found if one.kind != "mark")
    return None


def _calls(words: list[Token], known: Collection[str] | None) -> str | None:
    """What ``TABLE(...)`` calls in the query and is not known only to read."""
    if known is None:
        return None
    for place, word in enumerate(words[:-1]):
        if (word.kind, word.folded, words[place + 1].text) != ("word", "table", "("):
            continue
        name = list(
            takewhile(lambda one: one.kind in ("word", "name") or one.text == ".", words[place + 2 :])
        )
        called = "".join(one.folded for one in name)
        ends = words[place + 2 + len(name)].text
        if ends == "(" and called not in known and ".information_schema." not in f".{called}":
            return f"TABLE({''.join(one.text for one in name)}(...))"
    return None
