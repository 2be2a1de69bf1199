"""Tests that every dialect must pass."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from hdm.dialects.base import Dialect
from hdm.dialects.types import INTEGERS, Fidelity, misfit
from hdm.errors import HdmError, Recovery, UsageError
from hdm.model import Condition, Dataset, Kind, Table
from hdm.testing import leaks
from hdm.testing.emitted import can_have, foreign, statements, typed

NAMES = (
    "plain",
    "Mixed Case",
    'quo"te',
    "back`tick",
    "brack]et[",
    "semi;--",
    "o'clock",
    "a.b",
    "日本",
    "select",
)
"""Names that simple quoting does not protect."""
INJECTIONS = ("1); DROP TABLE t; --", "1 OR 1=1", "' OR ''='", "NaN; --", "1--", "")
"""Texts that must be refused as numbers."""
TEXTS = ("", "'", "''", "\\", "\\'", "a'); DROP TABLE t; --", "%s ? :1", "line\nbreak", "日本 😀", '"')

Run = Callable[[str], list[tuple[Any, ...]]]
"""Executes one query in a real database session with the dialect's settings."""

Unknown = Sequence[tuple[str, str]]
"""SQL that sqlglot cannot parse though the system can: regular expressions and their replacements."""


def parsed(dialect: Dialect, sql: str, unknown: Unknown = ()) -> Any:
    """Parse SQL by sqlglot and return the tree; raise ``AssertionError`` unless it is one statement."""
    import sqlglot

    for pattern, instead in unknown:
        sql = re.sub(pattern, instead, sql, flags=re.DOTALL)
    try:
        statements = sqlglot.parse(sql, read=dialect.sqlglot)
    except sqlglot.errors.SqlglotError as error:
        raise AssertionError(f"sqlglot cannot read: {sql}") from error
    assert len(statements) == 1, f"{len(statements)} statements: {sql}"
    assert statements[0] is not None, f"no statement: {sql}"
    assert not isinstance(statements[0], sqlglot.exp.Command), f"sqlglot does not know: {sql}"
    return statements[0]


def check_names_survive_quoting(dialect: Dialect) -> None:
    """Check that a hostile name is quoted so that it parses to the same name, or is refused."""
    from sqlglot import exp

    for name in NAMES:
        try:
            quoted = dialect.quote(name)
        except UsageError as error:
            assert repr(name) in error.message
            continue
        start, end = dialect.quote_marks
        assert quoted[0] == start and quoted[-1] == end
        assert quoted[1:-1].replace(end * 2, end) == name
        if dialect.sqlglot:
            tree = parsed(
                dialect, f"SELECT {quoted} FROM {dialect.qualify((name, name)[: dialect.max_path])}"
            )
            assert tree.expressions[0].name == name
            assert {part.name for part in tree.find_all(exp.Table)} == {name}


def check_impossible_names_are_refused(dialect: Dialect) -> None:
    """Check that empty names, NUL and names that are too long raise ``UsageError``."""
    for name in ("", "nul\0"):
        with pytest.raises(UsageError):
            dialect.quote(name)
    limit = dialect.max_identifier
    dialect.quote("a" * limit)
    wide = "é" * limit if dialect.identifier_unit == "bytes" else "é" * (limit + 1)
    for name in ("a" * (limit + 1), wide):
        with pytest.raises(UsageError):
            dialect.quote(name)


