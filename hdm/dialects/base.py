"""A database's SQL as values and short methods; one subclass per database, no driver here."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from hdm.dialects.comparing import Comparing
from hdm.dialects.facts import Facts
from hdm.dialects.lexer import Token, UnclearSQL, tokens
from hdm.dialects.merging import Merging
from hdm.dialects.native_type import own_type, words_and_numbers
from hdm.dialects.types import Stored, carrier
from hdm.dialects.user_input import one_predicate, seconds
from hdm.errors import ConnectionLost, HdmError, TransientError, UsageError
from hdm.model import Column, Kind

__all__ = ["PAGE", "Dialect", "one_predicate", "seconds"]

PAGE = "@page"
"""The pseudo-column of physical row addresses in ``Condition``."""


class Dialect(Facts, Comparing, Merging):
    """What a database's SQL looks like and can do. Stateless; one instance serves all."""

    sqlglot: ClassVar[str | None] = None
    """The dialect's name in sqlglot; None if it has none."""
    quote_marks: ClassVar[tuple[str, str]] = ('"', '"')
    """Opening and closing mark; the closing one is escaped by doubling it."""
    ignores_case: ClassVar[Literal["no", "ascii", "all"]] = "no"
    """Of which letters the case tells names of columns apart not, quoted or not."""
    ignores_case_of_tables: ClassVar[Literal["no", "ascii", "all"] | None] = None
    """The same for names of tables and schemas; None: as for columns."""
    composes_names: ClassVar[bool] = False
    """True: a letter and its accent are one name with the letter that has the accent (NFC)."""
    bracket_names: ClassVar[bool] = False
    """Whether ``[a name]`` is a quoted name."""
    plain_strings: ClassVar[bool] = False
    """Whether no backslash in a text ever means anything, in the sessions that hdm opens."""
    line_comments: ClassVar[tuple[str, ...]] = ()
    """Marks besides ``--`` that begin a comment."""
    max_identifier: ClassVar[int] = 63
    identifier_unit: ClassVar[str] = "bytes"
    """``bytes`` (of UTF-8) or ``characters``."""
    max_path: ClassVar[int] = 2
    """How many parts a table's name may have."""
    paramstyle: ClassVar[str] = "qmark"
    """``qmark``: ``?``; ``format``: ``%s``; ``numeric``: ``:1``."""
    enforces_keys: ClassVar[bool] = True
    """Whether a PRIMARY KEY is enforced, so that the ledger's key alone fences attempts."""
    transactional_ddl: ClassVar[bool] = True
    enforces_lengths: ClassVar[bool] = True
    from_nothing: ClassVar[str] = ""
    """What a SELECT that reads no table ends with."""
    empty_is_null: ClassVar[bool] = False
    """Whether an empty text is NULL, so that a column which may hold one cannot be NOT NULL."""
    """False: a declared length of text is a comment. Where it is enforced, hdm checks it first,
    since databases cut blanks at the end of a longer value silently."""
    page_ranges: ClassVar[bool] = False
    """Whether tables without a key can be cut by physical ranges (``@page``)."""
    zoneless: ClassVar[bool] = False
    """True: timestamps with a zone are kept as UTC without one."""
    session_settings: ClassVar[Mapping[str, str]] = {}
    """Name -> SQL value of every setting of the server's that a role, a database or a server may have set so
    that it hides rows, cuts them short, or alters values or their text. Every session starts with these."""
    session_statements: ClassVar[tuple[str, ...]] = ()
    """What else a session starts with, and is no plain setting."""
    hides_columns: ClassVar[bool] = False
    """Whether the catalogue leaves out columns that the user may not read, without a word."""
    looks_back: ClassVar[bool] = False
    """Whether ids that are missing can be listed: it has LAG() and LIMIT."""
    clock: ClassVar[str] = ""
    """Asks for the server's time in UTC."""
    present: ClassVar[str] = "CURRENT_TIMESTAMP"
    """The moment at which a row is written, in UTC as far as the session's settings make it so."""
    passing_locks: ClassVar[str] = ""
    """Follows a table's name where a look is to pass over rows that are not committed, not wait for them."""
    bigint_type: ClassVar[str] = "BIGINT"
    key_text_type: ClassVar[str] = "VARCHAR(128)"
    """A text type that a primary key may have."""
    referring_keys: ClassVar[str | None] = None
    """One of the queries of ``hdm.dialects.referring``."""
    all_keys: ClassVar[str | None] = None
    """Lists which tables refer to which others: schema and table, schema and table."""
    kinds: ClassVar[Mapping[str, Kind]] = {}
    """The first words of a native type, without its numbers and in capitals -> its kind; see ``kind``."""
    errors: ClassVar[Mapping[str, type[HdmError]]] = {}
    """Error code, or its beginning, to class; the longest match counts."""

    @property
    def session(self) -> tuple[str, ...]:
        """The statements that every session starts with."""
        settings = (self.set_session(name, value) for name, value in self.session_settings.items())
        return (*self.session_statements, *settings)

    def set_session(self, name: str, value: str) -> str:
        """The statement that gives a setting its value until the session ends."""
        return f"SET {name} = {value}"

    # -- names ---------------------------------------------------------------

    def quote(self, name: str) -> str:
        """The identifier, always quoted; ``UsageError`` if the database cannot have it."""
        if not name or "\0" in name:
            raise UsageError(f"not a name in {self.name}: {name!r}", hint="give a name without NUL")
        size = len(name.encode()) if self.identifier_unit == "bytes" else len(name)
        if size > self.max_identifier:
            raise UsageError(
                f"{self.name} would cut the name {name!r}: {size} {self.identifier_unit}",
                hint=f"use at most {self.max_identifier}",
            )
        start, end = self.quote_marks
        return start + name.replace(end, end * 2) + end

    def qualify(self, path: Sequence[str]) -> str:
        """A table's full name from its parts."""
        return ".".join(self.quote(part) for part in path if part)

    def folded(self, name: str) -> str:
        """The name of a column as the database compares it: two names are one if these are equal."""
        return self._folded(name, self.ignores_case)

    def folded_table(self, name: str) -> str:
        """The name of a table or a schema as the database compares it."""
        return self._folded(name, self.ignores_case_of_tables or self.ignores_case)

    def _folded(self, name: str, case: Literal["no", "ascii", "all"]) -> str:
        composed = unicodedata.normalize("NFC", name) if self.composes_names else name
        if case == "all":
            return composed.lower()
        if case == "ascii":
            return "".join(mark.lower() if mark.isascii() else mark for mark in composed)
        return composed

    def names(self, names: Iterable[str]) -> str:
        """A quoted column list."""
        return ", ".join(self.quote(name) for name in names)

    def beside(self, name: str, suffix: str) -> str:
        """A name for a table beside ``name``, within the length limit and without collisions."""
        full = name + suffix
        size = len(full.encode()) if self.identifier_unit == "bytes" else len(full)
        if size <= self.max_identifier:
            return full
        mark = "_" + hashlib.sha256(name.encode()).hexdigest()[:8] + suffix
        short = name.encode()[: self.max_identifier - len(mark)].decode(errors="ignore")
        return short + mark

    def placeholder(self, number: int) -> str:
        """The mark of the ``number``-th (from 1) bound value."""
        return {"qmark": "?", "format": "%s", "numeric": f":{number}"}[self.paramstyle]

    def placeholders(self, count: int) -> str:
        """``count`` marks, comma-separated."""
        return ", ".join(self.placeholder(n + 1) for n in range(count))

    def tokens(self, text: str, *, anywhere: bool = False) -> list[Token]:
        """Split SQL into tokens. ``anywhere``: sessions may read it that are not hdm's own, so that
        a backslash before a quote is not certain. Raises ``UnclearSQL`` if the tokens are not certain."""
        read = tokens(text, brackets=self.bracket_names, plain=self.plain_strings and not anywhere)
        bare = "".join(one.text if one.kind in ("word", "mark") else " " for one in read)
        for mark in self.line_comments:
            if mark in bare:
                raise UnclearSQL(f"it holds {mark}, which begins a comment")
        return read

    def derived(self, sql: str) -> str:
        """A query as a table expression."""
        return f"({sql}) AS hdm_q"

    # -- types and tables ----------------------------------------------------

    def column_from_catalog(
        self,
        name: str,
        native: str,
        *,
        nullable: bool = True,
        length: int | None = None,
        precision: int | None = None,
        scale: int | None = None,
        default: str | None = None,
        identity: bool = False,
        generated: str | None = None,
        comment: str | None = None,
    ) -> Column:
        """A column as the catalogue declares it, with its kind and carrier."""
        kind, length, precision, scale = self.kind(native, length, precision, scale)
        return Column(
            name,
            kind,
            carrier(kind, precision, scale),
            nullable,
            native,
            self.name,
            length,
            precision,
            scale,
            default,
            identity,
            generated,
            comment,
        )

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """Kind, length, precision and scale of a native type; OTHER travels as text.

        The default looks into ``kinds``. Numbers in the type's text come before those given apart."""
        words, numbers = words_and_numbers(native)
        kind = self.kinds.get(words, Kind.OTHER) if numbers is not None else Kind.OTHER
        first, second = (*(numbers or ()), None, None)[:2]
        if kind is Kind.DECIMAL:
            precision, scale = (precision, scale) if first is None else (first, second)
            return kind, None, precision, None if precision is None else scale or 0
        if kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            return kind, None, precision if first is None else first, None
        if kind in (Kind.TEXT, Kind.BINARY, Kind.BIT):
            return kind, length if first is None else first, None, None
        return kind, None, None, None

    def stored(self, column: Column) -> Stored:
        """The type that keeps the column here; of the same system, its own declaration."""
        if column.origin == self.name and column.native:
            return Stored(own_type(column))
        return self.native(column)

    def native(self, column: Column) -> Stored:
        """The type that keeps a column of another system."""
        return Stored(self.text_type)

    def create_table(
        self,
        path: Sequence[str],
        columns: Sequence[Column],
        key: Sequence[str] = (),
        *,
        temporary: bool = False,
    ) -> str:
        """CREATE TABLE; fails if it exists."""
        lines = [self.column_ddl(column) for column in columns]
        if key:
            lines.append(f"PRIMARY KEY ({self.names(key)})")
        verb = self.temporary_table if temporary else "CREATE TABLE"
        return f"{verb} {self.qualify(path)} (\n  " + ",\n  ".join(lines) + "\n)"

    def create_stage(self, path: Sequence[str], target: Sequence[str], columns: Sequence[Column]) -> str:
        """A temporary table for rows of these columns on their way into ``target``; all may be NULL."""
        loose = [replace(column, nullable=True) for column in columns]
        return self.create_table(path, loose, temporary=True)

    def column_ddl(self, column: Column) -> str:
        """One column's declaration."""
        not_null = "" if column.nullable else " NOT NULL"
        return f"{self.quote(column.name)} {self.stored(column).native}{not_null}"

    def add_column(self, path: Sequence[str], column: Column) -> str:
        """ALTER TABLE that adds a column."""
        return f"ALTER TABLE {self.qualify(path)} {self.adds_column} {self.column_ddl(column)}"

    def rename_table(self, path: Sequence[str], name: str) -> str:
        """Give a table another name in its schema."""
        return f"ALTER TABLE {self.qualify(path)} RENAME TO {self.quote(name)}"

    def drop_table(self, path: Sequence[str]) -> str:
        """Drop if it is there."""
        return f"DROP TABLE IF EXISTS {self.qualify(path)}"

    def referring(self, path: Sequence[str]) -> str | None:
        """Lists the foreign keys of other tables that refer to a table: key, schema, table, column and the
        column it refers to, column by column. None where no key is enforced."""
        if self.referring_keys is None:
            return None
        schema = self.string(path[-2]) if len(path) > 1 and path[-2] else "NULL"
        qualified = self.string(self.qualify(path))
        return self.referring_keys.format(schema=schema, table=self.string(path[-1]), qualified=qualified)

    # -- errors --------------------------------------------------------------

    def code(self, error: BaseException) -> str | None:
        """The database's own code of a driver's error (SQLSTATE, errno, ORA-...)."""
        return None

    def describe_error(self, error: BaseException) -> str:
        """What may be shown of an error: never its text, which can quote values."""
        code = self.code(error)
        return f"{self.name} {type(error).__name__}" + (f" {code}" if code else "")

    def classify(self, error: BaseException) -> HdmError:
        """The driver's error as hdm's; unknown ones count as transient."""
        if isinstance(error, HdmError):
            return error
        if isinstance(error, ConnectionError | TimeoutError):
            return ConnectionLost(f"{self.name}: the connection broke ({type(error).__name__})")
        code = self.code(error)
        if code:
            for size in range(len(code), 0, -1):
                if code[:size] in self.errors:
                    hint = self.hint_for(error) or self.hint(code)
                    return self.errors[code[:size]](self.describe_error(error), hint=hint)
        return TransientError(self.describe_error(error))

    def hint(self, code: str) -> str | None:
        """What to do about an error code."""
        return None

    def hint_for(self, error: BaseException) -> str | None:
        """What to do, where the code alone does not tell."""
        return None

    def is_duplicate(self, error: BaseException) -> bool:
        """Whether the error says that a key is there already."""
        return False
