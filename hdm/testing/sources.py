"""Tests that every source must pass."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from hdm.components import registry
from hdm.components.source import Source
from hdm.model import Chunk, Table, Window
from hdm.model.json import chunk_from_json, chunk_to_json, table_from_json, table_to_json
from hdm.testing import leaks
from hdm.testing.rows import as_rows, sorted_rows

JOB = "conformance"
BATCH_BOUND = 64 * 1024 * 1024

Rows = list[tuple[Any, ...]]
Grow = Callable[[], Rows]


def fresh(source: Source) -> Source:
    """Return another instance of the source with the same configuration, as in another process."""
    return type(source)(source.config, source.profile, name=source.name)


def plan(source: Source, window: Window | None = None) -> tuple[Table, list[Chunk]]:
    """Return the source's table and the chunks of a window; by default, of the first window."""
    table = source.describe()
    with source.snapshot() as token:
        return table, list(source.split(table, window or source.window(), JOB, token))


def read_batches(source: Source) -> Iterator[pa.RecordBatch]:
    """Yield every batch of every chunk."""
    table = source.describe()
    with source.snapshot() as token:
        for chunk in source.split(table, source.window(), JOB, token):
            yield from source.read(table, chunk).batches()


def read_all(source: Source) -> Rows:
    """Return every row of every chunk, sorted."""
    return as_rows(read_batches(source))


def check_every_row_once(source: Source, rows: Rows) -> None:
    """Check that each row is in exactly one chunk, even if its cursor is NULL or equals another's."""
    assert read_all(source) == sorted_rows(rows)


def check_schema_is_kept(source: Source) -> None:
    """Check that every batch has exactly the schema that ``describe`` gives."""
    schema = source.describe().schema
    for batch in read_batches(source):
        assert batch.schema.equals(schema), f"{batch.schema} is not {schema}"


def check_describe_is_stable(source: Source) -> None:
    """Check that two instances describe the same table, which JSON keeps unchanged."""
    table = source.describe()
    again = replace(fresh(source).describe(), rows=table.rows, bytes=table.bytes)
    assert again == table, "estimates aside, the two differ"
    assert table_from_json(table_to_json(table)) == table


def check_plan_is_deterministic(source: Source) -> None:
    """Check that a window is always cut into the same chunks, numbered from 0 without gaps."""
    table = source.describe()
    with source.snapshot() as token:
        first = [c.chunk_id for c in source.split(table, source.window(), JOB, token)]
        again = list(fresh(source).split(table, source.window(), JOB, token))
    assert [c.chunk_id for c in again] == first
    assert [c.number for c in again] == list(range(len(again)))
    assert len(set(first)) == len(first)


def check_chunk_is_replayable(source: Source) -> None:
    """Check that another instance reads the same rows for a chunk that went through JSON."""
    table = source.describe()
    with source.snapshot() as token:
        for chunk in source.split(table, source.window(), JOB, token):
            once = as_rows(source.read(table, chunk).batches())
            twin = chunk_from_json(chunk_to_json(chunk))
            assert twin.chunk_id == chunk.chunk_id
            assert as_rows(fresh(source).read(table, twin).batches()) == once


def check_order_does_not_matter(source: Source) -> None:
    """Check that chunks give the same rows if read from last to first: a source keeps no state."""
    table = source.describe()
    with source.snapshot() as token:
        chunks = list(source.split(table, source.window(), JOB, token))
        forward = [as_rows(source.read(table, chunk).batches()) for chunk in chunks]
        backward = [as_rows(source.read(table, chunk).batches()) for chunk in reversed(chunks)]
    assert backward[::-1] == forward


def committed_window(source: Source, rows: Rows) -> Window | None:
    """Return the window that is left to read once all ``rows`` are committed.

    None for a source without a watermark, or without rows.
    """
    table, chunks = plan(source)
    if table.cursor is None or not chunks or source.window().column is None:
        return None
    position = table.schema.get_field_index(table.cursor)
    values = [row[position] for row in rows]
    last = max(value for value in values if value is not None)
    marks = [chunk.upto for chunk in chunks if chunk.upto is not None]
    window = source.window()
    return replace(window, after=marks[-1], ties=values.count(last), nulls=values.count(None))