def check_names_beside_fit(dialect: Dialect) -> None:
    """Check that names of tables beside a target (``Dialect.beside``) are allowed, and long ones differ."""
    long = min(dialect.max_identifier, 1000)
    made = [dialect.beside(name, "__hdm_a1b2c3_7") for name in ("t", "é" * (long // 2), "x" * long)]
    made.append(dialect.beside("x" * (long - 1) + "y", "__hdm_a1b2c3_7"))
    for name in made:
        dialect.quote(name)
        assert name.endswith("__hdm_a1b2c3_7")
    assert len({dialect.folded(name) for name in made}) == len(made)


def check_numbers_are_numbers(dialect: Dialect) -> None:
    """Check that only numbers get into a statement without quotes, as value, lag or page."""
    for text in INJECTIONS:
        for kind in INTEGERS:
            with pytest.raises(HdmError):
                dialect.literal(text, typed(dialect, kind))
            with pytest.raises(HdmError):
                dialect.minus("c", text, typed(dialect, kind))
        for kind in (Kind.DATE, Kind.TIMESTAMP):
            with pytest.raises(HdmError):
                dialect.minus("c", text, typed(dialect, kind))
        with pytest.raises(HdmError):
            dialect.physical(Condition("@page", ">=", text))


def check_texts_stay_inside_their_quotes(dialect: Dialect) -> None:
    """Check that a text literal parses to one literal with exactly that text."""
    from sqlglot import exp

    column = typed(dialect, Kind.TEXT)
    for text in TEXTS if dialect.sqlglot else ():
        tree = parsed(dialect, f"SELECT {dialect.literal(text, column)}")
        found = [
            part.name
            for part in tree.find_all(exp.Literal, exp.National)
            if part.is_string or isinstance(part, exp.National)
        ]
        assert found == [text], f"{text!r} is read as {found}"
        assert not list(tree.find_all(exp.Drop, exp.Or, exp.Placeholder, exp.Parameter))


def check_literals_round_trip(dialect: Dialect, run: Run | None) -> None:
    """Check, on the real system, that a value is the same text after ``literal`` and ``text_of``.

    Nothing is checked without a real system (``run`` is None).
    """
    if run is None:
        return
    values = {
        Kind.INT64: ("0", "-9223372036854775808", "9223372036854775807"),
        Kind.DECIMAL: ("0.01", "-999999999999999999.99"),
        Kind.TEXT: TEXTS,
        Kind.DATE: ("0001-01-01", "2000-02-29", "9999-12-31"),
        Kind.TIMESTAMP: ("2038-01-19 03:14:08.123456", "1900-01-01 00:00:00.000001"),
    }
    for kind, texts in values.items():
        column = typed(dialect, kind)
        for text in texts:
            made = run(f"SELECT {dialect.text_of(dialect.literal(text, column), column)}")[0][0]
            assert str(made) == text, f"{kind}: {text!r} became {made!r}"


def check_every_kind_is_kept_or_declared(dialect: Dialect) -> None:
    """Check that each kind has a type in the system, and that a type that is not exact has a reason.

    A type that is called exact must store every value that the column's declaration allows.
    """
    for column in foreign():
        stored = dialect.stored(column)
        what = f"{column.kind} {column.length or column.precision or ''} as {stored.native}"
        assert stored.native, what
        if stored.fidelity is not Fidelity.EXACT:
            assert stored.why, f"{what}: {stored.fidelity} without a reason"
        if stored.fidelity is Fidelity.EXACT:
            kept = dialect.column_from_catalog(column.name, stored.native)
            assert (why := misfit(kept, column)) is None, f"{what}: {why}"
            assert kept.kind is not Kind.OTHER or column.kind is Kind.OTHER, f"{what}: not read again"


def check_own_types_stay(dialect: Dialect) -> None:
    """Check that a column of the same system keeps its declaration exactly."""
    for column in foreign():
        own = dialect.column_from_catalog(column.name, dialect.native(column).native)
        if own.kind is not Kind.OTHER:
            assert dialect.stored(own).native == own.native
            assert dialect.stored(own).fidelity is not Fidelity.LOSSY


def check_statements_parse(dialect: Dialect, unknown: Unknown) -> None:
    """Check that sqlglot parses each statement of ``emitted.statements`` as exactly one statement."""
    for sql in statements(dialect) if dialect.sqlglot else ():
        parsed(dialect, sql, unknown)


def check_statements_hold_hostile_names(dialect: Dialect, unknown: Unknown) -> None:
    """Check that hostile column names do not change the kind of any statement of ``emitted.statements``."""
    hostile = ['a"b; --', "o'clock", "semi;` ]DROP"]
    hostile = [name if can_have(dialect, name) else f"{n} x;--" for n, name in enumerate(hostile)]
    if dialect.sqlglot:
        for plain, sql in zip(statements(dialect), statements(dialect, hostile), strict=True):
            expected = type(parsed(dialect, plain, unknown))
            assert type(parsed(dialect, sql, unknown)) is expected, sql


def check_conditions_are_strict(dialect: Dialect) -> None:
    """Check that a condition with an unknown comparison, column or pseudo-column is refused."""
    column = typed(dialect, Kind.INT64)
    table = Table(Dataset("n", "t"), ("t",), (column,))
    for one in (
        Condition("c", "LIKE", "1"),
        Condition("d", "=", "1"),
        Condition("c", ">"),
        Condition("@x", "=", "1"),
    ):
        with pytest.raises(UsageError):
            dialect.predicate([one], table)
    assert dialect.predicate([], table) == ""


def check_errors_are_sorted(dialect: Dialect, errors: Sequence[tuple[Exception, Recovery]]) -> None:
    """Check that known driver errors lead to the right recovery, and unknown ones to a retry."""
    for error, recovery in (
        *errors,
        (ConnectionResetError(), Recovery.RETRY),
        (RuntimeError(), Recovery.RETRY),
    ):
        made = dialect.classify(error)
        assert made.recovery is recovery, f"{dialect.code(error)}: {type(made).__name__}"
    assert all(issubclass(kind, HdmError) for kind in dialect.errors.values())
    mine = UsageError("mine")
    assert dialect.classify(mine) is mine


def check_errors_show_no_values(dialect: Dialect, errors: Sequence[tuple[Exception, Recovery]]) -> None:
    """Check that a translated error does not repeat the driver's text, which may quote values."""
    for error in (*(type(error)(*error.args) for error, _ in errors), ValueError(), RuntimeError()):
        error.args = (*error.args[:-1], "row value 4711-canary") if error.args else ("4711-canary",)
        assert "4711-canary" not in str(dialect.classify(error))


@dataclass
class Given:
    """The values for the parameters of check functions, by parameter name."""

    dialect: Dialect
    errors: Sequence[tuple[Exception, Recovery]] = ()
    run: Run | None = None
    unknown: Unknown = ()

    def call(self, check: Callable[..., None]) -> None:
        """Call a check function with the values of this object's attributes that its parameters name."""
        check(*(getattr(self, name) for name in inspect.signature(check).parameters))


CHECKS: tuple[Callable[..., None], ...] = tuple(
    function for name, function in list(globals().items()) if name.startswith("check_")
)


class DialectConformance:
    """Tests a dialect: inherit it and define the fixture ``subject``, the dialect.

    Optional fixtures: ``errors``, driver errors with the recovery that each must lead to; ``run``, which
    executes a query on a real system; ``unknown``, the SQL that sqlglot cannot parse.
    """

    gaps: ClassVar[Mapping[str, str]] = {}
    """Checks that the dialect cannot pass: name without ``check_`` -> reason."""

    @pytest.fixture
    def errors(self) -> Sequence[tuple[Exception, Recovery]]:
        """Return no errors; override this with documented ones."""
        return ()

    @pytest.fixture
    def run(self) -> Run | None:
        """Return None, so that checks that need a real system are not made."""
        return None

    @pytest.fixture
    def unknown(self) -> Unknown:
        """Return no replacements: sqlglot can parse all statements of most dialects.

        Override this with pairs (regular expression, replacement) that turn SQL which sqlglot cannot parse
        into SQL that it can.
        """
        return ()

    @pytest.fixture
    def given(
        self,
        subject: Dialect,
        errors: Sequence[tuple[Exception, Recovery]],
        run: Run | None,
        unknown: Unknown,
    ) -> Given:
        """Return one object with the values of the fixtures, ``subject`` as its ``dialect``.

        ``test_promise`` calls each check function with those values that its parameters name.
        """
        return Given(subject, errors, run, unknown)

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
    def test_promise(self, given: Given, check: Callable[..., None]) -> None:
        """Run one check function; see the function of that name in ``hdm.testing.dialects``."""
        leaks.judge(check.__name__[6:], self.gaps, lambda: given.call(check))
