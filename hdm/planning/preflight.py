"""Finds the tables that each link would move, and checks that its sink can take them. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from hdm.components.builtin import missing_driver
from hdm.components.registry import misplaced
from hdm.config.visible import listed
from hdm.errors import (
    BrokenContract,
    HdmError,
    LossRefused,
    ManifestError,
    Recovery,
    UnknownPlace,
    UsageError,
)
from hdm.model import ComponentSpec, Dataset, FileNames, LinkSpec, Origin, Table, digest
from hdm.planning.shared_targets import refuse_shared_targets
from hdm.planning.sync_links import refuse_sync
from hdm.planning.unanswered import Asking
from hdm.sql.sessions import kept

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One link over one table: what is moved, to which table, and which values would change on the way."""

    link: LinkSpec
    pipeline_key: str
    source: Table
    target: Table
    losses: tuple[tuple[str, str], ...]
    upstream_keys: tuple[str, ...] = ()
    in_order: bool = False
    """Whether the chunks are loaded one at a time, in the order of their numbers: see ``Sink.goes_in_order``.
    """
    origins: tuple[Origin, ...] = ()
    file_names: FileNames | None = None
    """How the sink names its files; None if the sink cannot tell beforehand: see ``Sink.file_names``."""


def pipeline_key(link: LinkSpec, dataset: Dataset) -> str:
    """Return the key of one link over one source dataset, the same in every run: 32 hex digits."""
    return digest("pipeline", link.key, dataset.namespace, dataset.name)[:32]


def pipeline_of(link: DataLink, table: Table, upstream_keys: tuple[str, ...] = ()) -> Pipeline:
    """Return the pipeline of ``link`` over the source table ``table``.

    ``upstream_keys`` are the keys of the pipelines that publish the rows. Raises ``UsageError`` or
    ``ManifestError`` if the link cannot move the table.
    """
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
        if spec.mode.rules.compares:
            refuse_sync(link, table, outgoing, target)
        key = pipeline_key(spec, table.dataset)
        names = sink.file_names(outgoing, key, spec.mode)
        if not isinstance(names, FileNames | None):
            raise BrokenContract(
                f"file_names gave a {type(names).__name__}", hint="return a FileNames, or None"
            )
    except HdmError as error:
        raise _named("sink", spec.sink, error) from None
    found = link.source.chunks_are_content and not upstream_keys  # one row may be repeated in many files
    in_order = sink.goes_in_order(outgoing, spec.mode, repeats=found)
    origins = link.column_lineage(table)
    return Pipeline(spec, key, table, target, losses, upstream_keys, in_order, origins, names)


def _named(kind: str, spec: ComponentSpec, error: HdmError) -> HdmError:
    """Return the error with the component's name, and with its place in the manifest if the user made it."""
    if isinstance(error, ManifestError):
        return error
    message = f"{kind} {spec.name}: {error.message}"
    if type(error) is UsageError or isinstance(error, UnknownPlace):
        return misplaced(spec, message, error.hint or "")
    error.message = message
    return error


def _allowed(spec: LinkSpec, column: str) -> bool:
    return spec.allow_loss is True or (isinstance(spec.allow_loss, tuple) and column in spec.allow_loss)


def preflight(links: Mapping[str, DataLink], refused: dict[str, str] | None = None) -> list[Pipeline]:
    """Find every pipeline of the links and return them, upstream first. Writes nothing.

    Raises one error that names everything that is wrong. If ``refused`` is given, only links that a template
    made are wrong, and others have pipelines, nothing is raised: the keys of the wrong links are put into
    ``refused``, with the reasons, and the pipelines of the others are returned. A link that is chained to a
    link of another site, which is not among ``links``, has no pipelines here: only the state database knows
    its tables.
    """
    _look_for_drivers(links)
    found: dict[str, list[Pipeline]] = {}
    wrong: dict[str, HdmError] = {}
    with Asking() as asking, kept():
        _ask_sinks(links, asking)
        for key, link in links.items():
            try:
                found[key] = list(_pipelines(link, found, asking))
            except HdmError as error:
                if error.recovery is Recovery.RETRY:
                    raise
                wrong[key] = error
    pipelines = [one for several in found.values() for one in several]
    if refused is not None and pipelines and all(links[key].spec.one_of_many for key in wrong):
        refused.update((key, error.message) for key, error in wrong.items())
    elif wrong:
        raise _together(list(wrong.values()))
    refuse_shared_targets(links, pipelines)
    return pipelines


def _pipelines(link: DataLink, found: Mapping[str, Sequence[Pipeline]], asking: Asking) -> Iterator[Pipeline]:
    if not link.spec.upstream:
        yield from (pipeline_of(link, table) for table in _tables(link, asking))
        return
    for above in (one for up in link.spec.upstream for one in found.get(up, ())):
        yield pipeline_of(link, above.target, (above.pipeline_key,))


def _together(errors: Sequence[HdmError]) -> HdmError:
    """Return one error that stands for all of them."""
    if len(errors) == 1:
        return errors[0]
    each = (error.in_one_line for error in errors)
    kind: type[HdmError] = UsageError
    if not all(isinstance(error, UsageError) for error in errors):
        kind = type(errors[0])
    return kind(f"{len(errors)} links cannot be carried out:{listed(each)}")


def _look_for_drivers(links: Mapping[str, DataLink]) -> None:
    """Raise ``MissingDriver`` for a component whose driver is not installed, before anything is created."""
    for link in links.values():
        for kind, spec, made in (
            ("source", link.spec.source, link.source),
            ("sink", link.spec.sink, link.sink),
        ):
            missing = missing_driver(type(made))
            if missing is not None:
                raise _named(kind, spec, missing)


def _ask_sinks(links: Mapping[str, DataLink], asking: Asking) -> None:
    """Let each target check its connection and settings, before anything is created.

    A target that is away is left to the planner, which tries again while other links are carried out.
    """
    asked: set[tuple[str, str, str]] = set()
    for link in links.values():
        sink = link.spec.sink
        key = (sink.type, str(sink.conf.get("env") or sink.conf.get("connection")), link.sink.place)
        if key in asked:
            continue
        asked.add(key)
        try:
            with asking.of(f"sink {sink.name}", link.sink.system):
                link.sink.ready()
        except HdmError as error:
            if error.recovery is Recovery.RETRY and not isinstance(error, UnknownPlace):
                continue
            raise _named("sink", sink, error) from None


def _tables(link: DataLink, asking: Asking) -> Iterator[Table]:
    """Yield the tables that the source reads; an error carries the source's name."""
    try:
        with asking.of(f"source {link.spec.source.name}", link.source.system):
            replaced = link.source.replaced() if link.spec.mode.rules.only_adds else ()
            tables = iter(link.source.tables())
            first = next(tables, None)
        for table in chain(() if first is None else (first,), tables):
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
