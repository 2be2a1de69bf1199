"""The command ``hdm doctor``: checks drivers, connections, grants, clock and versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click

from hdm import api
from hdm.cli.options import json_option, manifest_options, site_option
from hdm.cli.output import emit, say


@click.command()
@manifest_options
@site_option
@json_option
def command_doctor(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, site: str | None, as_json: bool
) -> int:
    """Check everything that MANIFEST needs; exit code 1 if something is wrong."""
    rows = [asdict(one) for one in api.open(manifest, env, profiles, site).doctor()]
    emit(rows if as_json else list(_shortened(_grouped(rows))), as_json=as_json)
    wrong = [row for row in rows if not row["ok"]]
    if not as_json:
        say(_verdict(rows, wrong))
    return 1 if wrong else 0


def _grouped(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merge findings that differ only in what they are about into one row."""
    about: dict[tuple[str, bool, str], list[str]] = {}
    for row in rows:
        names = about.setdefault((row["what"], row["ok"], row["detail"]), [])
        if row["about"] not in names:
            names.append(row["about"])
    return [
        {"about": _few(names), "what": what, "ok": ok, "detail": detail}
        for (what, ok, detail), names in about.items()
    ]


def _shortened(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Merge good findings about more than three tables of one component into one row."""
    alike: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["ok"]:
            alike.setdefault((row["about"], row["what"]), []).append(row["detail"])
    for row in rows:
        details = alike.get((row["about"], row["what"]), []) if row["ok"] else []
        if len(details) <= 3:
            yield row
        elif details[0] == row["detail"]:
            yield {**row, "detail": _few(details)}


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _verdict(rows: Sequence[dict[str, Any]], wrong: Sequence[dict[str, Any]]) -> str:
    if not wrong:
        return f"all well: {len(rows)} things were looked at; hdm plan shows what a run would move"
    first = wrong[0]
    return f"{len(wrong)} of {len(rows)} things are wrong, first of all {first['about']}: {first['what']}"
