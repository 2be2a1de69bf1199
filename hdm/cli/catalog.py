"""hdm catalog: crawl, map, compare and create whole schemas."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from hdm.catalog.ddl_files import ordered, write_files
from hdm.catalog.diff import compare, missing_part, unfinished
from hdm.catalog.model import Path as CatalogPath
from hdm.catalog.model import Relation, Schema, dotted, schema_to_json
from hdm.catalog.report import Report, report_to_json
from hdm.catalog.writers import AFTER_LOAD, BEFORE_LOAD, PHASES
from hdm.cli.catalog_scope import open_scope, scope_options
from hdm.cli.options import json_option
from hdm.cli.output import emit, say, say_json, size
from hdm.config.located import suggest
from hdm.errors import UsageError
from hdm.model import Dataset
from hdm.orchestrators.auto_batch import Batch, accept, bodies


@click.group()
def command_catalog() -> None:
    """Crawl, map, compare and create whole schemas."""


@command_catalog.command("crawl")
@scope_options
@json_option
def crawl(as_json: bool, **options: Any) -> int:
    """List what the source holds, and keep it in the state database."""
    scope = open_scope(**options, one_sided=True)
    with scope.recorded() as kept:
        for batch in scope.batches:
            if kept is not None:
                state, run_id = kept
                state.record_crawl(run_id, bodies(batch.crawled), _views(batch))
            if as_json:
                say_json(json.loads(schema_to_json(batch.crawled)))
                continue
            emit([_row(one) for one in batch.crawled.relations], as_json=False, empty="no tables")
            say(_sums(batch.crawled))
    return 0


@command_catalog.command("map")
@scope_options
@click.option(
    "--out", type=click.Path(file_okay=False), default="ddl", show_default=True, help="Folder of the files."
)
@json_option
def map_(out: str, as_json: bool, **options: Any) -> int:
    """Write the target's DDL into files for review, with a report of every gap."""
    scope = open_scope(**options)
    for batch in scope.batches:
        folder = Path(out) if len(scope.batches) == 1 else Path(out) / batch.template.source.name
        files = write_files(batch.mapped, folder, batch.crawled.views)
        _say(batch.mapped.report, as_json)
        if not as_json:
            say(f"{len(files)} files in {folder}")
    return 0


@command_catalog.command("diff")
@scope_options
@json_option
def diff(as_json: bool, **options: Any) -> int:
    """Show how the target differs from what the source asks for; exit code 1 if it does."""
    scope = open_scope(**options)
    rows = []
    for batch in scope.batches:
        if batch.held is None:
            raise UsageError(f"{batch.template.sink.type} has no catalogue to compare with")
        rows += _differences(batch, batch.held)
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
    """Make on the target what it lacks. Exit code 1 if it refused anything."""
    scope = open_scope(**options)
    phases = {"before": BEFORE_LOAD, "after": AFTER_LOAD, "all": PHASES}[phase]
    refused = 0
    with scope.recorded() as kept:
        for batch in scope.batches:
            if batch.target is None:
                raise UsageError(
                    "the target is named without a connection",
                    hint="write --to SYSTEM:CONNECTION, or use: map",
                )
            applied = make(batch, phases)
            if kept is not None:
                state, run_id = kept
                state.record_crawl(run_id, bodies(batch.crawled), _views(batch))
                state.keep_objects(run_id, "ddl", _applied(batch, applied))
            refused += sum(1 for one in applied if one.error)
            _say(batch.mapped.report, as_json)
            if not as_json:
                say(f"{len(applied)} objects applied, {refused} of them refused")
    return 1 if refused else 0


@command_catalog.command("accept")
@scope_options
@click.argument("tables", nargs=-1)
def accept_(tables: tuple[str, ...], **options: Any) -> int:
    """Accept the source's TABLES (default: all that wait) as they are now, for later runs. A table that
    was dropped is accepted as gone; the target keeps it.

    The target is yours to alter: what was refused automatically stays to be done by hand.
    """
    scope = open_scope(**options)
    with scope.recorded() as kept:
        if kept is None:
            raise UsageError("accept needs a manifest: what is accepted is kept in its state database")
        state, run_id = kept
        _must_be_known(tables, scope.batches)
        for batch in scope.batches:
            wanted = {one.path: one for one in batch.crawled.relations if _is_named(one.path, tables)}
            gone = [path for path in batch.dropped if _is_named(path, tables)]
            accept(state, run_id, batch, wanted, gone)
            names = [dotted(path) for path in wanted] + [f"{dotted(path)} (dropped)" for path in gone]
            say(f"{len(names)} tables accepted: " + ", ".join(names))
    return 0


