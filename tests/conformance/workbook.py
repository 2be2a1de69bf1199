"""Writes a small .xlsx by hand, with what libraries do not write: errors, and values stored for formulas."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DAY_ZERO = datetime(1899, 12, 30)


class Formula(NamedTuple):
    """A formula, and the value that the workbook stores for it."""

    text: str
    stored: Any


class Error(NamedTuple):
    """A cell with an error, such as ``#DIV/0!``."""

    text: str


def workbook(**sheets: list[list[Any]]) -> bytes:
    """The bytes of a workbook with these sheets; the first cell of the first row is A1, None is no cell."""
    out = io.BytesIO()
    numbers = range(1, len(sheets) + 1)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        kinds = "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" '
            'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
            for n in numbers
        )
        file.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{_PACKAGE}/content-types">'
            '<Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Override PartName="/xl/workbook.xml" ContentType='
            '"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
            '<Override PartName="/xl/styles.xml" ContentType='
            f'"application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/>{kinds}</Types>',
        )
        file.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
            f'Type="{_REL}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        named = "".join(
            f'<sheet name="{escape(name)}" sheetId="{n}" r:id="r{n}"/>'
            for n, name in zip(numbers, sheets, strict=True)
        )
        file.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_REL}"><sheets>{named}</sheets></workbook>',
        )
        linked = "".join(
            f'<Relationship Id="r{n}" Type="{_REL}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in numbers
        )
        file.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{_PACKAGE}/relationships">{linked}<Relationship Id="s" '
            f'Type="{_REL}/styles" Target="styles.xml"/></Relationships>',
        )
        file.writestr(
            "xl/styles.xml",
            f'<styleSheet xmlns="{_MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs>'
            "</styleSheet>",
        )
        for n, rows in zip(numbers, sheets.values(), strict=True):
            lines = "".join(f"<row r='{y}'>{_row(cells, y)}</row>" for y, cells in enumerate(rows, 1))
            file.writestr(
                f"xl/worksheets/sheet{n}.xml",
                f'<worksheet xmlns="{_MAIN}"><sheetData>{lines}</sheetData></worksheet>',
            )
    return out.getvalue()


def _row(cells: list[Any], y: int) -> str:
    return "".join(_cell(value, f"{chr(65 + x)}{y}") for x, value in enumerate(cells) if value is not None)


def _cell(value: Any, at: str) -> str:
    formula = ""
    if isinstance(value, Formula):
        formula, value = f"<f>{escape(value.text)}</f>", value.stored
    if isinstance(value, Error):
        return f'<c r="{at}" t="e">{formula}<v>{value.text}</v></c>'
    if isinstance(value, bool):
        return f'<c r="{at}" t="b">{formula}<v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{at}">{formula}<v>{value!r}</v></c>'
    if isinstance(value, date):
        moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        days = (moment - _DAY_ZERO).total_seconds() / 86_400
        return f'<c r="{at}" s="1">{formula}<v>{days!r}</v></c>'
    return f'<c r="{at}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
