"""Compares each target of a manifest with its source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from hdm.api import recording
from hdm.api.selecting import select
from hdm.errors import HdmError, UsageError
from hdm.model import LinkSpec, Table
from hdm.orchestrators.drift import settle
from hdm.planning.preflight import Pipeline
from hdm.planning.sync_links import accepted
from hdm.project import Assembly
from hdm.proof.applying import Applied
from hdm.proof.compare import compare
from hdm.proof.pairing import Wishes
from hdm.proof.result import UNSTEADY, Comparison, Level
from hdm.proof.side import Side, StreamSide, sql_side
from hdm.runtime.syncing import through
from hdm.sql.sink import SqlSink
from hdm.state import RunInfo, StateManager

NOT_WANTED = "validate: none"
ELSEWHERE = "its source is not read at this site"
NO_TABLE = "its source finds no table"


@dataclass(frozen=True, slots=True)
class Validated:
    """The comparison of one target with its source, and the link that fills it.

    ``refused`` says why nothing was compared; None if it was. ``repaired`` says what was found and done
    before ``comparison``, if a repair was asked for.
    """

    link: str
    table: str
    comparison: Comparison | None
    refused: str | None = None
    repaired: Applied | None = None

    @property
    def exit_code(self) -> int:
        """0 if nothing differs, or if ``validate: none`` says that nothing is compared; else 1."""
        return 0 if self.equal or self.refused == NOT_WANTED else 1

    @property
    def equal(self) -> bool:
        """Whether the tables were compared and nothing differs."""
        return self.comparison is not None and self.comparison.equal


@dataclass(frozen=True, slots=True)
class Found:
    """The target of some links with all that a repair needs: both sides, and how they are compared.

    ``alive`` is the source without a watermark.
    """

    group: Sequence[Pipeline]
    sink: SqlSink
    source: Side
    target: Side
    wishes: Wishes
    alive: Side


Mend = Callable[[Found], Applied]
"""Makes a target equal to its source."""


def of_links(
    made: Assembly,
    chosen: Sequence[str],
    level: Level | None,
    show: int | None,
    *,
    declared: bool = False,
    mend: Mend | None = None,
) -> Iterator[Validated]:
    """Compare the targets of a manifest's links with their sources, one after the other.

    ``chosen`` are names or patterns of tables; without any, all. ``level`` overrides what the links declare.
    With ``declared``, only links that declare a level are compared. Links that share a target are compared
    together. ``mend`` makes each target equal to its source, at the level ``rows``.
    """
    found = made.preflight()
    said: Mapping[str, Sequence[str]] = {}
    with made.recall_state() or nullcontext() as state:
        if state is not None:
            found, said = _settled(state, found, made)
        info = made.run_info()
        wanted = select(found, chosen) if chosen else found
        read_on = {key for one in found for key in one.upstream_keys}
        groups: dict[tuple[str, ...], list[Pipeline]] = {}
        for one in found:
            if one.pipeline_key not in read_on or _wants(one.link):
                target = (one.target.dataset.namespace, one.target.dataset.name)
                groups.setdefault(target, []).append(one)
        for group in groups.values():
            if not any(one in wanted for one in group):
                continue
            if declared and not any(one.link.validate for one in group):
                continue
            before = recording.before(state, group)
            done = _noted(_validated(made, state, found, group, level, show, mend), group, said)
            if done.repaired is not None and done.repaired.until:
                before = replace(before, began=done.repaired.until)  # its last comparison is what counts
            yield _recorded(state, info, before, done)
        if not chosen:
            yield from _without_tables(made, found, declared=declared)


def _recorded(
    state: StateManager | None, info: RunInfo, before: recording.Before, one: Validated
) -> Validated:
    """Put a comparison on record; return it, with a note if that was refused."""
    if state is None or one.comparison is None:
        return one
    refused = recording.record(state, info, before, one.comparison)
    if refused is None:
        return one
    notes = (*one.comparison.notes, f"this comparison is not on record: {refused}")
    return replace(one, comparison=replace(one.comparison, notes=notes))


def _settled(
    state: StateManager, found: Sequence[Pipeline], made: Assembly
) -> tuple[list[Pipeline], dict[str, list[str]]]:
    """Return the pipelines as ``schema_policy`` leaves them, and by pipeline key what is to be said of them.

    A table that waits for a person is compared as it is: what its target lacks is a difference.
    """
    done = settle(state, [*found], made.links, made.orchestrator.weighed)
    moved = {one.pipeline_key: one for one in done.pipelines}
    said = {key: [why] for key, why in done.held.items()}
    for one in found:
        reads = {column.name for column in moved.get(one.pipeline_key, one).source.columns}
        left_out = [column.name for column in one.source.columns if column.name not in reads]
        said.setdefault(one.pipeline_key, []).extend(
            f"not compared: the link leaves out the column {name}" for name in left_out
        )
    return [moved.get(one.pipeline_key, one) for one in found], said


def _wants(link: LinkSpec) -> bool:
    """Whether a link says by ``validate:`` that its target is compared."""
    return bool(link.validate) and link.validate["level"] != Level.NONE


def _without_tables(made: Assembly, found: Sequence[Pipeline], *, declared: bool) -> Iterator[Validated]:
    """Yield a refusal for each link whose source finds no table: nothing was looked at."""
    with_tables = {one.link.key for one in found}
    for key, link in made.links.items():
        if key not in with_tables and (_wants(link.spec) or not declared):
            name = f"{link.spec.source.name} -> {link.spec.sink.name}"
            level = link.spec.validate.get("level")
            yield Validated(name, name, None, NOT_WANTED if level == Level.NONE else NO_TABLE)


def _noted(one: Validated, group: Sequence[Pipeline], said: Mapping[str, Sequence[str]]) -> Validated:
    notes = [text for each in group for text in said.get(each.pipeline_key, ())]
    if one.comparison is None or not notes:
        return one
    return replace(one, comparison=replace(one.comparison, notes=(*notes, *one.comparison.notes)))


def _validated(
    made: Assembly,
    state: StateManager | None,
    found: Sequence[Pipeline],
    group: Sequence[Pipeline],
    level: Level | None,
    show: int | None,
    mend: Mend | None,
) -> Validated:
    one = group[0]
    name = f"{one.link.source.name} -> {one.link.sink.name}"
    wishes = _wishes(group, level, show)
    if wishes.level is Level.NONE:
        return Validated(name, one.target.dataset.name, None, NOT_WANTED)
    sink = made.links[one.link.key].sink
    if not isinstance(sink, SqlSink):
        why = f"{one.link.sink.type} writes no table: write validate: on the link that loads its files"
        return Validated(name, one.target.dataset.name, None, why)
    target = sql_side(sink.database, one.target.path)
    sides = [_source(made, state, found, each) for each in group]
    if any(each is None for each in sides):
        return Validated(name, one.target.dataset.name, None, ELSEWHERE)
    source = _together([each for each in sides if each is not None])
    done = None
    if mend is None:
        compared = compare(source, target, wishes)
    else:
        wholes = [_source(made, None, found, each) for each in group]
        alive = _together([each for each in wholes if each is not None])
        wishes = replace(wishes, level=Level.ROWS)
        done = mend(Found(group, sink, source, target, wishes, alive))
        compared = done.after or done.before
    notes = [f"not compared: {column} (declared loss: {why})" for column, why in _lost(group, wishes)]
    compared = replace(compared, notes=(*notes, *compared.notes))
    return Validated(name, one.target.dataset.name, compared, repaired=done)


def _wishes(group: Sequence[Pipeline], level: Level | None, show: int | None) -> Wishes:
    words = _agreed(group)
    wishes = Wishes(
        level=level or Level(words.get("level", "rows")),
        key=tuple(words["key"]) if words.get("key") else None,
        columns=words.get("columns", {}),
        accept={name: accepted(rule) for name, rule in words.get("accept", {}).items()},
        exclude=tuple(words.get("exclude", ())),
        more_columns=True,
    )
    lost = tuple(column for column, _ in _lost(group, wishes) if column not in wishes.exclude)
    wishes = replace(wishes, exclude=(*wishes.exclude, *lost))
    return wishes if show is None else replace(wishes, show=show)


def _agreed(group: Sequence[Pipeline]) -> Mapping[str, Any]:
    """Return the ``validate:`` of links that fill one table; raise ``UsageError`` if two say different."""
    said = [one.link.validate for one in group if one.link.validate]
    if any(words != said[0] for words in said):
        raise UsageError(
            f"the links that fill {group[0].target.dataset.name} together have different validate:",
            hint="write the same validate: on each of them, since their rows are compared together",
        )
    return said[0] if said else {}


def _lost(group: Sequence[Pipeline], wishes: Wishes) -> list[tuple[str, str]]:
    """The columns whose values the target may change as declared, unless a rule says how much."""
    found = dict(loss for one in group for loss in one.losses)
    return [(name, why) for name, why in found.items() if name not in wishes.accept]


def _source(
    made: Assembly, state: StateManager | None, found: Sequence[Pipeline], one: Pipeline
) -> Side | None:
    """Return the rows that the target shall have: those of the first source, through each link's
    transform."""
    link = made.links.get(one.link.key)
    if link is None:
        return None
    if not one.upstream_keys:
        mark = state.watermarks.current(one.pipeline_key) if state is not None and one.source.cursor else None
        return link.side(one.source, mark.value if mark else None)
    above = [_source(made, state, found, each) for each in found if each.pipeline_key in one.upstream_keys]
    sides = [each for each in above if each is not None]
    if not sides or len(sides) < len(one.upstream_keys):
        return None
    return through(link, _together(sides))


def _together(sides: Sequence[Side]) -> Side:
    """Return all rows of several sides as one; their columns are those of the first."""
    if len(sides) == 1:
        return sides[0]
    table: Table = sides[0].table

    def read() -> Iterator[pa.RecordBatch]:
        for side in sides:
            with side.open() as reader:
                yield from reader.batches(side.table.columns)

    return StreamSide(" + ".join(side.label for side in sides), replace(table, key=()), read)


def declares(specs: Mapping[str, LinkSpec]) -> bool:
    """Whether a link says by ``validate:`` that its target is compared at the end of a run."""
    return any(map(_wants, specs.values()))


def unproven(made: Assembly, chosen: Sequence[str]) -> list[str]:
    """Compare the targets whose links declare ``validate:``; return in a line each what differs or broke.

    No line holds a value of a row.
    """
    try:
        return [
            said
            for one in of_links(made, chosen, None, 0, declared=True)
            if one.refused != ELSEWHERE and (said := in_words(one)) is not None
        ]
    except HdmError as error:
        return [f"not compared: {error.in_one_line}"]


def in_words(one: Validated) -> str | None:
    """Return a line on what differs, without any row's value; None if nothing differs or nothing was
    compared."""
    found = one.comparison
    if one.exit_code == 0:
        return None
    if found is None:
        return f"{one.table}: not compared: {one.refused}"
    said = [*found.schema, *([UNSTEADY] if found.unsteady else [])]
    if found.rows_a != found.rows_b:
        said.append(f"{found.rows_a:,} rows in the source, {found.rows_b:,} in the target")
    counts = (("missing", found.missing), ("extra", found.extra), ("changed", found.changed))
    said += [f"{count:,} {word}" for word, count in counts if count]
    said += [f"{column.column}: {', '.join(column.facts)} differ" for column in found.columns]
    return f"{one.table}: " + "; ".join(said)
