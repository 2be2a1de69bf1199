"""Mode sync of a link: what cannot be synced, the one chunk of an epoch, and what a run would change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hdm.config.located import Place, Problems
from hdm.config.manifest_model import Link
from hdm.errors import UsageError
from hdm.model import Chunk, Condition, LinkSpec, Mode, Table
from hdm.proof.applying import allowed, checked, foreseen
from hdm.proof.forms import Accepted
from hdm.proof.pairing import Wishes
from hdm.proof.side import sql_side
from hdm.sql.sink import SqlSink
from hdm.sql.source import SqlSource
from hdm.sql.whereabouts import whereabouts

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink

LIMIT = "max_deletes:"
"""How a manifest writes the limit on deletes."""
COMPARISON = "@sync"
"""Column of the condition of a chunk that is one comparison of a table and its target."""


def refuse_link(link: Link, reads: str, above: Sequence[Link], place: Place, problems: Problems) -> None:
    """Record what a link in mode sync cannot have, by its words alone; ``reads`` is its source's name.

    ``above`` are the links that feed it.
    """
    mode = link.mode or Mode.APPEND
    for other in above:
        if (other.mode or Mode.APPEND).rules.compares:
            problems.add(
                f"'{reads}' is filled in mode sync, which changes rows in place and hands none on",
                place,
                "read its table with a source of another name, in a link of its own",
            )
    if not mode.rules.compares:
        if link.max_deletes is not None:
            problems.add(
                "max_deletes: has no effect here: only mode sync deletes single rows",
                place,
                "write mode: sync, or leave it out",
            )
        return
    try:
        allowed(str(0 if link.max_deletes is None else link.max_deletes), 0, LIMIT)
    except UsageError as error:
        problems.add(error.message, place, error.hint or "")
    if above:
        problems.add(
            f"mode sync compares the target with its source, and '{reads}' is a stage, which has only what "
            "was moved last",
            place,
            "write one link from the source itself to the table, or mode: merge here",
        )
    limits = link.limits
    for word, given, why in (
        ("checks:", link.checks, "rows are compared, and only those that differ would be looked at"),
        ("quarantine:", link.quarantine, "a row that the target refuses is named, and left as it is"),
        ("union:", link.union, "the rows of the other links would be deleted"),
        ("watermark:", link.watermark, "all rows are compared"),
        ("limits:", limits and (limits.rows_per_second or limits.bytes_per_second),
         "its rates are those of rows that are moved, and a comparison reads all"),
    ):  # fmt: skip
        if given:
            problems.add(f"mode sync takes no {word} {why}", place, f"leave {word} out, or write mode: merge")


def refuse_sync(link: DataLink, table: Table, outgoing: Table, target: Table) -> None:
    """Raise ``UsageError`` if a link cannot make its target equal to a table: before anything is read."""
    sink, source = link.sink, link.source
    if not isinstance(sink, SqlSink) or link.spec.upstream:
        raise UsageError(
            f"{table.dataset.name}: mode sync reads a source itself and writes a table by SQL",
            hint="write one link from the source to the table, or mode: merge here",
        )
    if source.window().column is not None:
        raise UsageError(
            f"{table.dataset.name}: mode sync takes no watermark: all rows are compared",
            hint="leave watermark: out, or write mode: merge",
        )
    checked(outgoing, target, wishes_of(link.spec, outgoing, target, sink.losses(outgoing)))
    if not isinstance(source, SqlSource) or source.path is None or not sink.database.is_there():
        return
    if source.database.dialect.name != sink.database.dialect.name:
        return
    here = whereabouts(source.database, table.path)
    if here is not None and here == whereabouts(sink.database, target.path):
        raise UsageError(
            f"{table.dataset.name} and {target.dataset.name} are one table under two names",
            hint="write another table_name, or another connection, for the sink",
        )


def wishes_of(spec: LinkSpec, outgoing: Table, target: Table, losses: Sequence[tuple[Any, str]]) -> Wishes:
    """Return how the rows of a link are compared with those of its target.

    As its ``validate:`` says, and without columns whose loss it allows. The key is that of ``validate:``,
    else the target's.
    """
    words: Mapping[str, Any] = spec.validate
    names = {there.name: here.name for here, there in zip(outgoing.columns, target.columns, strict=False)}
    accept = {name: accepted(rule) for name, rule in words.get("accept", {}).items()}
    lost = [column.name for column, _ in losses if column.name not in accept]
    return Wishes(
        key=tuple(words.get("key") or (names.get(name, name) for name in target.key)),
        columns=words.get("columns", {}),
        exclude=tuple(dict.fromkeys((*words.get("exclude", ()), *lost))),
        accept=accept,
        show=0,
        more_columns=True,
    )


def accepted(rule: Mapping[str, Any]) -> Accepted:
    """Return the differences that a manifest's ``accept`` rule, or the same in Python, declares to be
    none."""
    tolerance = rule.get("tolerance")
    return Accepted(
        trailing_blanks=bool(rule.get("trailing_blanks")),
        empty_is_null=bool(rule.get("empty_is_null")),
        zero_sign=bool(rule.get("zero_sign")),
        seconds=rule.get("seconds"),
        tolerance=None if tolerance is None else Decimal(str(tolerance)),
        values=dict(rule.get("values") or {}),
    )


def one_chunk(job_key: str, table: Table, epoch: int) -> Chunk:
    """Return the chunk of an epoch: one comparison, and the changes of rows that it finds."""
    when = (Condition(COMPARISON, "=", str(epoch)),)
    return Chunk(job_key, table.dataset, 0, when, schema_sha=table.schema_sha, epoch=epoch)


def forecast(link: DataLink, table: Table) -> tuple[tuple[str, ...], str | None]:
    """Compare a table and its target; return what a sync would do, and why it would stop, else None.

    Changes nothing. Raises what a sync would raise before its first change.
    """
    outgoing, sink = link.outgoing(table), link.sink
    assert isinstance(sink, SqlSink)
    target = sink.target(outgoing)
    if not sink.database.is_there() or sink.database.look(target.path) is None:
        return ("the target is made, and gets every row",), None
    wishes = wishes_of(link.spec, outgoing, target, sink.losses(outgoing))
    a, b = link.side(table), sql_side(sink.database, target.path)
    b = replace(b, table=replace(b.table, key=b.table.key or target.key))
    checked(a.table, b.table, wishes)
    found = foreseen(a, b, wishes, link.spec.max_deletes, LIMIT)
    one = found.before
    wanted = f"{one.missing:,} new, {one.changed:,} changed, {one.extra:,} deleted"
    return (f"a sync would do: {wanted}",), found.stopped
