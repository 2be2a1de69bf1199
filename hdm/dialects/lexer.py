"""Splits SQL text into tokens, only where every server that could run it splits it the same way.

Text that servers read differently (a comment within a comment, a backslash before a quotation mark,
dollar quotes) is refused. Lexical rules: https://www.postgresql.org/docs/current/sql-syntax-lexical.html,
https://dev.mysql.com/doc/refman/8.4/en/string-literals.html, https://sqlite.org/lang_keywords.html.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hdm.errors import UsageError

_SPACE = re.compile(r"[ \t\r\n\f\v]+")
_WORD = re.compile(r"[A-Za-z_\x80-\U0010ffff][\w$#\x80-\U0010ffff]*")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?")
_PLAIN = {mark: re.compile(f"{mark}(?:[^{mark}]|{mark}{mark})*{mark}") for mark in "'\"`"}
_ESCAPED = {mark: re.compile(rf"{mark}(?:[^{mark}\\]|\\.|{mark}{mark})*{mark}", re.DOTALL) for mark in "'\"`"}
_BRACKETED = re.compile(r"\[(?:[^\]]|\]\])*\]")
_LINE_COMMENT = re.compile(r"--(?:[ \t][^\n\r]*)?(?=\r?\n|\r?\Z)")
_BLOCK_COMMENT = re.compile(r"/\*(?P<inner>.*?)\*/", re.DOTALL)
_PREFIXES = frozenset({"n", "x", "b"})
_OPENING, _CLOSING = {"(": ")", "[": "]", "{": "}"}, {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True)
class Token:
    """One token of SQL text; ``kind`` is space, comment, string, name (quoted), word, number or mark."""

    kind: str
    text: str

    @property
    def folded(self) -> str:
        """The token in lower case; a quoted name also without its quotation marks."""
        if self.kind == "name":
            end = self.text[-1]
            return self.text[1:-1].replace(end * 2, end).lower()
        return self.text.lower()


class UnclearSQL(UsageError):
    """SQL text that servers may split into tokens differently; the message says why."""


def tokens(text: str, *, brackets: bool = False, plain: bool = False) -> list[Token]:
    """Return every token of a SQL text, spaces and comments included.

    ``brackets``: ``[a name]`` is a quoted name. ``plain``: the system gives a backslash no meaning in a text,
    except in PostgreSQL's E'...'. Raises ``UnclearSQL`` for a text, name or comment that is not closed, and
    for what servers read in more than one way.
    """
    if "\0" in text:
        raise UnclearSQL("it holds a NUL")
    found: list[Token] = []
    place = 0
    while place < len(text):
        token = _next(text, place, brackets, plain, found[-1] if found else None)
        found.append(token)
        place += len(token.text)
    return found


def _next(text: str, place: int, brackets: bool, plain: bool, before: Token | None) -> Token:
    mark = text[place]
    if space := _SPACE.match(text, place):
        return Token("space", space[0])
    if text.startswith("--", place):
        line = _LINE_COMMENT.match(text, place)
        if line is None:
            raise UnclearSQL("a comment -- needs a blank after it and the end of a line behind it")
        return Token("comment", line[0])
    if text.startswith("/*", place):
        return _block(text, place)
    if mark in "'\"`":
        return _quoted(text, place, plain, before)
    if mark == "[" and brackets:
        name = _BRACKETED.match(text, place)
        if name is None:
            raise UnclearSQL("a bracket is not closed")
        return Token("name", name[0])
    if mark in "$\\":
        raise UnclearSQL(f"it holds {mark}, which can open a quoted text")
    for kind, pattern in (("word", _WORD), ("number", _NUMBER)):
        if match := pattern.match(text, place):
            return Token(kind, match[0])
    return Token("mark", "::" if text.startswith("::", place) else mark)


def _block(text: str, place: int) -> Token:
    block = _BLOCK_COMMENT.match(text, place)
    if block is None or "/*" in block["inner"]:
        raise UnclearSQL("a comment is not closed, or holds another")
    if block["inner"][:1] in ("!", "M"):
        raise UnclearSQL("a comment holds SQL that some servers run")
    return Token("comment", block[0])


def _quoted(text: str, place: int, without: bool, before: Token | None) -> Token:
    mark = text[place]
    prefix = before.folded if before is not None and before.kind == "word" else ""
    if mark == "'" and before is not None and (prefix or before.text == "&"):
        if prefix == "e":
            escaped = _ESCAPED[mark].match(text, place)
            if escaped is None:
                raise UnclearSQL("a text is not closed")
            return Token("string", escaped[0])
        if prefix not in _PREFIXES and (before.text == "&" or not prefix.startswith("_")):
            raise UnclearSQL("a text follows a word without a blank")
    plain, escaped = _PLAIN[mark].match(text, place), _ESCAPED[mark].match(text, place)
    if plain is None or (not without and (escaped is None or plain[0] != escaped[0])):
        raise UnclearSQL("a text or name is not closed, or a backslash may end it")
    return Token("string" if mark == "'" else "name", plain[0])


def balanced(read: list[Token]) -> bool:
    """Return True if each bracket is closed by one of its kind, and pairs are properly nested."""
    open_ones: list[str] = []
    for token in read:
        if token.kind == "mark" and token.text in _OPENING:
            open_ones.append(token.text)
        closes = token.kind == "mark" and token.text in _CLOSING
        if closes and (not open_ones or open_ones.pop() != _CLOSING[token.text]):
            return False
    return not open_ones