def check_nothing_new_reads_nothing(source: Source, rows: Rows) -> None:
    """Check that a source with a watermark plans no chunk if all rows are committed."""
    done = committed_window(source, rows)
    if done is not None:
        assert plan(source, done)[1] == [], "chunks were planned although nothing is new"


def check_only_new_rows_are_read(source: Source, rows: Rows, grow: Grow | None) -> None:
    """Check that a source with a watermark reads only new rows after the dataset grew.

    Chunks with a ``seen_key`` may contain known rows too, which are removed by digest.
    """
    done = committed_window(source, rows)
    if done is None or grow is None:
        return
    new = grow()
    table = source.describe()
    known, found = Counter(rows), Counter[tuple[Any, ...]]()
    with source.snapshot() as token:
        for chunk in source.split(table, done, JOB, token):
            read = Counter(as_rows(source.read(table, chunk).batches()))
            found += read - known if chunk.seen_key else read
    assert found == Counter(new)


def check_watermark_is_never_ahead(source: Source) -> None:
    """Check that a chunk's ``upto`` (new watermark) is never above a row of a later chunk.

    If a run ended after any chunk, the next run would read all rows of the later chunks. Rows without a
    cursor value are not compared.
    """
    table, window = source.describe(), source.window()
    if table.cursor is None or window.column is None:
        return
    place = table.schema.get_field_index(table.cursor)
    with source.snapshot() as token:
        chunks = list(source.split(table, window, JOB, token))
        held = [as_rows(source.read(table, chunk).batches()) for chunk in chunks]
        for number, chunk in enumerate(chunks):
            if chunk.upto is not None and not chunk.boundary:
                later = replace(window, after=chunk.upto)
                again = fresh(source)
                left = [again.read(table, one).batches() for one in again.split(table, later, JOB, token)]
                behind = Counter(row for rows in held[number + 1 :] for row in rows if row[place] is not None)
                lost = behind - Counter(row for batches in left for row in as_rows(batches))
                assert not lost, f"{lost.total()} rows are not above the watermark that chunk {number} sets"


def check_chunks_stay_as_planned(source: Source, grow: Grow | None) -> None:
    """Check that a chunk gives the same rows after the dataset grew.

    So a retry reads the rows of the first try. Boundary chunks may gain ties, which are recognised by digest.
    """
    if grow is None:
        return
    table, chunks = plan(source)
    fixed = [chunk for chunk in chunks if not chunk.boundary]
    before = [as_rows(source.read(table, chunk).batches()) for chunk in fixed]
    grow()
    assert [as_rows(fresh(source).read(table, chunk).batches()) for chunk in fixed] == before


def check_empty_is_empty(empty: Source | None) -> None:
    """Check that a dataset without rows can be described, planned and read, and gives no row."""
    if empty is not None:
        assert empty.describe().columns
        assert read_all(empty) == []


def check_batches_are_bounded(source: Source) -> None:
    """Check that a batch of several rows has at most ``BATCH_BOUND`` bytes, however wide the rows are."""
    for batch in read_batches(source):
        assert batch.num_rows == 1 or batch.nbytes <= BATCH_BOUND, f"{batch.nbytes} bytes at once"


def check_reading_closes_what_it_opens(source: Source) -> None:
    """Check that no file, socket or thread stays open after describing, planning and reading."""
    with leaks.nothing_stays_open(lambda: as_nothing(read_all(source))):
        read_all(fresh(source))


