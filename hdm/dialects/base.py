"""Defines the base class of dialects: one database's SQL as values and short methods, without a driver."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from hdm.dialects.classifying import Classifying
from hdm.dialects.comparing import Comparing
from hdm.dialects.facts import Facts
from hdm.dialects.hashing import Hashing
from hdm.dialects.lexer import Token, UnclearSQL, tokens
from hdm.dialects.merging import Merging
from hdm.dialects.native_type import own_type, words_and_numbers
from hdm.dialects.types import Stored, carrier
from hdm.dialects.user_input import one_predicate, seconds
from hdm.errors import UsageError
from hdm.model import Column, Kind

__all__ = ["PAGE", "Dialect", "one_predicate", "seconds"]

PAGE = "@page"
"""The pseudo-column of physical row addresses in ``Condition``."""


class Dialect(Classifying, Facts, Comparing, Merging, Hashing):
    """The SQL of one database and what it can do; without state, so one instance serves all threads."""

    sqlglot: ClassVar[str | None] = None
    """The dialect's name in sqlglot; None if sqlglot does not know the dialect."""
    quote_marks: ClassVar[tuple[str, str]] = ('"', '"')
    """Opening and closing quotation mark of a name; the closing one is escaped by doubling it."""
    ignores_case: ClassVar[Literal["no", "ascii", "all"]] = "no"
    """Letters whose case does not matter in column names, quoted or not: ``no``, ``ascii`` or ``all``."""
    ignores_case_of_tables: ClassVar[Literal["no", "ascii", "all"] | None] = None
    """Letters whose case does not matter in names of tables and schemas; None: as for columns."""
    composes_names: ClassVar[bool] = False
    """Whether a letter with a separate accent equals the single accented letter (Unicode form NFC)."""
    bracket_names: ClassVar[bool] = False
    """Whether ``[a name]`` is a quoted name."""
    plain_strings: ClassVar[bool] = False
    """Whether a backslash in a text is always an ordinary character, in the sessions that hdm opens."""
    line_comments: ClassVar[tuple[str, ...]] = ()
    """Marks that begin a comment, besides ``--``."""
    max_identifier: ClassVar[int] = 63
    identifier_unit: ClassVar[str] = "bytes"
    """Unit of ``max_identifier``: ``bytes`` (of UTF-8) or ``characters``."""
    max_path: ClassVar[int] = 2
    """Most parts that a table's name may have."""
    paramstyle: ClassVar[str] = "qmark"
    """Form of the marks for bound values: ``qmark`` is ``?``, ``format`` is ``%s``, ``numeric`` is ``:1``."""
    enforces_keys: ClassVar[bool] = True
    """Whether a PRIMARY KEY is enforced, so that the ledger's key alone fences attempts."""
    transactional_ddl: ClassVar[bool] = True
    enforces_lengths: ClassVar[bool] = True
    """Whether a declared length of text is enforced; else it is a comment. Where it is enforced, hdm checks
    it first, since databases cut blanks at the end of a longer value silently."""
    from_nothing: ClassVar[str] = ""
    """Text at the end of a SELECT that reads no table, such as Oracle's ``FROM dual``."""
    empty_is_null: ClassVar[bool] = False
    """Whether an empty text is NULL, so that a column which may hold one cannot be NOT NULL."""
    page_ranges: ClassVar[bool] = False
    """Whether tables without a key can be cut by physical ranges (``@page``)."""
    zoneless: ClassVar[bool] = False
    """Whether timestamps with a zone are stored as UTC without a zone."""
    session_settings: ClassVar[Mapping[str, str]] = {}
    """Name -> SQL value of the settings that every session starts with.

    These are all settings by which a role, a database or a server may hide rows, cut results short, or alter
    values or their text.
    """
    session_statements: ClassVar[tuple[str, ...]] = ()
    """Statements that every session starts with, besides the plain settings."""
    hides_columns: ClassVar[bool] = False
    """Whether the catalog leaves out columns that the user may not read, without an error."""
    grants_script: ClassVar[str] = ""
    """Name of the script in ``hdm.dialects.grants`` with the privileges that hdm needs; empty if none."""
    login_rights: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Words of a refused login -> the rights of the grants script without which logins are refused so."""
    looks_back: ClassVar[bool] = False
    """Whether missing ids can be listed by SQL, which takes LAG() and LIMIT."""
    clock: ClassVar[str] = ""
    """Query for the server's time in UTC."""
    present: ClassVar[str] = "CURRENT_TIMESTAMP"
    """Expression for the time at which a row is written; in UTC if the session's settings allow it."""
    passing_locks: ClassVar[str] = ""
    """Text after a table's name that makes a query skip uncommitted rows instead of waiting for them."""
    head_lock: ClassVar[str] = ""
    """Statement that locks the ledger's head, the table ``{}``, before a transaction's first query; empty:
    the update of its row is enough."""
    bigint_type: ClassVar[str] = "BIGINT"
    key_text_type: ClassVar[str] = "VARCHAR(128)"
    """A text type that a primary key may have."""
    referring_keys: ClassVar[str | None] = None
    """Query of ``hdm.dialects.referring`` for foreign keys that refer to one table; None: not enforced."""
    all_keys: ClassVar[str | None] = None
    """Query that lists, for every foreign key, schema and table of both sides; None: not available."""
    kinds: ClassVar[Mapping[str, Kind]] = {}
    """The first words of a native type, without its numbers and in capitals -> its kind; see ``kind``."""

    @property
    def session(self) -> tuple[str, ...]:
        """The SQL statements with which every session starts."""
        settings = (self.set_session(name, value) for name, value in self.session_settings.items())
        return (*self.session_statements, *settings)

    def set_session(self, name: str, value: str) -> str:
        """Return the SQL statement that gives a setting its value until the session ends."""
        return f"SET {name} = {value}"

    # -- names ---------------------------------------------------------------

    def quote(self, name: str) -> str:
        """Return a name in quotation marks.

        Raises ``UsageError`` if the database cannot have that name.
        """
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
        """Return a table's full, quoted name from its parts."""
        return ".".join(self.quote(part) for part in path if part)

    def folded(self, name: str) -> str:
        """Return a column's name in the case in which the database compares names."""
        return self._folded(name, self.ignores_case)

    def folded_table(self, name: str) -> str:
        """Return a table's or schema's name in the case in which the database compares names."""
        return self._folded(name, self.ignores_case_of_tables or self.ignores_case)

    def _folded(self, name: str, case: Literal["no", "ascii", "all"]) -> str:
        composed = unicodedata.normalize("NFC", name) if self.composes_names else name
        if case == "all":
            return composed.lower()
        if case == "ascii":
            return "".join(mark.lower() if mark.isascii() else mark for mark in composed)
        return composed

    def names(self, names: Iterable[str]) -> str:
        """Return names in quotation marks, separated by commas."""
        return ", ".join(self.quote(name) for name in names)

    def beside(self, name: str, suffix: str) -> str:
        """Return the name of a second table next to the table ``name``: the name and ``suffix``.

        If that is too long, the name is cut and marked with a hash, so that the names of two tables differ.
        """
        full = name + suffix
        size = len(full.encode()) if self.identifier_unit == "bytes" else len(full)
        if size <= self.max_identifier:
            return full
        mark = "_" + hashlib.sha256(name.encode()).hexdigest()[:8] + suffix
        short = name.encode()[: self.max_identifier - len(mark)].decode(errors="ignore")
        return short + mark

    def placeholder(self, number: int) -> str:
        """Return the placeholder for bound value ``number``, counted from 1."""
        return {"qmark": "?", "format": "%s", "numeric": f":{number}"}[self.paramstyle]

    def placeholders(self, count: int) -> str:
        """Return ``count`` placeholders for bound values, separated by commas."""
        return ", ".join(self.placeholder(n + 1) for n in range(count))

    def tokens(self, text: str, *, anywhere: bool = False) -> list[Token]:
        """Split SQL text into tokens; raise ``UnclearSQL`` if servers may split it differently.

        With ``anywhere``, sessions that hdm did not open may run the SQL, so that a backslash before a
        quotation mark is not certain.
        """
        read = tokens(text, brackets=self.bracket_names, plain=self.plain_strings and not anywhere)
        bare = "".join(one.text if one.kind in ("word", "mark") else " " for one in read)
        for mark in self.line_comments:
            if mark in bare:
                raise UnclearSQL(f"it holds {mark}, which begins a comment")
        return read

    def derived(self, sql: str) -> str:
        """Return a query as a table expression for a FROM clause."""
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
        """Return a column, with its kind and Arrow type, from its declaration in the system's catalogue."""
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
        """Return kind, length, precision and scale of the system's type ``native``.

        A type that is not known is of kind OTHER and travels as text. The default looks into ``kinds``.
        Numbers in the type's own text count before those given in ``length``, ``precision`` and ``scale``.
        """
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
        """Return the type that stores a column in this system.

        For a column that comes from a table of this system, that is the declared type.
        """
        if column.origin == self.name and column.native:
            return Stored(own_type(column))
        return self.native(column)

    def native(self, column: Column) -> Stored:
        """Return the type that stores a column of another system in this one.

        The default is the system's type for text.
        """
        return Stored(self.text_type)

    def create_table(
        self,
        path: Sequence[str],
        columns: Sequence[Column],
        key: Sequence[str] = (),
        *,
        temporary: bool = False,
    ) -> str:
        """Return a CREATE TABLE statement, which fails if the table exists."""
        lines = [self.column_ddl(column) for column in columns]
        if key:
            lines.append(f"PRIMARY KEY ({self.names(key)})")
        verb = self.temporary_table if temporary else "CREATE TABLE"
        return f"{verb} {self.qualify(path)} (\n  " + ",\n  ".join(lines) + "\n)"

    def create_stage(self, path: Sequence[str], target: Sequence[str], columns: Sequence[Column]) -> str:
        """Return the statement for a temporary table (stage) that takes rows on their way into ``target``.

        All its columns may be NULL.
        """
        loose = [replace(column, nullable=True) for column in columns]
        return self.create_table(path, loose, temporary=True)

    def column_ddl(self, column: Column) -> str:
        """Return one column's declaration for CREATE TABLE."""
        not_null = "" if column.nullable else " NOT NULL"
        return f"{self.quote(column.name)} {self.stored(column).native}{not_null}"

    def add_column(self, path: Sequence[str], column: Column) -> str:
        """Return an ALTER TABLE statement that adds a column."""
        return f"ALTER TABLE {self.qualify(path)} {self.adds_column} {self.column_ddl(column)}"

    def rename_table(self, path: Sequence[str], name: str) -> str:
        """Return the statement that gives a table another name in its schema."""
        return f"ALTER TABLE {self.qualify(path)} RENAME TO {self.quote(name)}"

    def drop_table(self, path: Sequence[str]) -> str:
        """Return the statement that drops a table if it exists."""
        return f"DROP TABLE IF EXISTS {self.qualify(path)}"

    def referring(self, path: Sequence[str]) -> str | None:
        """Return a query for the foreign keys of other tables that refer to this table.

        Each row has the key, its schema, table and column, and the column referred to. None where the
        database enforces no foreign keys.
        """
        if self.referring_keys is None:
            return None
        schema = self.string(path[-2]) if len(path) > 1 and path[-2] else "NULL"
        qualified = self.string(self.qualify(path))
        return self.referring_keys.format(schema=schema, table=self.string(path[-1]), qualified=qualified)
