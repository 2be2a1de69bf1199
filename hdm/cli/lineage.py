"""The command ``hdm lineage``: shows where a table came from and went to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from hdm import api
from hdm.cli.options import json_option, manifest_options
from hdm.cli.output import emit


@click.command()
@click.argument("table")
@manifest_options
@json_option
@click.option("--chunks", is_flag=True, help="One line for each chunk and file instead of each hop.")
@click.option("--columns", is_flag=True, help="One line for each column instead of each hop.")
@click.option("--row", metavar="KEY", help="The chunks that brought one row: VALUE, or COLUMN=VALUE,...")
def command_lineage(
    table: str,
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    as_json: bool,
    chunks: bool,
    columns: bool,
    row: str | None,
) -> int:
    """Show the tables from which TABLE was loaded, and those that were loaded from it.

    TABLE is a dataset's name or the end of it: flights, main.flights, shop.public.orders. With --row, show
    which chunks, files, runs, manifest and commit brought the row with this key: "yes" where the ranges on
    record say so, "perhaps" with the reason where they cannot. Ends with 1 if no chunk can have brought it.
    """
    project = api.open(manifest, env, profiles)
    rows: Sequence[dict[str, Any]]
    if row is not None:
        brought = [asdict(one) for one in project.row_lineage(table, row)]
        emit(
            brought if as_json else _brought(brought),
            as_json=as_json,
            empty="no chunk on record holds this row",
        )
        return 0 if brought else 1
    if chunks:
        rows = project.chunk_lineage(table)
    elif columns:
        rows = project.column_lineage(table)
        rows = rows if as_json else _columns(rows)
    else:
        hops = [asdict(one) for one in project.lineage(table)]
        rows = hops if as_json else _hops(hops)
    emit(rows, as_json=as_json, empty="nothing was moved yet")
    return 0


def _brought(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what people ask first of each chunk; --json has all."""
    return [
        {
            "brought": one["brought"],
            "chunk": one["chunk"],
            "into": one["into"],
            "rows where": one["rows_where"],
            "committed": one["committed_at"],
            "run": one["run"],
            "manifest": f"{one['manifest']} {one['manifest_sha256'][:12]}",
            "commit": (one["commit"] or "")[:12],
            "files": ", ".join(one["files"]),
            "why": one["why"],
        }
        for one in rows
    ]


def _columns(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep one row for each pair of source and target column, as the newest run recorded it.

    ``-`` stands for a value that comes from no column, ``?`` for an unknown source column.
    """
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        name = row["source_column"] or ("?" if row["transform_type"] == "UNKNOWN" else "-")
        kept[row["source"], row["source_column"], row["target"], row["sink_column"]] = {
            "column": f"{row['source']}.{name}",
            "type": row["source_type"],
            "to": f"{row['target']}.{row['sink_column']}",
            "as": row["sink_type"],
            "how": str(row["transform_subtype"] or "").lower(),
            "masked": bool(row["masking"]),
            "lossy": bool(row["lossy"]),
            "by": row["expression"],
        }
    return list(kept.values())


def _hops(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep one row for each hop, in the order of flow, even if source and target have the same name."""
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        kept.setdefault((row["from_namespace"], row["from_name"], row["pipeline_key"]), _hop(row))
    return list(kept.values())


def _hop(row: dict[str, Any]) -> dict[str, Any]:
    """Return one hop as a table's row, the source's side first."""
    return {
        "from": _place(row["from_namespace"], row["from_name"]),
        "by": f"{row['source_type']} -> {row['sink_type']}",
        "to": _place(row["to_namespace"], row["to_name"]),
        "chunks": row["chunks"],
        "rows": row["rows"],
        "last": row["last_at"],
    }


def _place(namespace: str, name: str) -> str:
    """Return ``namespace/name``, with only the last folder of a long namespace."""
    scheme, _, rest = str(namespace).rpartition("://")
    short = rest.rstrip("/").rpartition("/")[2] if "/" in rest else rest
    return f"{scheme}://{short}/{name}" if scheme else f"{rest}:{name}"
