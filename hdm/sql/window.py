"""Cuts the rows that came since the last reading into chunks, by a watermark column.

The chunks are, in this order: late rows below the watermark; ties at the watermark; rows without a place in
the order (NULL, NaN, infinity, dates in the future); ranges ``(lo, hi]`` up to the window's end, whose ties
are a chunk of their own (``boundary``). Empty chunks are not planned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hdm.arrow.batches import Compared, KnownRows
from hdm.errors import PermanentError, TiesUnknown
from hdm.model import Column, Condition, Kind
from hdm.sql.chunking import Part, Splitter, all_of
from hdm.sql.cursor import FLOATS, highest
from hdm.sql.late import find_late, missing_ids, numbered_by, said_of_late

_UNSEEN_CHANGES = (
    "a row that is changed and keeps its {} is not seen: have every change set it, or write mode: replace"
)
_ONLY_COUNTED = (
    "a row that comes later with a smaller {} is counted and not moved: keep away from those that may still "
    "come, with watermark: {{lag: ...}}"
)
TIES_TOLD_APART = 1_000_000
"""Greatest number of ties, or of rows without a place in the order, whose digests are recorded.
Of more rows only the number is recorded."""


@dataclass(frozen=True, slots=True)
class Increment(Splitter):
    """Cuts the rows that a watermark column selects into chunks."""

    def parts(self) -> Iterator[Part]:
        """Yield the rows of each chunk as conditions, in the order of the chunks."""
        column, window = self.table.column(self.window.column or ""), self.window
        after, top = window.after, self._top(column)
        if after is not None and window.offset:
            shifted = self.database.dialect.minus(self._literal(column, after), window.offset, column)
            shown = self.database.dialect.text_of(shifted, column)
            after = str(self.one(f"SELECT {shown}{self.database.dialect.from_nothing}")[0])
        high, rows = self._end(column, after, top)
        self.known.append(rows)
        kept, tied = window.findings.kept, 0
        if window.after is not None and after is not None:
            tied = 0 if window.offset else self.count((Condition(column.name, "=", after),))
            yield from self._below(column, after, rows, tied, top)
            if not window.offset:
                yield from self._ties(column, after, tied, rows)
        elif rows:
            below = None if window.on_missing == "ignore" else 0
            kept.update({"below": below, "again": 0, "ranges": 0})
        left: list[int] = []
        yield from self._unplaced(column, top, rows, left)
        if kept.get("below") is not None:
            kept["total"] = kept["below"] + rows + (0 if rows else tied) + kept.pop("unplaced", 0)
        if high is not None and rows:
            low = None if after is None else Condition(column.name, ">", after)
            yield from self._up_to(column, low, high, rows, matured=bool(sum(left)))
        if high is not None or window.after is not None:
            self._remember(column, high if high is not None and rows else str(window.after), top)

    def _top(self, column: Column) -> str | None:
        if self.window.top is not None:
            return self.window.top
        moment = self.database.now(self.connection) if column.kind in _TEMPORAL else None
        return highest(self.database.dialect, column, moment)

    # -- what came below the watermark --------------------------------------------

    def _below(self, column: Column, after: str, rows: int, tied: int, top: str | None) -> Iterator[Part]:
        """Yield rows below the watermark that did not exist, or were not visible, in the last reading."""
        window, findings = self.window, self.window.findings
        mark = str(window.after)
        below = (Condition(column.name, "<", mark),)
        counts = window.on_missing != "ignore"
        held = self.count(below) if counts else None
        reread = (Condition(column.name, "<=", after),) if window.offset else below
        late = find_late(self, reread, held)
        at = after if window.offset else None
        start = self._base(column, at, held, tied, rows) if counts else None
        findings.kept.update({"below": start, "again": late.rows, "ranges": 0})
        if late.condition is not None:
            where = (*reread, late.condition)
            self.known.append(late.rows)
            pieces = list(self.finer(where, self.key_columns(()), late.rows))
            for number, piece in enumerate(pieces, 1):
                yield Part(piece.conditions, piece.rows, mark if number == len(pieces) else None)
        if held is None:
            return
        back = not rows and not tied and bool(window.ties) and not self._reaches(column, mark, top)
        said = said_of_late(window, held, late, self._rose(column, rows), column.name, back=back)
        if said:
            self._differs(said)

    def _rose(self, column: Column, rows: int) -> int:
        """Return how many moved rows may since have got a greater value, and so are in the window again."""
        return rows if self.window.again and column.name not in self.table.key else 0

    def _base(self, column: Column, at: str | None, held: int | None, tied: int, rows: int) -> int | None:
        """Return how many rows lie below the start of this reading; None if they are not counted.

        Ties at the old watermark are below it as soon as the watermark moves on.
        """
        if at is not None:
            return self.count((Condition(column.name, "<=", at),))
        return None if held is None else held + (tied if rows else 0)

    def _reaches(self, column: Column, mark: str, top: str | None) -> bool:
        """Whether any row is at or above the watermark."""
        placed = () if top is None else (Condition(column.name, "<=", top),)
        return self.count((Condition(column.name, ">=", mark), *placed)) > 0

    def _remember(self, column: Column, high: str, top: str | None) -> None:
        window = self.window
        kept = window.findings.kept
        kept["mark"] = high
        number = numbered_by(self.table)
        if number is not None and self.database.dialect.looks_back:
            dialect = self.database.dialect
            moved = dialect.condition(Condition(column.name, "<=", high), self.table)
            beyond = Condition(column.name, "null") if top is None else Condition(column.name, "beyond", top)
            others = dialect.condition(beyond, self.table)
            kept["gaps"] = missing_ids(self, number, moved if number is column else f"({moved} OR {others})")
        if not self.database.shows_writers:
            findings = window.findings
            findings.limits.append(_UNSEEN_CHANGES.format(column.name))
            if number is None and not window.offset and not window.lag:
                findings.limits.append(_ONLY_COUNTED.format(column.name))
        kept.update(self.database.remember(self.connection, self.table, self.origin, self.where))

    # -- rows that are known ---------------------------------------------------------

    def _ties(self, column: Column, after: str, found: int, rows: int) -> Iterator[Part]:
        window, conditions, newer = self.window, (Condition(column.name, "=", after),), rows > 0
        compared = self._compared("point", conditions, found, window.ties, window.ties_counted, column)
        self._say_of_ties(column, compared, rows)
        if compared.new:
            counted = not newer and found > TIES_TOLD_APART
            if newer:
                window.findings.kept["again"] += found
            self.known.append(found)
            yield Part(conditions, found, upto=after, boundary=not newer, counted=counted, seen_key="point")

    def _unplaced(self, column: Column, top: str | None, rows: int, left: list[int]) -> Iterator[Part]:
        """Yield rows whose cursor is NULL or beyond ``top``, which never become the watermark.

        Appends to ``left`` how many of those moved earlier are no longer among them: they may have got an
        ordinary value since, and so be in the window.
        """
        window, none = self.window, Condition(column.name, "null")
        condition = none if top is None else Condition(column.name, "beyond", top)
        if top is None and not column.nullable:
            return
        found = self.count((condition,))
        beyond = self.count((Condition(column.name, ">", top),)) if found and top is not None else 0
        if not beyond:
            condition = none
        if not found and not window.nulls:
            return
        window.findings.kept["unplaced"] = found
        compared = self._compared("null", (condition,), found, window.nulls, window.nulls_counted, column)
        left.append(compared.gone)
        self._say_of_unplaced(column, compared, rows)
        if beyond:
            window.findings.notes.append(_beyond(beyond, column))
        if compared.new:
            seen = "null" if window.nulls else None
            counted = found > TIES_TOLD_APART
            self.known.append(found)
            yield Part((condition,), found, boundary=True, counted=counted, seen_key=seen)

    def _compared(
        self,
        kind: str,
        conditions: Sequence[Condition],
        found: int,
        known: int,
        counted: bool,
        column: Column,
    ) -> Compared:
        """Compare the rows with those moved earlier by digest, or by number if no digests are recorded."""
        window = self.window
        if counted or window.recall is None or found > TIES_TOLD_APART:
            if found != known:
                self._can_tell(column, known, found, counted=counted)
            return Compared(new=int(found != known))
        key = () if window.again else self.table.key
        rows = KnownRows(window.recall(kind) if known else {}, key)
        if not found:
            return rows.compare(())
        if not known:
            return Compared(new=found)
        shown = self.database.dialect
        names = ", ".join(
            f"{shown.select_expression(c)} AS {shown.quote(c.name)}" for c in self.table.columns
        )
        sql = self.select(names, self.where_of(conditions))
        return rows.compare(self.database.stream(self.connection, sql, self.table.columns))

    def _say_of_ties(self, column: Column, compared: Compared, rows: int) -> None:
        window, kept = self.window, self.window.findings.kept
        if window.on_missing == "ignore":
            return
        gone = compared.gone - (min(compared.new, compared.gone) if window.again else 0)
        gone = max(gone - self._rose(column, rows), 0)
        if rows or (window.again and compared.new):  # their digests are not recorded any more
            kept["drift"] = int(kept.get("drift", 0)) + gone
            kept["changes"] = int(kept.get("changes", 0)) + self._changed(compared)
        self._say(compared, gone, f"at the watermark's {column.name}")

    def _say(self, compared: Compared, gone: int, place: str) -> None:
        changed = self._changed(compared)
        parts = [f"{changed:,} changed and were not moved again: mode append"] if changed else []
        parts += [f"{gone:,} are gone"] if gone > 0 else []
        if parts:
            self._differs(f"of the rows {place}, {' and '.join(parts)}")

    def _changed(self, compared: Compared) -> int:
        return 0 if self.window.again or self.window.reshaped else compared.changed

    def _say_of_unplaced(self, column: Column, compared: Compared, rows: int) -> None:
        """Report changed and missing rows without a place in the order, except those now in the window."""
        window = self.window
        if window.on_missing == "ignore":
            return
        gone = compared.gone - (min(compared.new, compared.gone) if window.again else 0)
        self._say(compared, max(gone - rows, 0), f"without a place in the order of {column.name}")
        if 0 < gone <= rows and not window.again:
            window.findings.notes.append(
                f"{gone:,} rows that had no place in the order of {column.name} have one now, or are gone"
            )

    def _differs(self, text: str) -> None:
        self.window.findings.differs.append(text)
        if self.window.on_missing == "fail":
            raise PermanentError(
                f"{self.table.dataset.name}: {text}",
                hint="mode: replace reads all of it again; on_missing: report goes on and says so",
            )

    def _can_tell(self, column: Column, known: int, found: int, *, counted: bool) -> None:
        """Raise ``TiesUnknown`` if only a number is recorded and no row may be moved twice."""
        if counted and not self.window.again:
            raise TiesUnknown(
                f"{self.table.dataset.name}: {known:,} rows with one {column.name} were moved and now there "
                f"are {found:,}; beyond {TIES_TOLD_APART:,}, or once columns have changed, hdm does not know "
                "which ones",
                hint="write mode: merge or mode: replace, or choose a watermark that fewer rows share; "
                "watermark.lag keeps away from a value that still grows",
            )

    # -- the window --------------------------------------------------------------

    def _end(self, column: Column, after: str | None, top: str | None) -> tuple[str | None, int]:
        """Return the fixed end of the window and the number of rows in ``(after, end]``; None: no row."""
        dialect, name = self.database.dialect, self.database.dialect.comparable(column)
        placed = () if top is None else (Condition(column.name, "<=", top),)
        low = () if after is None else (Condition(column.name, ">", after),)
        filters = [self.where_of((*low, *placed))]
        if self.window.lag:
            lagged = dialect.minus(f"MAX({dialect.quote(column.name)})", self.window.lag, column)
            filters.append(f"{name} <= ({self.select(lagged, self.where_of(placed))})")
        horizon = self.database.horizon(self.connection, self.table, column, utc=self.window.utc)
        if horizon is not None:
            filters.append(f"{name} < {horizon}")
        most = dialect.text_of(f"MAX({dialect.quote(column.name)})", column)
        counted = f"COUNT({dialect.quote(column.name)})"
        high, rows = self.one(self.select(f"{most}, {counted}", all_of(filters)))
        if len(filters) > 1:
            self.window.findings.kept["held_back"] = self.count((*low, *placed)) - int(rows)
        return (None if high is None else str(high)), int(rows)

    def _up_to(
        self, column: Column, low: Condition | None, high: str, rows: int, *, matured: bool
    ) -> Iterator[Part]:
        at_end = (Condition(column.name, "=", high),)
        ties = self.count(at_end)
        self.window.findings.kept["ranges"] = rows - ties
        seen = "null" if matured else None
        if rows > ties:
            below = Condition(column.name, "<", high)
            columns = [column, *self.key_columns((column.name,))]
            for part in self.cut((), columns, low, below, rows - ties, watermark=True):
                yield Part(part.conditions, part.rows, part.upto, seen_key=seen)
        pieces = list(self.finer(at_end, self.key_columns((column.name,)), ties))
        for number, piece in enumerate(pieces, 1):
            upto = high if number == len(pieces) else None
            counted = ties > TIES_TOLD_APART
            yield Part(piece.conditions, piece.rows, upto, boundary=True, seen_key=seen, counted=counted)

    def _literal(self, column: Column, text: str) -> str:
        return self.database.dialect.literal(text, column)


_TEMPORAL = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)


def _beyond(rows: int, column: Column) -> str:
    what = "no number or infinite" if column.kind in FLOATS else "beyond what a watermark can be"
    return (
        f"{rows:,} rows have a {column.name} that is {what}: they are moved and known by digest, and the "
        "watermark stays below them"
    )
