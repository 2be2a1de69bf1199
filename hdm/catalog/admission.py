"""Decides which SQL texts of a source's catalogue may stand in DDL for a target.

A source is not trusted: whoever may create a table there could write SQL that runs on the target. So a text
is carried over only if its tokens are unambiguous, every function it calls is a known one of the system,
and it parses as one expression (or one SELECT). Everything else raises ``Untranslatable`` and is therefore
manual in the report.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from hdm.catalog.known_functions import known_functions
from hdm.catalog.model import Schema
from hdm.catalog.parsing import Untranslatable, parse
from hdm.dialects import dialect
from hdm.dialects.lexer import Token, UnclearSQL, balanced
from hdm.dialects.native_type import is_type

_BEFORE_BRACKETS_TEXT = """
all and any array as between by case cross cube distinct else end escape except exists filter from full
glob group grouping having ilike in inner intersect is join lateral left like limit match materialized
not offset on or over partition regexp right rlike rollup row select sets similar some then to union
using values when where with within xor order unbounded preceding following
separator div
"""
_BEFORE_BRACKETS = frozenset(_BEFORE_BRACKETS_TEXT.split())
"""Words of SQL itself that a bracket may follow."""
_TYPES_TEXT = """
bigint binary bit blob bpchar bytea char character clob date datetime datetime2 datetimeoffset dec
decimal double enum float int integer interval json jsonb list map mediumint national nchar number
numeric nvarchar raw real second signed smallint struct text time timestamp timestamptz tinyint unsigned
uuid varbinary varbit varchar varchar2 varying zone
"""
_TYPES = frozenset(_TYPES_TEXT.split())
_VALUES = frozenset({"null", "true", "false", "current_timestamp", "current_date", "current_time"})
_STRUCTURES = frozenset({"duckdb", "snowflake"})
"""Systems with literals such as ``{'a': 1}``; elsewhere braces are ODBC escape sequences."""
_VARIABLES = frozenset({"mysql", "sqlserver", "synapse", "sqlite"})
"""Systems where @ begins a variable."""
_CUTTING_TEXT = """
range list hash key linear columns values less than in maxvalue minvalue partition partitions
subpartition subpartitions by for from to with modulus remainder default engine innodb null true false
interval
"""
_CUTTING = frozenset(_CUTTING_TEXT.split())
_ON_UPDATE = re.compile(r"\s+on\s+update\s+(?:current_timestamp|now)(?:\(\d?\))?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Admission:
    """Decides which functions the SQL texts of one system may call.

    Allowed are the known functions of the system, except those in ``own``, which the source defines itself.
    ``nextval`` of the sequences in ``sequences`` is allowed too, since these are carried over. Names are in
    lower case. Every method that returns a text raises ``Untranslatable`` if the text is not allowed.
    """

    system: str
    own: frozenset[str] = frozenset()
    sequences: frozenset[str] = frozenset()

    @classmethod
    def of(cls, schema: Schema) -> Admission:
        """Return the rules for the SQL texts of a crawled schema."""
        own = {name.split(".")[-1].lower() for kind, name in schema.unread if kind == "routine"}
        sequences = {one.path[-1].lower() for one in schema.sequences}
        return cls(schema.system, frozenset(own), frozenset(sequences))

    def on(self, target: str) -> Admission:
        """Return the rules for SQL texts of a target system, where the source has defined no functions."""
        return replace(self, system=target, own=frozenset())

    def known(self, text: str) -> str:
        """Return ``text`` if its tokens are unambiguous and its functions known; it is not parsed.

        Otherwise raise ``Untranslatable``.
        """
        known_tokens(text, self.system, self.own, self.sequences)
        return text

    def expression(self, text: str) -> str:
        """Return ``text`` without comments if it is one SQL expression that contains no query.

        Otherwise raise ``Untranslatable``.
        """
        if not _is_value(known_tokens(text, self.system, self.own, self.sequences)):
            _only_reads(parse(text, self.system), query=False)
        return without_comments(text, self.system)

    def query(self, text: str) -> str:
        """Return ``text`` without comments if it is one query that changes nothing.

        Otherwise raise ``Untranslatable``. The tables that it reads are not looked at.
        """
        known_tokens(text, self.system, self.own, self.sequences)
        _only_reads(parse(text, self.system, query=True), query=True)
        return without_comments(text, self.system)

    def default(self, text: str) -> str:
        """Return a column's default if it is a SQL expression; else raise ``Untranslatable``.

        A default may end with MySQL's ON UPDATE CURRENT_TIMESTAMP, which is kept.
        """
        tail = _ON_UPDATE.search(text) if self.system == "mysql" else None
        base = text[: tail.start()] if tail else text
        return self.expression(base) + (tail[0] if tail else "")

    def clause(self, text: str, names: Collection[str]) -> str:
        """Return ``text``, without its comments, if it only says how a table is partitioned.

        Allowed are known words, the table's columns (``names``), numbers and texts, so that the clause cannot
        choose a folder or a storage engine. Raises ``Untranslatable`` for anything else.
        """
        columns, before = {name.lower() for name in names}, ""
        known = known_functions(self.system)
        words = _BEFORE_BRACKETS | _CUTTING
        for token in known_tokens(text, self.system, self.own, self.sequences, words):
            fits = token.folded in _CUTTING or token.folded in columns or token.folded in known
            if token.kind == "word" and not fits and before not in ("partition", "subpartition"):
                raise Untranslatable(f"the word {token.text} is not a known one")
            if before == "engine" and token.folded not in ("=", "innodb"):
                raise Untranslatable(f"the engine {token.text} is not a known one")
            before = token.folded if token.text != "=" else before
        return without_comments(text, self.system)


def known_tokens(
    text: str,
    system: str,
    own: Collection[str] = (),
    sequences: Collection[str] = (),
    words: Collection[str] = _BEFORE_BRACKETS,
) -> list[Token]:
    """Check that a SQL text calls only known functions; return its tokens without blanks and comments.

    ``own`` are functions that the source defines, ``sequences`` those that are carried over, ``words`` what
    else a bracket may follow, all in lower case. Raises ``Untranslatable`` for any other call, for a text
    that servers may read differently or that is more than one expression, and for braces and variables.
    """
    try:
        read = [
            one for one in dialect(system).tokens(text, anywhere=True) if one.kind not in ("space", "comment")
        ]
    except UnclearSQL as error:
        raise Untranslatable(f"it is not certain how {system} reads it: {error.message}") from error
    marks = {one.text for one in read if one.kind == "mark"}
    if ";" in marks or not balanced(read):
        raise Untranslatable("it is more than one expression")
    if "{" in marks and system not in _STRUCTURES:
        raise Untranslatable("it holds braces")
    if "@" in marks and system in _VARIABLES:
        raise Untranslatable("it reads a variable")
    known = known_functions(system)
    for place, token in enumerate(read[:-1]):
        if token.kind in ("word", "name") and read[place + 1].text == "(":
            _called(read, place, words, known, own, sequences)
    return read


def _called(
    read: list[Token],
    place: int,
    words: Collection[str],
    known: Collection[str],
    own: Collection[str],
    sequences: Collection[str],
) -> None:
    """Raise ``Untranslatable`` unless the token before a bracket is a word of SQL or a known function."""
    token = read[place]
    before = read[place - 1].folded if place else ""
    name = token.folded
    if before == ".":
        if place < 2 or read[place - 2].folded != "pg_catalog":
            raise Untranslatable(f"function {name} of a schema is not a known one")
    elif token.kind == "word" and (name in words or name in _TYPES or before in ("as", "with", "recursive")):
        return
    if name == "nextval" and _drawn(read, place + 2) in sequences:
        return
    if name in own or name not in known:
        raise Untranslatable(f"function {name} is not a known one")


def _drawn(read: list[Token], place: int) -> str:
    """Return the sequence that ``nextval(`` draws from, in lower case; empty if that is not certain."""
    names = []
    for token in read[place:]:
        if token.text == ")":
            break
        names.append(token)
    if names and names[0].kind == "string":
        cast = [one.folded for one in names[1:]]
        if cast not in ([], ["::", "regclass"]):
            return ""
        parts = re.findall(r'"(?:[^"]|"")+"|[^".]+', names[0].text[1:-1].replace("''", "'"))
        last = parts[-1] if parts else ""
        return (last[1:-1].replace('""', '"') if last[:1] == '"' else last).lower()
    plain = all(one.kind in ("name", "word") or one.text == "." for one in names)
    return names[-1].folded if names and plain else ""


def without_comments(text: str, system: str) -> str:
    """Return SQL text with a blank in place of each comment."""
    read = dialect(system).tokens(text, anywhere=True)
    return "".join(" " if one.kind == "comment" else one.text for one in read)


def _is_value(read: list[Token]) -> bool:
    """Whether the tokens are one literal, signed, in brackets or cast; no parser is needed for it."""
    while read and read[0].text == "(" and read[-1].text == ")" and balanced(read[1:-1]):
        read = read[1:-1]
    if read and read[0].text in ("-", "+"):
        read = read[1:]
    if not read or not (read[0].kind in ("string", "number") or read[0].folded in _VALUES):
        return False
    rest = read[1:]
    return not rest or (rest[0].text == "::" and is_type(" ".join(one.text for one in rest[1:])))


def _only_reads(tree: Any, *, query: bool) -> None:
    """Raise ``Untranslatable`` for SQL that changes anything, and for a query within an expression."""
    from sqlglot import exp

    changing = (exp.DDL, exp.DML, exp.Drop, exp.Alter, exp.Command, exp.Set, exp.Into, exp.Lock)
    if tree.find(*changing) is not None:
        raise Untranslatable("it does more than read")
    if not query and tree.find(exp.Query, exp.Table) is not None:
        raise Untranslatable("it holds a query")
