"""Prints the comparison of two tables, for people and as JSON, and reads the options that say how to
compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from hdm.cli.output import emit, say
from hdm.config.located import LocatedDict, Problems
from hdm.config.manifest_model import AcceptWords
from hdm.config.validation import validate
from hdm.errors import UsageError
from hdm.planning.sync_links import accepted
from hdm.proof.forms import Accepted
from hdm.proof.result import UNSTEADY, Comparison, Level, RowDifference


def rules(given: Sequence[str]) -> dict[str, Accepted]:
    """Return what --accept declares, by column; each is COLUMN:RULE, COLUMN:RULE=VALUE or COLUMN:A=B.

    Raises ``UsageError`` for a rule that does not exist.
    """
    found: dict[str, LocatedDict] = {}
    for text in given:
        column, _, rule = text.partition(":")
        name, equals, value = rule.partition("=")
        words = found.setdefault(column, LocatedDict())
        if name in ("trailing_blanks", "empty_is_null", "zero_sign") and not equals:
            words[name] = True
        elif name in ("seconds", "tolerance") and value:
            words[name] = value
        elif name and equals:
            words.setdefault("values", LocatedDict())[name] = value
        else:
            raise UsageError(
                f"--accept {text!r} is no rule",
                hint="write COLUMN:trailing_blanks, empty_is_null, zero_sign, seconds=3, tolerance=0.01, or "
                "COLUMN:VALUE=OTHER for values that stand for each other",
            )
    made = {}
    for column, words in found.items():
        problems = Problems("--accept")
        model = validate(AcceptWords, words, problems, what=column)
        problems.raise_any()
        assert model is not None
        made[column] = accepted(model.model_dump())
    return made


def pairs(given: Sequence[str]) -> dict[str, str]:
    """Return what --column declares: name in the first table -> name in the second, each as FIRST=SECOND."""
    found = dict(text.partition("=")[::2] for text in given)
    if not all(found) or not all(found.values()):
        raise UsageError("--column wants FIRST=SECOND", hint="e.g. --column id=order_id")
    return found


def as_row(one: Comparison) -> dict[str, Any]:
    """Return the mapping that ``--json`` prints for a comparison."""
    return {
        "first": one.a,
        "second": one.b,
        "level": one.level.value,
        "equal": one.equal,
        "key": list(one.key),
        "rows_first": one.rows_a,
        "rows_second": one.rows_b,
        "missing": one.missing,
        "extra": one.extra,
        "changed": one.changed,
        "within_tolerance": one.within,
        "unsteady": one.unsteady,
        "schema": list(one.schema),
        "notes": list(one.notes),
        "columns": [
            {
                "column": each.column,
                "facts": list(each.facts),
                "first": _facts(each.a),
                "second": _facts(each.b),
            }
            for each in one.columns
        ],
        "rows": [_difference(each) for each in one.shown],
    }


def _facts(facts: Any) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in ("nulls", "least", "greatest", "total", "distinct")}


def _difference(one: RowDifference) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "key": _plain(one.key),
        "first": _plain(one.a),
        "second": _plain(one.b),
        "columns": dict(one.columns),
        "times": list(one.times),
    }


def _plain(values: Any) -> Any:
    return None if values is None else {name: _text(value) for name, value in values.items()}


def _text(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def show(one: Comparison, title: str) -> None:
    """Print a comparison for a person: the verdict, what was not compared, and each row that differs."""
    say(f"{title}: {_verdict(one)}")
    for text in one.schema:
        say(f"  {text}")
    for text in one.notes:
        say(f"  note: {text}")
    if one.columns:
        emit([line for each in one.columns for line in _fact_lines(each)], as_json=False)
    if one.causes:
        say("  likely causes in the rows below:")
        for (column, why), count in sorted(one.causes.items(), key=lambda item: -item[1]):
            say(f"    {column}: {why} ({count:,})")
    if one.shown:
        emit([line for each in one.shown for line in _lines(each)], as_json=False, least=("times",))


_UNSEEN = {Level.COUNTS: " (no value was read)", Level.COLUMNS: " (by their totals, not row by row)"}
"""What a level has not looked at, so that its "equal" is not taken for more."""


def _verdict(one: Comparison) -> str:
    rows = f"{one.rows_a:,} rows" if one.rows_a == one.rows_b else f"{one.rows_a:,} and {one.rows_b:,} rows"
    how = f"compared by {one.level.value}{_UNSEEN.get(one.level, '')}"
    if one.equal:
        tolerated = f", {one.within:,} rows within the accepted tolerance" if one.within else ""
        return f"equal, {rows}, {how}{tolerated}"
    if one.unsteady:
        return f"not equal, {rows}, {how}: {UNSTEADY}"
    counts = (("missing", one.missing), ("extra", one.extra), ("changed", one.changed))
    said = ", ".join(f"{count:,} {word}" for word, count in counts if count)
    left = one.missing + one.extra + one.changed - len(one.shown)
    more = f" ({len(one.shown)} of them below)" if said and left > 0 else ""
    by = f", by key {', '.join(one.key)}" if one.key and said else ", rows as a whole" if said else ""
    return f"different, {rows}, {how}{by}{': ' if said else ''}{said}{more}"


def _lines(one: RowDifference) -> list[dict[str, Any]]:
    key = ", ".join(f"{name}={_shown(value)}" for name, value in one.key.items())
    times = "" if one.times == (1, 1) else f"{one.times[0]} : {one.times[1]}"
    base = {"row": one.kind, "key": key}
    if one.kind == "changed" and one.a is not None and one.b is not None:
        second = list(one.b.values())
        return [
            {**base, "column": name, "first": _shown(one.a[name]), "second": _shown(second[place]),
             "likely cause": one.columns[name], "times": times}
            for place, name in enumerate(one.a) if name in one.columns
        ]  # fmt: skip
    whole = one.a if one.a is not None else one.b or {}
    text = ", ".join(f"{name}={_shown(value)}" for name, value in whole.items())
    first, second_text = (text, "") if one.a is not None else ("", text)
    why = "repeated" if one.times[0] and one.times[1] else ""
    return [
        {**base, "column": "", "first": first, "second": second_text, "likely cause": why, "times": times}
    ]


def _fact_lines(one: Any) -> list[dict[str, Any]]:
    a, b = _facts(one.a), _facts(one.b)
    if a["distinct"] == b["distinct"]:  # it is a fact that differs if the values do, though not their number
        b["distinct"] = f"{b['distinct']}, not all the same"
    return [
        {"column": one.column, "fact": name, "first": str(a[name]), "second": str(b[name])}
        for name in one.facts
    ]


def _shown(value: Any) -> str:
    if value is None:
        return "NULL"
    return (
        f"x{value.hex()}"
        if isinstance(value, bytes)
        else repr(value)
        if isinstance(value, str)
        else str(value)
    )


def show_option(function: Any) -> Any:
    """Add the option --show to a command: how many rows that differ are read and printed."""
    return click.option(
        "--show", "shown", type=click.IntRange(0, 100_000), default=20, show_default=True,
        help="How many rows that differ are read and printed, for each table.",
    )(function)  # fmt: skip
