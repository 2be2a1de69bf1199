"""Writes DDL files for review: one for each phase of the load, the new names, and the report."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from hdm.catalog.mapper import MappedSchema
from hdm.catalog.model import Schema, View, dotted
from hdm.catalog.report import report_to_json, report_to_markdown
from hdm.catalog.writers import PHASES, Statement, writer_for


def statements_of(mapped: MappedSchema) -> list[Statement]:
    """Return every DDL statement of a mapped schema, in the order in which they must be applied."""
    return ordered(mapped.schema)


def ordered(schema: Schema) -> list[Statement]:
    """Return every DDL statement of a schema in its system's SQL, in the order of application."""
    return sorted(writer_for(schema).statements(), key=lambda one: PHASES.index(one.phase))


def script(statements: Iterable[Statement]) -> str:
    """Return statements as the text of one SQL file."""
    return "".join(f"-- {_line(one.kind)} {_line(one.name)}\n{one.sql};\n\n" for one in statements)


def write_files(mapped: MappedSchema, folder: Path, views: Iterable[View] = ()) -> list[Path]:
    """Write the DDL of each phase, ``names.json``, ``report.json`` and ``report.md``; return their paths.

    Makes the folder; removes the file of a phase that has no statements. ``views`` are the source's views;
    the SQL of those that are manual (a person must translate them) is written, unchanged and commented out,
    to a file of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    statements, written = statements_of(mapped), []
    for number, phase in enumerate(PHASES, 1):
        mine = [one for one in statements if one.phase == phase]
        place = folder / f"{number:02d}_{phase}.sql"
        if mine:
            written.append(_put(place, script(mine)))
        else:
            place.unlink(missing_ok=True)
    left = [one for one in views if one.path not in mapped.tables]
    if left:
        text = "".join(f"-- view {_line(dotted(one.path))}\n{_commented(one.sql)}\n\n" for one in left)
        written.append(_put(folder / "99_manual_views.sql", text))
    written.append(_put(folder / "names.json", _names(mapped)))
    written.append(_put(folder / "report.json", report_to_json(mapped.report)))
    written.append(_put(folder / "report.md", report_to_markdown(mapped.report)))
    return written


def _names(mapped: MappedSchema) -> str:
    body = {
        dotted(old): {"table": dotted(new), "columns": dict(mapped.columns.get(old, {}))}
        for old, new in sorted(mapped.tables.items())
    }
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def _put(place: Path, text: str) -> Path:
    place.write_text(text, encoding="utf-8")
    return place


def _line(text: str) -> str:
    return " ".join(text.split())


def _commented(sql: str) -> str:
    return "\n".join(f"-- {line}" for line in sql.splitlines())
