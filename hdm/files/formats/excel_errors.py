"""Finds cells with errors in .xlsx workbooks, which python-calamine gives as empty cells.

https://learn.microsoft.com/en-us/office/open-xml/spreadsheet/structure-of-a-spreadsheetml-document says how
sheets are stored: a cell with an error has the attribute ``t="e"``.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from typing import BinaryIO
from xml.etree import ElementTree

_BLOCK = 1024 * 1024
_CELL = re.compile(rb"<(?:\w+:)?c\s([^<>]*)>")
_IS_ERROR = re.compile(rb"""(?:^|\s)t\s*=\s*["']e["']""")
_PLACE = re.compile(rb"""(?:^|\s)r\s*=\s*["']([A-Z]+)([0-9]+)["']""")
_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def cells_with_errors(stream: BinaryIO, sheet: str) -> Iterator[tuple[str, int]]:
    """Yield column letters and row number of each cell of a sheet that holds an error.

    Yields nothing for workbooks that are no .xlsx or .xlsm.
    """
    stream.seek(0)
    if not zipfile.is_zipfile(stream):
        return
    with zipfile.ZipFile(stream) as book:
        part = _part_of(book, sheet)
        if part is None:
            return
        with book.open(part) as file:
            rest = b""
            while block := file.read(_BLOCK):
                text = rest + block
                for found in _CELL.finditer(text):
                    place = _PLACE.search(found[1])
                    if _IS_ERROR.search(found[1]) and place:
                        yield place[1].decode(), int(place[2])
                cut = text.rfind(b"<")
                rest = text[cut:] if cut >= 0 and b">" not in text[cut:] else b""


def _part_of(book: zipfile.ZipFile, sheet: str) -> str | None:
    names = book.namelist()
    if "xl/workbook.xml" not in names or "xl/_rels/workbook.xml.rels" not in names:
        return None
    tree = ElementTree.fromstring(book.read("xl/workbook.xml"))  # noqa: S314 -- calamine has read it before
    found = [one.get(_ID) for one in tree.iter() if one.tag.endswith("}sheet") and one.get("name") == sheet]
    links = ElementTree.fromstring(book.read("xl/_rels/workbook.xml.rels"))  # noqa: S314 -- as above
    for link in links:
        if found and link.get("Id") == found[0]:
            target = (link.get("Target") or "").removeprefix("/")
            part = target if target.startswith("xl/") else f"xl/{target}"
            return part if part in names and part.endswith(".xml") else None
    return None
