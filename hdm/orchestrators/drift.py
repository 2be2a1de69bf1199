"""Applies ``schema_policy`` to changes of a link's source since it was last moved.

* ``fail`` (the default): any change stops the run before anything moves;
* ``freeze``: a table that has changed is not moved until a person acts; all others are;
* ``discard``: new columns are left out, with a note; all others are moved;
* ``evolve``: new columns are read, and added to the target.

A column that is gone, narrower or of another type waits for a person under every policy, unless the link's
``allow_loss`` names it. A chained link follows the policy of the link that reads the source.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hdm.catalog.diff import Change, Difference, compare_tables
from hdm.catalog.model import Relation
from hdm.errors import SchemaDrift
from hdm.model import LinkSpec, Table
from hdm.planning.preflight import Pipeline, pipeline_of

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import StateManager

_GROWTH = frozenset({Change.WIDER, Change.NULLABLE})
_ADDED = frozenset({Change.NEW_COLUMN})
_HARMLESS = frozenset({Change.NOT_NULL})


@dataclass(slots=True)
class Settled:
    """Result of applying ``schema_policy``: the pipelines that may run, and why others may not.

    ``held`` says, by pipeline key, why a table is not moved. ``fatal`` are the changes that stop the run.
    """

    pipelines: list[Pipeline] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    fatal: list[str] = field(default_factory=list)


def settle(
    state: StateManager,
    pipelines: list[Pipeline],
    links: Mapping[str, DataLink],
    weighed: Collection[str] = (),
) -> Settled:
    """Compare each source's columns with those of its last closed job, and apply ``schema_policy``.

    Links with the keys ``weighed`` are taken as they are, since their orchestrator has decided about them. A
    link whose source has new columns gets ``grows`` set; one that leaves some out gets another ``source``.
    Raises ``SchemaDrift``, which names every change that policy ``fail`` forbids.
    """
    done = Settled()
    before = state.reports.last_sources([one.pipeline_key for one in pipelines])
    changed: dict[str, Table] = {}
    for found in pipelines:
        one, link, was = found, links[found.link.key], before.get(found.pipeline_key)
        above = next((changed[key] for key in one.upstream_keys if key in changed), None)
        if above is not None:
            one = pipeline_of(link, above, one.upstream_keys)
            changed[one.pipeline_key] = one.target
        elif not one.upstream_keys and was is not None and one.link.key not in weighed:
            trimmed = _weigh(done, one, was, link)
            if one.pipeline_key in done.held:
                continue
            if trimmed is not None:
                one = replace(pipeline_of(link, trimmed), losses=(*one.losses, *_gone(one, was)))
                changed[one.pipeline_key] = one.target
        if was is not None and one.link.key not in weighed:
            link.grows = link.grows or _grows(one.source, was)
        done.pipelines.append(one)
    if done.fatal:
        raise SchemaDrift(
            "the source has changed, and schema_policy is fail:\n  " + "\n  ".join(done.fatal),
            hint="write schema_policy: evolve, freeze or discard on the link; for a column that is gone or "
            "of another type, also allow_loss: [column]",
        )
    return done


def _grows(now: Table, was: Table) -> bool:
    return bool({column.name for column in now.columns} - {column.name for column in was.columns})


def _gone(one: Pipeline, was: Table) -> list[tuple[str, str]]:
    present = {column.name for column in one.source.columns}
    return [
        (column.name, "gone from the source: NULL from now on")
        for column in was.columns
        if column.name not in present
    ]


def _weigh(done: Settled, one: Pipeline, was: Table, link: DataLink) -> Table | None:
    """Decide about the changes of one table; return the table to read if it has changed, else None."""
    now, policy = one.source, one.link.schema_policy
    changes = [
        change
        for change in compare_tables(Relation(now), Relation(replace(was, path=now.path)))
        if change.change is not Change.OTHER_KEY
    ]
    left_out: set[str] = set()
    held: list[str] = []
    notes: list[str] = []
    for change in changes:
        if policy == "fail":
            done.fatal.append(change.text)
        elif policy == "freeze":
            held.append(change.text)
        elif change.change is Change.NEW_COLUMN and policy == "discard":
            left_out.add(change.column)
        elif change.change is Change.NEW_COLUMN:
            notes.append(f"{change.text}: added; rows that were moved before have NULL there")
        elif not _is_let_through(change, one.link):
            held.append(change.text)
        else:
            notes.append(change.text)
    narrower = link.source.leaving_out(left_out) if left_out else link.source
    if narrower is None:
        held.append(f"{one.link.source.type} cannot leave out {', '.join(sorted(left_out))}")
    if held or narrower is None:
        lossy = [change.column for change in changes if change.change not in (*_GROWTH, *_ADDED)]
        way = (
            f"; allow_loss: [{', '.join(lossy)}] on the link lets it go"
            if lossy and policy != "freeze"
            else ""
        )
        done.held[one.pipeline_key] = (
            f"{now.dataset.name} waits for a person, as schema_policy is {policy}: {'; '.join(held)}{way}"
        )
        return None
    done.notes += notes
    if left_out:
        done.notes.append(f"{now.dataset.name}: new, and left out: {', '.join(sorted(left_out))}")
        link.source = narrower
    if policy == "fail" or not changes:
        return None
    return replace(now, columns=tuple(column for column in now.columns if column.name not in left_out))


def _is_let_through(change: Difference, spec: LinkSpec) -> bool:
    if change.change in _HARMLESS:
        return True
    if change.change in _GROWTH:
        return spec.schema_policy == "evolve"
    return isinstance(spec.allow_loss, tuple) and change.column in spec.allow_loss
