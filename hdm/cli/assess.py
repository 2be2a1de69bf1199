"""The command ``hdm assess``: assesses a migration before it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hdm.api.catalog import Scope
from hdm.catalog.assess import Assessment, assess
from hdm.catalog.assess_html import duration, to_html
from hdm.cli.catalog_scope import open_scope, scope_options
from hdm.cli.output import json_text, say, say_lines, size
from hdm.planning.open_state import recall_state


@click.command()
@scope_options
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), help="Rows per second (default: as measured)."
)
@click.option("--html", type=click.Path(dir_okay=False), help="Write a page with drawings.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, allow_dash=True), help="Write JSON; - prints it."
)
def command_assess(rate: float | None, html: str | None, json_file: str | None, **options: Any) -> int:
    """Assess a migration: tables, sizes, types at risk, work for a person, order and time of loading."""
    scope = open_scope(**options)
    measured = None if rate else _measured(scope)
    source = "given" if rate else "measured in earlier runs"
    made = [assess(one.crawled, one.mapped, rate or measured, source) for one in scope.batches]
    if html:
        for number, one in enumerate(made):
            path = Path(html) if len(made) == 1 else Path(html).with_stem(f"{Path(html).stem}_{number + 1}")
            path.write_text(to_html(one), encoding="utf-8")
    if json_file:
        body: Any = [one.to_dict() for one in made]
        text = json_text(body[0] if len(body) == 1 else body, indent=1)
        if json_file == "-":
            say_lines(text)
            return 0
        Path(json_file).write_text(f"{text}\n", encoding="utf-8")
    for one in made:
        _print(one)
    return 0


def _measured(scope: Scope) -> float | None:
    """Return the rows per second of recent runs of the manifest; None if none is recorded."""
    if scope.plan is None:
        return None
    state = recall_state(scope.plan, scope.profiles)
    if state is None:
        return None
    with state:
        return state.crawls.throughput()


def _print(one: Assessment) -> None:
    say(f"{one.source} to {one.target}")
    much = size(one.bytes) if one.sized else "size unknown"
    say(f"  {len(one.tables):,} tables, {one.rows:,} rows, {much} (estimates)")
    say("  " + ", ".join(f"{number} {fate}" for fate, number in one.counts.items()))
    grave = sum(1 for risk in one.risks if risk.grave)
    say(f"  {len(one.risks)} columns with another type, {grave} of which may change values")
    say(f"  {len(one.waves)} waves: " + ", ".join(str(len(wave)) for wave in one.waves) + " tables")
    rate = f"{one.rate:,.0f} rows/s, {one.measured or 'assumed: give --rate'}"
    say(f"  {duration(one.seconds)} to move ({rate}), {duration(one.minutes_of_work * 60)} of work for gaps")
