"""What each link would move, and whether its sink can hold it: looks only, touches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hdm.components.builtin import missing_driver
from hdm.components.registry import misplaced
from hdm.config.visible import listed
from hdm.errors import HdmError, LossRefused, ManifestError, Recovery, UsageError
from hdm.model import ComponentSpec, Dataset, LinkSpec, Mode, Origin, Table, digest
from hdm.planning.shared_targets import refuse_shared_targets
from hdm.sql.sessions import kept

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One link over one table: what would be moved, whither, and what would be lost."""

    link: LinkSpec
    pipeline_key: str
    source: Table
    target: Table
    losses: tuple[tuple[str, str], ...]
    upstream_keys: tuple[str, ...] = ()
    in_order: bool = False
    """Its chunks are loaded one at a time, in the order of their numbers: see ``Sink.goes_in_order``."""
    origins: tuple[Origin, ...] = ()


def pipeline_key(link: LinkSpec, dataset: Dataset) -> str:
    """The identity, across runs, of one link over one dataset: 32 hex digits."""
    return digest("pipeline", link.key, dataset.namespace, dataset.name)[:32]


def pipeline_of(link: DataLink, table: Table, upstream_keys: tuple[str, ...] = ()) -> Pipeline:
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
    found = link.source.chunks_are_content and not upstream_keys  # a row may lie in many files
    in_order = sink.goes_in_order(outgoing, spec.mode, repeats=found)
    key, origins = pipeline_key(spec, table.dataset), link.column_lineage(table)
    return Pipeline(spec, key, table, target, losses, upstream_keys, in_order, origins)


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


def preflight(links: Mapping[str, DataLink], refused: dict[str, str] | None = None) -> list[Pipeline]:
    """Every pipeline of the links, roots first. Touches nothing.

    Raises one error that tells all that is wrong. Of links that a template made, the others are found
    nevertheless, if ``refused`` is there to take the key of each that cannot be carried out, and why.

    Of a link chained to one that another site runs, which is not among ``links``, nothing is
    found: its tables are known to the state database only.
    """
    _look_for_drivers(links)
    _ask_sinks(links)
    found: dict[str, list[Pipeline]] = {}
    wrong: dict[str, HdmError] = {}
    with kept():
        for key, link in links.items():
            try:
                found[key] = list(_pipelines(link, found))
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


def _pipelines(link: DataLink, found: Mapping[str, Sequence[Pipeline]]) -> Iterator[Pipeline]:
    if not link.spec.upstream:
        yield from (pipeline_of(link, table) for table in _tables(link))
        return
    for above in (one for up in link.spec.upstream for one in found.get(up, ())):
        yield pipeline_of(link, above.target, (above.pipeline_key,))


def _together(errors: Sequence[HdmError]) -> HdmError:
    """All the errors as one."""
    if len(errors) == 1:
        return errors[0]
    each = (f"{error.message} ({error.hint})" if error.hint else error.message for error in errors)
    kind: type[HdmError] = UsageError
    if not all(isinstance(error, UsageError) for error in errors):
        kind = type(errors[0])
    return kind(f"{len(errors)} links cannot be carried out:{listed(each)}")


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
