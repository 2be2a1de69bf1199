"""Reads a sheet, or a range of one, of an Excel or OpenDocument workbook through python-calamine.

A formula counts by the value that the workbook stores for it, since nothing here computes. Numbers are what
Excel has, 64-bit floats; a declared decimal gets the digits that the shortest spelling of the float has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, BinaryIO

import pyarrow as pa

from hdm.arrow.batches import silent
from hdm.errors import CorruptFile, UsageError
from hdm.files.formats import Format, RowOffsets, typed
from hdm.files.formats.csv_grammar import wrong_header
from hdm.files.formats.declared import Declared, DeclaredColumn, ExcelOptions, by_names
from hdm.files.formats.excel_errors import cells_with_errors
from hdm.files.formats.records import Parsed, Records, as_table
from hdm.model import Column, Kind

_ROWS = 8_192
_CORNERS = re.compile(r"\$?([A-Za-z]+)\$?(\d+):\$?([A-Za-z]+)\$?(\d*)")
_TYPES: dict[type, str] = {
    bool: "boolean", int: "float64", float: "float64", str: "text", datetime: "timestamp(6)", date: "date",
    time: "time(6)",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Grid:
    """The names of a table's columns, and its rows."""

    names: list[str]
    rows: list[list[Any]]


class Excel(Records):
    """The format of workbooks: .xlsx, .xlsm, .xlsb, .xls and .ods; a workbook's sheet is held in memory."""

    name = "excel"
    suffix = ".xlsx"
    suffixes = (".xlsm", ".xlsb", ".xls", ".ods")
    writes = False
    describes_itself = True

    def __init__(self, delimiter: str | None = None) -> None:
        super().__init__(delimiter)
        self._options = ExcelOptions()
        self._columns: tuple[DeclaredColumn, ...] | None = None

    def declared(self, how: Declared) -> Format:
        """Return the format with the sheet, the range and the columns that the conf declares."""
        made = type(self)(self.delimiter)
        made._options, made._columns = how.excel or ExcelOptions(), how.columns
        if not made._options.header and not made._columns:
            raise UsageError(
                "excel: {header: false} gives the columns no names", hint="write columns:, in order"
            )
        return made

    def columns(self, stream: BinaryIO, compression: str) -> tuple[Column, ...]:
        """Return the declared columns, and for the others the one type that all their cells have.

        Raises ``CorruptFile`` for a column that has cells of several types and is not declared.
        """
        return tuple(one.column for one in self._typed(self._grid(stream)))

    def parsed(self, stream: BinaryIO, compression: str, first: int, marks: RowOffsets | None) -> Parsed:
        """Yield the sheet's rows as Arrow tables with the columns' types."""
        grid = self._grid(stream)
        columns = self._typed(grid)
        for row in range(first // _ROWS * _ROWS, len(grid.rows), _ROWS):
            part = grid.rows[row : row + _ROWS]
            arrays = [
                _array([cells[place] for cells in part], column, row + 1)
                for place, column in enumerate(columns)
            ]
            yield row, as_table(arrays, [one.column for one in columns])

    # -- inside ----------------------------------------------------------------

    def _grid(self, stream: BinaryIO) -> _Grid:
        sheet = self._sheet(stream)
        top, left, bottom, right = self._corners(sheet)
        for letters, row in cells_with_errors(stream, sheet.name):
            if top < row <= bottom + 1 and left <= _number(letters) <= right:
                raise CorruptFile(
                    f"cell {letters}{row} of sheet {sheet.name} holds an error", hint="mend its formula"
                )
        rows = [cells[left : right + 1] for cells in _cells(sheet)[top : bottom + 1]]
        width = max(map(len, rows), default=0)
        rows = [cells + [""] * (width - len(cells)) for cells in rows]
        if not self._options.header:
            names = [one.name for one in self._columns or ()]
            if rows and len(names) != width:
                raise CorruptFile(
                    f"the table has {width:,} columns, and columns: {len(names):,}", hint="correct one"
                )
            return _Grid(names, _filled(rows))
        if not rows:
            raise CorruptFile("the sheet has no cells there", hint="correct excel: {sheet: ..., range: ...}")
        names = ["" if cell in ("", None) else str(cell) for cell in rows[0]]
        if wrong := wrong_header(names):
            raise CorruptFile(wrong, hint="mend the header, or write excel: {range: ...} or {header: false}")
        return _Grid(names, _filled(rows[1:]))

    def _sheet(self, stream: BinaryIO) -> Any:
        import python_calamine

        stream.seek(0)
        try:
            book = python_calamine.CalamineWorkbook.from_filelike(stream)
            names, wanted = book.sheet_names, self._options.sheet
            if wanted is None and len(names) == 1:
                wanted = names[0]
            if wanted in names:
                return book.get_sheet_by_name(wanted)
        except (python_calamine.CalamineError, OSError, ValueError) as error:
            raise CorruptFile(
                "a file is not readable as a workbook", hint="save it again as .xlsx"
            ) from silent(error)
        shown = ", ".join(names)
        if wanted is None:
            raise UsageError(f"the workbook has several sheets: {shown}", hint="write excel: {sheet: ...}")
        raise UsageError(
            f"the workbook has no sheet {wanted}: it has {shown}", hint="correct excel: {sheet: ...}"
        )

    def _corners(self, sheet: Any) -> tuple[int, int, int, int]:
        """Return the first row and column of the table, and the last ones, counted from 0."""
        start, end = sheet.start or (0, 0), sheet.end or (-1, -1)
        found = _CORNERS.fullmatch(self._options.range or "")
        if found is None:
            return start[0], start[1], end[0], end[1]
        left, top, right, bottom = found.groups()
        return int(top) - 1, _number(left), int(bottom) - 1 if bottom else end[0], _number(right)

    def _typed(self, grid: _Grid) -> tuple[DeclaredColumn, ...]:
        columns = by_names(grid.names, self._columns, "the sheet")
        known = {one.name for one in self._columns or ()}
        return tuple(
            column if column.name in known else _of_type(column, _uniform(grid, place, column.name))
            for place, column in enumerate(columns)
        )


def _of_type(column: DeclaredColumn, declared: str) -> DeclaredColumn:
    return column.model_copy(update={"type": declared})


def _cells(sheet: Any) -> list[list[Any]]:
    found: list[list[Any]] = sheet.to_python(skip_empty_area=False)
    return found


def _filled(rows: list[list[Any]]) -> list[list[Any]]:
    """Return the rows without empty ones."""
    return [cells for cells in rows if any(cell != "" for cell in cells)]


def _number(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _uniform(grid: _Grid, place: int, name: str) -> str:
    """Return the type of all cells of a column; text if it has none."""
    found: dict[str, int] = {}
    for row, cells in enumerate(grid.rows):
        if cells[place] != "":
            found.setdefault(_TYPES.get(type(cells[place]), type(cells[place]).__name__), row)
    if {*found} == {"date", "timestamp(6)"}:
        return "timestamp(6)"
    if len(found) > 1:
        kinds = " and ".join(found)
        raise CorruptFile(
            f"column {name} has cells of several types: {kinds}",
            hint="declare its type under columns:, or mend it",
        )
    made = next(iter(found), "text")
    if made not in _TYPES.values():
        raise CorruptFile(f"column {name} has cells of type {made}", hint="declare it as text under columns:")
    return made


def _array(cells: Sequence[Any], column: DeclaredColumn, record: int) -> pa.Array:
    texts = [_text(cell, column) for cell in cells]
    return typed.values(pa.array(texts, pa.string()), column, record)


def _text(cell: Any, column: DeclaredColumn) -> str | None:
    """Return a cell as text of the column's type; None if it is empty."""
    if cell == "" or cell is None:
        return None
    kind = column.column.kind
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, int | float):
        whole = isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**63
        return str(int(cell)) if whole or isinstance(cell, int) else repr(cell)
    if isinstance(cell, datetime):
        if kind is Kind.DATE and cell.time() == time.min:
            return cell.date().isoformat()
        return cell.isoformat(sep=" ")
    if isinstance(cell, date):
        return f"{cell.isoformat()} 00:00:00" if kind is Kind.TIMESTAMP else cell.isoformat()
    return cell.isoformat() if isinstance(cell, time) else str(cell)
