"""Parses the CREATE statements of SQLite for facts that SQLite keeps nowhere else.

These are checks, names of constraints, generated columns, AUTOINCREMENT, deferrable keys and table options.
"""

from __future__ import annotations

import re

from hdm.catalog.model import Check

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)
      | (?P<text>'(?:[^']|'')*')
      | (?P<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
      | (?P<word>[\w$\x80-\U0010ffff]+)
      | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)


class TableText:
    """One CREATE TABLE statement of SQLite, split at its commas."""

    def __init__(self, sql: str) -> None:
        self.checks: tuple[Check, ...] = ()
        self.generated: dict[str, str] = {}
        self.unique_names: list[tuple[str, tuple[str, ...]]] = []
        self.foreign: dict[tuple[str, ...], tuple[str, bool]] = {}
        self.primary_name = ""
        self.autoincrement = self.descending_key = False
        body, tail = _body(sql)
        words = [word.upper() for word, _ in tail]
        self.options = ", ".join(
            option for option in ("WITHOUT ROWID", "STRICT") if option.split()[0] in words
        )
        for part in _split(body):
            self._part(_flat(part))

    @staticmethod
    def index(sql: str) -> tuple[list[str], str | None]:
        """Return the columns or expressions of a CREATE INDEX (without ASC and DESC), and the WHERE part.

        The latter is None if there is none.
        """
        body, tail = _body(sql)
        parts = []
        for tokens in _split(body):
            ordered = tokens[-1][0].upper() in ("ASC", "DESC")
            plain = _flat(tokens[:-1] if ordered else tokens)
            inner, after = _group(plain, 0)
            parts.append(
                _text(inner if inner is not None and after == len(plain) else tokens[: len(tokens) - ordered])
            )
        where = next((n for n, (word, _) in enumerate(tail) if word.upper() == "WHERE"), None)
        return parts, None if where is None else _text(tail[where + 1 :])

    def _part(self, tokens: list[tuple[str, str]]) -> None:
        words = [word.upper() for word, _ in tokens]
        table_level = words and words[0] in ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN")
        column = None if table_level and tokens[0][1] == "word" else _name(tokens[0])
        name, place = "", 0
        while place < len(tokens):
            word = words[place] if tokens[place][1] == "word" else ""
            if word == "CONSTRAINT" and place + 1 < len(tokens):
                name, place = _name(tokens[place + 1]), place + 2
                continue
            group, after = _group(tokens, place + 1)
            if word == "CHECK" and group is not None:
                self.checks += (Check(name, _text(group)),)
                name, place = "", after
                continue
            if word == "AS" and group is not None and column is not None:
                self.generated[column.casefold()] = _text(group)
                place = after
                continue
            self._key(word, tokens, place, column, name)
            if word in ("PRIMARY", "UNIQUE", "FOREIGN", "REFERENCES", "DEFAULT", "COLLATE", "NOT"):
                name = "" if word != "FOREIGN" else name
            place += 1

    def _key(
        self, word: str, tokens: list[tuple[str, str]], place: int, column: str | None, name: str
    ) -> None:
        words = [one.upper() for one, _ in tokens]
        if word == "PRIMARY":
            self.primary_name = name
            rest = words[place + 2 : place + 4]
            self.descending_key = column is not None and "DESC" in rest[:1]
            self.autoincrement = "AUTOINCREMENT" in words[place:]
        elif word == "UNIQUE":
            group, _ = _group(tokens, place + 1)
            names = tuple(_name(part[0]) for part in _split(group)) if group else (column or "",)
            self.unique_names.append((name, names))
        elif word in ("FOREIGN", "REFERENCES"):
            deferred = " ".join(words[place:])
            deferrable = "INITIALLY DEFERRED" in deferred and "NOT DEFERRABLE" not in deferred
            if word == "FOREIGN":
                group, _ = _group(tokens, place + 2)
                names = tuple(_name(part[0]).casefold() for part in _split(group or []))
                self.foreign[names] = (name, deferrable)
            elif column is not None:
                self.foreign[(column.casefold(),)] = (name, deferrable)


def _tokens(sql: str) -> list[tuple[str, str]]:
    return [(found[0], str(found.lastgroup)) for found in _TOKEN.finditer(sql)]


def _body(sql: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the tokens within the first brackets, and those after them."""
    tokens = _tokens(sql)
    start = next((n for n, (word, _) in enumerate(tokens) if word == "("), None)
    if start is None:
        return [], []
    group, after = _group(tokens, start)
    return group or [], tokens[after:]


def _group(tokens: list[tuple[str, str]], start: int) -> tuple[list[tuple[str, str]] | None, int]:
    """Return the tokens within the brackets that open at ``start`` (blanks skipped), and where they end."""
    while start < len(tokens) and tokens[start][1] == "space":
        start += 1
    if start >= len(tokens) or tokens[start][0] != "(":
        return None, start
    depth = 0
    for place in range(start, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[place][0], 0)
        if depth == 0:
            return tokens[start + 1 : place], place + 1
    return None, start


def _split(tokens: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Split tokens at top-level commas; blanks at the ends are dropped, comments become blanks."""
    parts: list[list[tuple[str, str]]] = [[]]
    depth = 0
    for word, kind in tokens:
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == "," and depth == 0:
            parts.append([])
        elif kind != "space" or (parts[-1] and parts[-1][-1][1] != "space"):
            parts[-1].append((" ", "space") if kind == "space" else (word, kind))
    return [part[:-1] if part and part[-1][1] == "space" else part for part in parts if part]


def _flat(tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the tokens without the blanks outside of brackets."""
    kept, depth = [], 0
    for word, kind in tokens:
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth or kind != "space":
            kept.append((word, kind))
    return kept


def _text(tokens: list[tuple[str, str]]) -> str:
    return "".join(" " if kind == "space" else word for word, kind in tokens).strip()


def _name(token: tuple[str, str]) -> str:
    word = token[0]
    if word[:1] in "\"`'":
        return word[1:-1].replace(word[0] * 2, word[0])
    return word[1:-1] if word[:1] == "[" else word
