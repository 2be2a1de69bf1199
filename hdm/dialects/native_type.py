"""Checks that the text of a column's type is a type and nothing else, by one strict grammar.

A type is words, quoted names and dots, with numbers, words, other types or quoted labels in brackets:
``numeric(10,2)[]``, ``int(10) unsigned``, ``timestamp(3) with time zone``, ``enum('a','b')``,
``STRUCT(a INTEGER)``, ``nvarchar(max)``. No other part of a declaration may follow it. The check is needed
because SQLite accepts any quoted text as a type
(https://www.sqlite.org/datatype3.html#determination_of_column_affinity).
"""

from __future__ import annotations

from hdm.dialects.lexer import Token, UnclearSQL, tokens
from hdm.errors import UsageError
from hdm.model import Column

_NOT_IN_A_TYPE = frozenset({
    "as", "auto_increment", "autoincrement", "check", "comment", "constraint", "default", "foreign",
    "identity", "not", "null", "on", "primary", "references", "select", "unique", "using",
})  # fmt: skip
_LABELLED = frozenset({"enum", "set"})
_NESTED = frozenset({"array", "list", "map", "nested", "object", "row", "struct", "tuple", "union", "vector"})
_HINT = "give the column another type: a rule with to:, or types: on the source"


def is_type(text: str) -> bool:
    """Return True if a text is the name of one type and nothing else."""
    try:
        read = [one for one in tokens(text) if one.kind != "space"]
        return bool(read) and _type(read, 0) == len(read)
    except (UnclearSQL, RecursionError):
        return False


def type_text(text: str, what: str) -> str:
    """Return ``text`` if it is the name of one type; else raise ``UsageError``.

    ``what`` names in the error what the text belongs to.
    """
    if not is_type(text):
        raise UsageError(f"{what}: {_short(text)} is not the name of one type", hint=_HINT)
    return text


def words_and_numbers(native: str) -> tuple[str, tuple[int, ...] | None]:
    """Return a type's words in capitals, without brackets, and the numbers in its first brackets.

    ``timestamp(3) with time zone`` is ``TIMESTAMP WITH TIME ZONE`` and 3. The numbers are empty without
    brackets, and None if the brackets hold anything else.
    """
    depth, outside, inside = 0, "", [""]
    for mark in native:
        depth += mark == "("
        if not depth:
            outside += mark
        elif len(inside) == 1:
            inside[0] += mark
        depth -= mark == ")"
        if mark == ")" and not depth:
            outside += " "
            inside.append("")
    parts = inside[0][1:-1].split(",") if inside[0] else []
    whole = all(part.strip().removeprefix("-").isdecimal() for part in parts)
    return " ".join(outside.upper().split()), tuple(map(int, parts)) if whole else None


def is_read_coarser(column: Column) -> bool:
    """Return True if ``types:`` has a date or time read with fewer digits of a second than its type has.

    Drivers cut the other digits silently, so such a column is read as text.
    """
    _, numbers = words_and_numbers(column.native)
    return column.precision is not None and numbers is not None and column.precision < max(numbers, default=0)


def own_type(column: Column) -> str:
    """Return the column's declared type; '' if it has none.

    Raises ``UsageError`` if the declaration is not the name of one type.
    """
    return type_text(column.native, f"column {column.name}") if column.native else ""


def _type(read: list[Token], place: int) -> int:
    """Return where the type that begins at ``place`` ends; ``place`` itself if no type begins there."""
    start = place
    while place < len(read):
        token = read[place]
        if token.kind == "name" or (token.kind == "word" and token.folded not in _NOT_IN_A_TYPE):
            place += 1
        elif place == start:
            return start
        elif token.text == "." and place + 1 < len(read) and read[place + 1].kind in ("name", "word"):
            place += 1
        elif token.text in ("(", "<"):
            place = _arguments(read, place + 1, {"(": ")", "<": ">"}[token.text])
        elif token.text == "[":
            place += 2 if place + 1 < len(read) and read[place + 1].kind == "number" else 1
            if place >= len(read) or read[place].text != "]":
                raise UnclearSQL("a bracket is not closed")
            place += 1
        else:
            break
    return place


def _arguments(read: list[Token], place: int, end: str) -> int:
    """Return the place after the closing bracket of the arguments that begin at ``place``."""
    of = read[place - 2].folded
    while True:
        after = _argument(read, place, of)
        if after == place or after >= len(read):
            raise UnclearSQL("not the arguments of a type")
        if read[after].text == end:
            return after + 1
        if read[after].text != ",":
            raise UnclearSQL("not the arguments of a type")
        place = after + 1


def _argument(read: list[Token], place: int, of: str) -> int:
    if place < len(read) and read[place].kind == "string" and of in _LABELLED:
        return place + 1
    if place < len(read) and read[place].text in ("-", "+", "*"):
        place += 1
        if read[place - 1].text == "*":
            return place
    if place < len(read) and read[place].kind == "number":
        unit = place + 1 < len(read) and read[place + 1].folded in ("char", "byte")
        return place + (2 if unit else 1)
    if of in _NESTED:
        return _type(read, place)
    return place + 1 if place < len(read) and read[place].kind == "word" else place


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
