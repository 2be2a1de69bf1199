"""What each link would move, and whether its sink can hold it: looks only, touches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hdm.components.builtin import missing_driver
from hdm.components.registry import misplaced
from hdm.config.visible import listed
from hdm.errors import HdmError, LossRefused, ManifestError, Recovery, UsageError
from hdm.model import ComponentSpec, Dataset, LinkSpec, Mode, Table, digest
from hdm.planning.shared_targets import refuse_shared_targets

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink


@dataclass(frozen=True, slots=True)
class Prospect:
    """One link over one table: what would be moved, whither, and what would be lost."""

    link: LinkSpec
    pipeline_key: str
    source: Table
    target: Table
    losses: tuple[tuple[str, str], ...]
    upstream_keys: tuple[str, ...] = ()


def pipeline_key(link: LinkSpec, dataset: Dataset) -> str:
    """The identity, across runs, of one link over one dataset: 32 hex digits."""
    return digest("pipeline", link.key, dataset.namespace, dataset.name)[:32]


def prospect(link: DataLink, table: Table, upstream_keys: tuple[str, ...] = ()) -> Prospect:
    """What ``link`` would do with ``table``; ``UsageError`` if it cannot or must not."""
    spec, sink = link.spec, link.sink
    if not table.columns:
        raise UsageError(f"{table.dataset.name} has no columns", hint="leave it out")
    if spec.mode not in sink.modes:
        known = ", ".join(sorted(mode.value for mode in sink.modes))
        raise misplaced(
            spec.sink,
            f"sink {spec.sink.name} ({spec.sink.type}) cannot honour mode {spec.mode.value}",
            f"write mode: {known}",
        )
    outgoing = link.outgoing(table)
    link.checks(outgoing)
    losses = tuple((column.name, why) for column, why in sink.losses(outgoing))
    refused = [f"{name}: {why}" for name, why in losses if not _allowed(spec, name)]
    if refused:
        raise LossRefused(
            f"{table.dataset.name} -> {spec.sink.name} would lose values:{listed(refused)}",
            hint="write allow_loss: true (or a list of columns) on the link to accept and record it",
        )
    try:
        target = sink.target(outgoing)
        if target.dataset == table.dataset:
            raise UsageError(
                f"{table.dataset.name} would be written to itself",
                hint="write another table_name, or another connection, for the sink",
            )
        sink.accepts(outgoing, spec.mode)
    except HdmError as error:
        raise _named("sink", spec.sink, error) from None
    return Prospect(spec, pipeline_key(spec, table.dataset), table, target, losses, upstream_keys)


def _named(kind: str, spec: ComponentSpec, error: HdmError) -> HdmError:
    """The error with the component's name, and a mistake of the user with its place in the manifest."""
    if isinstance(error, ManifestError):
        return error
    message = f"{kind} {spec.name}: {error.message}"
    if type(error) is UsageError:
        return misplaced(spec, message, error.hint or "")
    error.message = message
    return error


def _allowed(spec: LinkSpec, column: str) -> bool:
    return spec.allow_loss is True or (isinstance(spec.allow_loss, tuple) and column in spec.allow_loss)


def survey(links: Mapping[str, DataLink]) -> list[Prospect]:
    """Every prospect of the links, roots first. Touches nothing.

    Of a link chained to one that another site runs, which is not among ``links``, nothing is
    found: its tables are known to the state database only.
    """
    _look_for_drivers(links)
    _ask_sinks(links)
    found: dict[str, list[Prospect]] = {}
    for key, link in links.items():
        if link.spec.upstream:
            above = [p for up in link.spec.upstream for p in found.get(up, ())]
            found[key] = [prospect(link, p.target, (p.pipeline_key,)) for p in above]
        else:
            found[key] = [prospect(link, table) for table in _tables(link)]
    prospects = [one for several in found.values() for one in several]
    refuse_shared_targets(links, prospects)
    return prospects


def _look_for_drivers(links: Mapping[str, DataLink]) -> None:
    """Raise ``MissingDriver`` for a link whose every part cannot run here, before anything is made."""
    for link in links.values():
        for kind, spec, made in (
            ("source", link.spec.source, link.source),
            ("sink", link.spec.sink, link.sink),
        ):
            missing = missing_driver(type(made))
            if missing is not None:
                raise _named(kind, spec, missing)


def _ask_sinks(links: Mapping[str, DataLink]) -> None:
    """Let each target say what is wrong with its profile, before anything is made. One that is
    away is left to the planner, which tries again while the others are carried out."""
    asked: set[tuple[str, str, str]] = set()
    for link in links.values():
        sink = link.spec.sink
        whither = (sink.type, str(sink.conf.get("env") or sink.conf.get("connection")), link.sink.place)
        if whither in asked:
            continue
        asked.add(whither)
        try:
            link.sink.ready()
        except HdmError as error:
            if error.recovery is Recovery.RETRY:
                continue
            raise _named("sink", sink, error) from None


def _tables(link: DataLink) -> Iterator[Table]:
    """What the source reads; what is wrong is said with the source's name."""
    try:
        replaced = link.source.replaced() if link.spec.mode is Mode.APPEND else ()
        for table in link.source.tables():
            link.source.ready(table)
            if table.dataset in replaced:
                raise UsageError(
                    f"{table.dataset.name} is staged in mode replace: mode append would load all of it again "
                    "each time",
                    hint="write mode: replace or merge",
                )
            yield table
    except HdmError as error:
        raise _named("source", link.spec.source, error) from None