def check_stopping_closes_what_it_opens(source: Source) -> None:
    """Check that no file, socket or thread stays open if reading stops after the first batch."""
    table = source.describe()
    kept: list[Any] = []

    def stop_early() -> None:
        with source.snapshot() as token:
            for chunk in source.split(table, source.window(), JOB, token):
                batches = fresh(source).read(table, chunk).batches()
                next(batches, None)
                if inspect.isgenerator(batches):
                    batches.close()
                kept.append(batches)

    with leaks.nothing_stays_open(stop_early):
        stop_early()


def check_snapshot_is_released(source: Source) -> None:
    """Check that no file, socket or thread stays open after ``snapshot`` is left by an error."""

    def hold() -> None:
        with pytest.raises(KeyError), source.snapshot():
            raise KeyError

    with leaks.nothing_stays_open(hold):
        hold()


def check_errors_are_classified(source: Source, unreachable: Source | None, secret: str | None) -> None:
    """Check that ``describe`` and ``read`` raise an ``HdmError`` without the secret if unreachable.

    The chunk to be read was planned while the system could be reached.
    """
    if unreachable is None:
        return
    gone = unreachable
    leaks.classified(gone.describe, secret)
    table, chunks = plan(source)
    if chunks:
        leaks.classified(lambda: list(gone.read(table, chunks[0]).batches()), secret)


def check_manifests_can_name_it(source: Source) -> None:
    """Check that a manifest can name the source's class, as hdm's own or as a registered plugin."""
    assert registry.find("source", type(source).__name__) is type(source)


def check_unknown_keys_are_refused(source: Source) -> None:
    """Check that a misspelt key in the configuration is an error."""
    leaks.misspelt_key_is_refused(source)


def check_repr_shows_no_secret(source: Source, secret: str | None) -> None:
    """Check that neither the source nor its attributes contain the secret when printed."""
    leaks.no_secret_shows(source, secret)


def as_nothing(_: object) -> None:
    """Take a result and do nothing, so that it is freed."""


@dataclass
class Given:
    """The values for the parameters of check functions, by parameter name."""

    source: Source
    rows: Rows
    grow: Grow | None = None
    empty: Source | None = None
    unreachable: Source | None = None
    secret: str | None = None

    def run(self, check: Callable[..., None]) -> None:
        """Call a check function with the values of this object's attributes that its parameters name."""
        check(*(getattr(self, name) for name in inspect.signature(check).parameters))


CHECKS: tuple[Callable[..., None], ...] = tuple(
    function for name, function in list(globals().items()) if name.startswith("check_")
)


class SourceConformance:
    """Tests a source: inherit it, define ``subject`` (the source) and ``rows`` (its rows as tuples).

    Optional fixtures: ``grow``, which adds rows with greater cursor values and returns them; ``empty``, a
    source of a dataset without rows; ``unreachable``, a source whose system cannot be reached; ``secret``,
    a password of its profile.
    """

    gaps: ClassVar[Mapping[str, str]] = {}
    """Checks that the source cannot pass: name without ``check_`` -> reason."""

    @pytest.fixture
    def grow(self) -> Grow | None:
        """Return None; override it with a function that adds rows to the dataset and returns these."""
        return None

    @pytest.fixture
    def empty(self) -> Source | None:
        """Return None; override it with a source of a dataset without rows."""
        return None

    @pytest.fixture
    def unreachable(self) -> Source | None:
        """Return None; override it with a source whose system cannot be reached, if it connects to one."""
        return None

    @pytest.fixture
    def secret(self) -> str | None:
        """Return None; override it with a password of the source's profile, if it has one."""
        return None

    @pytest.fixture
    def given(
        self,
        subject: Source,
        rows: Rows,
        grow: Grow | None,
        empty: Source | None,
        unreachable: Source | None,
        secret: str | None,
    ) -> Given:
        """Return the values of the fixtures, for the check functions."""
        return Given(subject, rows, grow, empty, unreachable, secret)

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
    def test_promise(self, given: Given, check: Callable[..., None]) -> None:
        """Run one check function; see the function of that name in ``hdm.testing.sources``."""
        leaks.judge(check.__name__[6:], self.gaps, lambda: given.run(check))
