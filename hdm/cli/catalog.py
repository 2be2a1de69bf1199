"""The command ``hdm catalog``: crawls, maps, compares and creates whole schemas."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hdm.catalog.model import Relation, Schema, dotted, schema_to_json
from hdm.catalog.report import Report, report_to_json
from hdm.cli.catalog_scope import open_scope, scope_options
from hdm.cli.options import json_option
from hdm.cli.output import emit, say, say_json, size


@click.group()
def command_catalog() -> None:
    """Crawl, map, compare and create whole schemas of a source and its target."""


@command_catalog.command("crawl")
@scope_options
@json_option
def crawl(as_json: bool, **options: Any) -> int:
    """List the tables and other objects of the source, and record them in the state database."""
    for schema in open_scope(**options, one_sided=True).crawl():
        if as_json:
            say_json(json.loads(schema_to_json(schema)))
            continue
        emit([_row(one) for one in schema.relations], as_json=False, empty="no tables")
        say(_sums(schema))
    return 0


@command_catalog.command("map")
@scope_options
@click.option(
    "--out", type=click.Path(file_okay=False), default="ddl", show_default=True, help="Folder of the files."
)
@json_option
def map_(out: str, as_json: bool, **options: Any) -> int:
    """Write the target's DDL into files for review, with a report of every gap."""
    for one in open_scope(**options).map(Path(out)):
        _say(one.report, as_json)
        if not as_json:
            say(f"{one.files} files in {one.folder}")
    return 0


@command_catalog.command("diff")
@scope_options
@json_option
def diff(as_json: bool, **options: Any) -> int:
    """Show how the target's schema differs from the mapped one; exit code 1 if it does."""
    rows = [asdict(one) for one in open_scope(**options).diff()]
    emit(rows, as_json=as_json, empty="no difference")
    return 1 if rows else 0


@command_catalog.command("create")
@scope_options
@click.option(
    "--phase", type=click.Choice(["before", "after", "all"]), default="all", show_default=True,
    help="before: schemas, sequences, tables; after: keys, indexes, views, comments.",
)  # fmt: skip
@json_option
def create(phase: str, as_json: bool, **options: Any) -> int:
    """Create the objects that the target lacks. Exit code 1 if it refused any."""
    refused = 0
    for one in open_scope(**options).create(phase):
        refused += len(one.refused)
        _say(one.report, as_json)
        if not as_json:
            say(f"{len(one.applied)} objects applied, {refused} of them refused")
    return 1 if refused else 0


@command_catalog.command("accept")
@scope_options
@click.argument("tables", nargs=-1)
def accept_(tables: tuple[str, ...], **options: Any) -> int:
    """Accept the source's TABLES (default: all of them) as they are now, for later runs. A table that
    was dropped is accepted as gone; the target keeps it.

    A change that hdm refused to make on the target is still to be made by hand.
    """
    for names in open_scope(**options).accept(tables):
        say(f"{len(names)} tables accepted: " + ", ".join(names))
    return 0


def _row(one: Relation) -> dict[str, Any]:
    return {
        "table": dotted(one.path),
        "rows (estimate)": one.table.rows,
        "bytes": size(one.table.bytes),
        "columns": len(one.table.columns),
        "key": ", ".join(one.table.key),
        "unique": len(one.uniques),
        "foreign": len(one.foreign_keys),
        "checks": len(one.checks),
        "indexes": len(one.indexes),
    }


def _sums(schema: Schema) -> str:
    parts = [
        f"{len(schema.relations)} tables",
        f"{len(schema.views)} views",
        f"{len(schema.sequences)} sequences",
    ]
    if schema.unread:
        parts.append(f"{len(schema.unread)} routines and triggers, which are not read")
    return ", ".join(parts)


def _say(report: Report, as_json: bool) -> None:
    if as_json:
        say_json(json.loads(report_to_json(report)))
        return
    emit([{"kind": kind, **counts} for kind, counts in report.by_kind.items()], as_json=False)
    total = report.counts
    fates = ", ".join(f"{number:,} {fate}" for fate, number in total.items())
    say(f"{report.source} to {report.target}: {fates}")
    for gap in report.gaps[:20]:
        say(f"  {gap.status.value}: {gap.kind} {gap.name}: {gap.reason}")
    if len(report.gaps) > 20:
        say(f"  and {len(report.gaps) - 20} more: see report.md")
