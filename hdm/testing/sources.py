"""SourceConformance: what every source promises, as checks that can fail."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from hdm.model import Chunk, Table, Window
from hdm.source import Source
from hdm.testing.rows import as_rows
from hdm.wire import chunk_from_json, chunk_to_json, table_from_json, table_to_json

JOB = "conformance"


def fresh(source: Source) -> Source:
    """Another instance with the same configuration, as another process would make it."""
    return type(source)(source.config, source.profile, name=source.name)


def plan(source: Source, window: Window | None = None) -> tuple[Table, list[Chunk]]:
    """The source's table and the chunks of a window (default: of everything)."""
    table = source.describe()
    with source.snapshot() as token:
        return table, list(source.split(table, window or source.window(), JOB, token))


def read_all(source: Source, rows_only: bool = True) -> list[tuple[Any, ...]]:
    """Every row of every chunk, sorted."""
    table = source.describe()
    found: list[pa.RecordBatch] = []
    with source.snapshot() as token:
        for chunk in source.split(table, source.window(), JOB, token):
            found += list(source.read(table, chunk).batches())
    return as_rows(found)


def check_every_row_once(source: Source, rows: list[tuple[Any, ...]]) -> None:
    """The chunks together hold each row exactly once, NULL and tied cursors included."""
    assert read_all(source) == sorted_rows(rows)


def check_schema_is_kept(source: Source) -> None:
    """Every batch has exactly the schema that ``describe`` gives."""
    table, chunks = plan(source)
    for chunk in chunks:
        for batch in source.read(table, chunk).batches():
            assert batch.schema.equals(table.schema), f"{batch.schema} is not {table.schema}"


def check_describe_is_stable(source: Source) -> None:
    """Two instances describe the same table, and it survives JSON."""
    table = source.describe()
    assert fresh(source).describe() == table
    assert table_from_json(table_to_json(table)) == table


def check_plan_is_deterministic(source: Source) -> None:
    """The same window is cut into the same chunks again, numbered from 0 without gaps."""
    table = source.describe()
    with source.snapshot() as token:
        first = [c.chunk_id for c in source.split(table, source.window(), JOB, token)]
        again = list(fresh(source).split(table, source.window(), JOB, token))
    assert [c.chunk_id for c in again] == first
    assert [c.number for c in again] == list(range(len(again)))
    assert len(set(first)) == len(first)


def check_chunk_is_replayable(source: Source) -> None:
    """A chunk read twice, by two instances, the second from JSON, gives the same rows."""
    table = source.describe()
    with source.snapshot() as token:
        for chunk in source.split(table, source.window(), JOB, token):
            once = as_rows(source.read(table, chunk).batches())
            twin = chunk_from_json(chunk_to_json(chunk))
            assert twin.chunk_id == chunk.chunk_id
            assert as_rows(fresh(source).read(table, twin).batches()) == once


def check_order_does_not_matter(source: Source) -> None:
    """Chunks read last to first give the same rows: a source holds no state between them."""
    table = source.describe()
    with source.snapshot() as token:
        chunks = list(source.split(table, source.window(), JOB, token))
        forward = [as_rows(source.read(table, chunk).batches()) for chunk in chunks]
        backward = [as_rows(source.read(table, chunk).batches()) for chunk in reversed(chunks)]
    assert backward[::-1] == forward


def check_nothing_new_reads_nothing(source: Source, rows: list[tuple[Any, ...]]) -> None:
    """With everything committed, a source with a watermark plans no chunk."""
    table, chunks = plan(source)
    if table.cursor is None or not chunks:
        return
    position = table.schema.get_field_index(table.cursor)
    values = [row[position] for row in rows]
    last = max(value for value in values if value is not None)
    marks = [chunk.upto for chunk in chunks if chunk.upto is not None]
    window = source.window()
    done = Window(
        column=window.column,
        after=marks[-1],
        ties=values.count(last),
        nulls=values.count(None),
        rows_per_chunk=window.rows_per_chunk,
        bytes_per_chunk=window.bytes_per_chunk,
    )
    assert plan(source, done)[1] == [], "chunks were planned although nothing is new"


def check_unknown_keys_are_refused(source: Source) -> None:
    """A misspelt key of the configuration is an error."""
    body = {**source.config.model_dump(by_alias=True), "no_such_key": 1}
    with pytest.raises(ValidationError):
        type(source.config).model_validate(body)


def check_repr_shows_no_secret(source: Source, secret: str | None) -> None:
    """Neither the source nor its parts show the secret when printed."""
    if secret:
        shown = f"{source!r} {source} {source.config!r} {source.profile!r} {source.profile} {vars(source)!r}"
        assert secret not in shown


def sorted_rows(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Expected rows in the order of ``read_all``."""
    from hdm.testing.rows import _sortable

    return sorted(rows, key=_sortable)


class SourceConformance:
    """Inherit, and give ``subject`` (the source) and ``rows`` (its rows as tuples, any order).

    ``secret``, if the source has one, is a canary that must never show.
    """

    @pytest.fixture
    def secret(self) -> str | None:
        """A secret of the source's profile; None if it has none."""
        return None

    def test_every_row_once(self, subject: Source, rows: list[tuple[Any, ...]]) -> None:
        """See ``check_every_row_once``."""
        check_every_row_once(subject, rows)

    def test_schema_is_kept(self, subject: Source) -> None:
        """See ``check_schema_is_kept``."""
        check_schema_is_kept(subject)

    def test_describe_is_stable(self, subject: Source) -> None:
        """See ``check_describe_is_stable``."""
        check_describe_is_stable(subject)

    def test_plan_is_deterministic(self, subject: Source) -> None:
        """See ``check_plan_is_deterministic``."""
        check_plan_is_deterministic(subject)

    def test_chunk_is_replayable(self, subject: Source) -> None:
        """See ``check_chunk_is_replayable``."""
        check_chunk_is_replayable(subject)

    def test_order_does_not_matter(self, subject: Source) -> None:
        """See ``check_order_does_not_matter``."""
        check_order_does_not_matter(subject)

    def test_nothing_new_reads_nothing(self, subject: Source, rows: list[tuple[Any, ...]]) -> None:
        """See ``check_nothing_new_reads_nothing``."""
        check_nothing_new_reads_nothing(subject, rows)

    def test_unknown_keys_are_refused(self, subject: Source) -> None:
        """See ``check_unknown_keys_are_refused``."""
        check_unknown_keys_are_refused(subject)

    def test_repr_shows_no_secret(self, subject: Source, secret: str | None) -> None:
        """See ``check_repr_shows_no_secret``."""
        check_repr_shows_no_secret(subject, secret)