def _is_named(path: CatalogPath, tables: Sequence[str]) -> bool:
    return not tables or dotted(path) in tables or path[-1] in tables


def _must_be_known(tables: Sequence[str], batches: Sequence[Batch]) -> None:
    """Raises ``UsageError`` for a name that is neither in the source nor was accepted before."""
    known = [one.path for batch in batches for one in batch.crawled.relations]
    known += [path for batch in batches for path in batch.dropped]
    for name in tables:
        if not any(_is_named(path, [name]) for path in known):
            raise UsageError(
                f"{name} is no table of the source, and none that was accepted before",
                hint=suggest(name, [dotted(path) for path in known]) or "the source has no tables",
            )


def make(batch: Batch, phases: tuple[str, ...]) -> list[Any]:
    """Apply what the target lacks, of some phases."""
    assert batch.target is not None
    schema, held = batch.mapped.schema, batch.held or Schema(batch.mapped.schema.system)
    first = [
        one for one in ordered(missing_part(schema, held)) if one.phase in BEFORE_LOAD and one.phase in phases
    ]
    applied = batch.target.apply(first, batch.mapped)
    rest = unfinished(schema, batch.target.crawl(batch.mine()))
    after = [one for one in ordered(rest) if one.phase in AFTER_LOAD and one.phase in phases]
    return applied + batch.target.apply(after, batch.mapped)


def _differences(batch: Batch, held: Schema) -> list[dict[str, str]]:
    wanted = batch.mapped.schema
    rows = [
        {"change": one.change.value, "object": dotted(one.path), "column": one.column, "detail": one.detail}
        for one in compare(wanted, held)
    ]
    there = batch.target.held(batch.mine()) if batch.target else held
    rest = unfinished(_present(wanted, held), there)
    rows += _missing_keys(rest, there)
    seen: set[tuple[str, str]] = set()
    for one in ordered(rest):
        if one.phase not in AFTER_LOAD or one.phase == "counters" or one.kind == "foreign key":
            continue
        if (one.kind, one.name) not in seen:
            seen.add((one.kind, one.name))
            rows.append({"change": f"no {one.kind}", "object": one.name, "column": "", "detail": ""})
    return rows


def _missing_keys(wanted: Schema, held: Schema) -> list[dict[str, str]]:
    """The foreign keys that tables lack, also where a system knows them as part of the table alone."""
    theirs = {one.path: {(key.columns, key.target) for key in one.foreign_keys} for one in held.relations}
    return [
        {
            "change": "no foreign key",
            "object": dotted(one.path),
            "column": ", ".join(key.columns),
            "detail": f"to {dotted(key.target)}",
        }
        for one in wanted.relations
        for key in one.foreign_keys
        if (key.columns, key.target) not in theirs.get(one.path, set())
    ]


def _present(wanted: Schema, held: Schema) -> Schema:
    """``wanted`` without the tables that are not there at all."""
    there = {one.path for one in held.relations}
    return replace(wanted, relations=tuple(one for one in wanted.relations if one.path in there))


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


def _views(batch: Batch) -> dict[Dataset, dict[str, Any]]:
    return {batch.source.dataset(one.path): asdict(one) for one in batch.crawled.views}


def _applied(batch: Batch, applied: list[Any]) -> dict[Dataset, dict[str, Any]]:
    target = batch.target
    assert target is not None
    namespace = target.database.dataset(target.database.default_path(("t",))).namespace
    found: dict[Dataset, dict[str, Any]] = {}
    for one in applied:
        named = Dataset(namespace, f"{one.statement.kind} {one.statement.name}"[:400])
        found[named] = {"sql": one.statement.sql, "error": one.error}
    return found
