"""Connectors that break one promise each. The intact ones are hdm's own, on SQLite and on disk."""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ConfigDict

from hdm.components.source import Source
from hdm.connectors.sqlite import SQLiteSink, SQLiteSource
from hdm.dialects.postgres import PostgresDialect
from hdm.dialects.sqlite import SQLiteDialect
from hdm.dialects.types import Stored
from hdm.errors import HdmError, RejectedRows
from hdm.files.stores.base import LocalStore, Stat
from hdm.model import Column, Condition, Dataset, FileNames, Kind, Mode, Payload, Receipt, Table
from tests.conformance.systems import CANARY

LEFT_OPEN: list[Any] = []


def leak() -> None:
    """Something that is never closed again (but by the test itself)."""
    LEFT_OPEN.append(Path(__file__).open("rb"))  # noqa: SIM115 -- that is the point


def altered(payload: Payload, change: Any) -> Payload:
    """The payload with each batch changed on the way."""
    return Payload(payload.table, lambda: (change(batch) for batch in payload.batches()), tally=payload.tally)


# -- sources -------------------------------------------------------------------------


class LosesNulls(SQLiteSource):
    def split(self, *args: Any) -> Iterator[Any]:
        for chunk in super().split(*args):
            if not any(one.op == "null" for one in chunk.conditions):
                yield chunk


class ForgetsNotNull(SQLiteSource):
    def read(self, table: Any, chunk: Any) -> Payload:
        def loose(batch: pa.RecordBatch) -> pa.RecordBatch:
            schema = pa.schema([field.with_nullable(True) for field in batch.schema])
            return pa.RecordBatch.from_arrays(batch.columns, schema=schema)

        return altered(super().read(table, chunk), loose)


class DescribesAnew(SQLiteSource):
    _count = itertools.count()

    def describe(self) -> Table:
        table = super().describe()
        first = replace(table.columns[0], comment=str(next(self._count)))
        return replace(table, columns=(first, *table.columns[1:]))


class NumbersFromOne(SQLiteSource):
    def split(self, *args: Any) -> Iterator[Any]:
        return (chunk.at(number=chunk.number + 1) for chunk in super().split(*args))


class ReadsOnce(SQLiteSource):
    _read: ClassVar[set[str]] = set()

    def read(self, table: Any, chunk: Any) -> Payload:
        known = chunk.chunk_id in self._read
        self._read.add(chunk.chunk_id)
        return altered(super().read(table, chunk), lambda batch: batch.slice(1 if known else 0))


class GoesForwardOnly(SQLiteSource):
    _last = -1

    def read(self, table: Any, chunk: Any) -> Payload:
        back = chunk.number < self._last
        self._last = chunk.number
        return altered(super().read(table, chunk), lambda batch: batch.slice(1 if back else 0))


class ForgetsTheWatermark(SQLiteSource):
    def split(self, table: Any, window: Any, *rest: Any) -> Iterator[Any]:
        return super().split(table, replace(window, after=None), *rest)


class ForgetsTies(SQLiteSource):
    def split(self, *args: Any) -> Iterator[Any]:
        return (chunk for chunk in super().split(*args) if chunk.seen_key != "point")


class PromisesTooMuch(SQLiteSource):
    def split(self, *args: Any) -> Iterator[Any]:
        chunks = list(super().split(*args))
        marks = [chunk.upto for chunk in chunks if chunk.upto is not None]
        return (chunk if chunk.upto is None else chunk.at(upto=marks[-1]) for chunk in chunks)


class ReadsToTheEnd(SQLiteSource):
    def read(self, table: Any, chunk: Any) -> Payload:
        low = tuple(one for one in chunk.conditions if one.op not in ("<", "<="))
        return super().read(table, chunk.at(conditions=low))


class MakesUpARow(SQLiteSource):
    def split(self, table: Any, window: Any, job_key: str, snapshot: Any) -> Iterator[Any]:
        return Source.split(self, table, window, job_key, snapshot)

    def read(self, table: Any, chunk: Any) -> Payload:
        made = super().read(table, chunk)
        row = pa.RecordBatch.from_pylist([{"id": 0}], schema=table.schema)
        return Payload(table, lambda: itertools.chain(made.batches(), [row]))


class JoinsBatches(SQLiteSource):
    def read(self, table: Any, chunk: Any) -> Payload:
        return altered(super().read(table, chunk), lambda batch: pa.concat_batches([batch] * 50))


class KeepsOpen(SQLiteSource):
    def read(self, table: Any, chunk: Any) -> Payload:
        leak()
        return super().read(table, chunk)


class KeepsOpenIfStopped(SQLiteSource):
    def read(self, table: Any, chunk: Any) -> Payload:
        made = super().read(table, chunk)

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                yield from made.batches()
            except GeneratorExit:
                leak()
                raise

        return Payload(table, batches)


class HoldsItsSnapshot(SQLiteSource):
    @contextmanager
    def _held(self) -> Iterator[None]:
        leak()
        yield None
        LEFT_OPEN.pop().close()

    def snapshot(self) -> Any:
        return self._held()


class RawErrors(SQLiteSource):
    def describe(self) -> Table:
        try:
            return super().describe()
        except HdmError as error:
            raise OSError(CANARY) from error


class ReadsNothingOfNothing(SQLiteSource):
    def read(self, table: Any, chunk: Any) -> Payload:
        made = super().read(table, chunk)

        def batches() -> Iterator[pa.RecordBatch]:
            with suppress(HdmError):
                yield from made.batches()

        return Payload(table, batches)


class TakesAnyKey(SQLiteSource):
    class Config(SQLiteSource.Config):  # type: ignore[name-defined,misc]
        model_config = ConfigDict(extra="allow")


class ShowsItsSecret(SQLiteSource):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.password = CANARY


# -- sinks ---------------------------------------------------------------------------


class EmptiesBecomeNull(SQLiteSink):
    def write(self, table: Any, chunk: Any, attempt: Any, payload: Any, mode: Any) -> Receipt:
        def change(batch: pa.RecordBatch) -> pa.RecordBatch:
            place = batch.schema.get_field_index("words")
            words = batch.column(place)
            kept = pc.if_else(pc.equal(words, ""), pa.scalar(None, pa.string()), words)
            return batch.set_column(place, batch.schema.field(place), kept)

        return super().write(table, chunk, attempt, altered(payload, change), mode)


class KeepsTheLastBatch(SQLiteSink):
    def write(self, table: Any, chunk: Any, attempt: Any, payload: Any, mode: Any) -> Receipt:
        def last() -> Iterator[pa.RecordBatch]:
            got = list(payload.batches())
            yield from got[-1:]

        kept = Payload(payload.table, last, tally=payload.tally)
        return super().write(table, chunk, attempt, kept, mode)


class CutsText(SQLiteSink):
    def write(self, table: Any, chunk: Any, attempt: Any, payload: Any, mode: Any) -> Receipt:
        def change(batch: pa.RecordBatch) -> pa.RecordBatch:
            place = batch.schema.get_field_index("words")
            cut = pc.utf8_slice_codeunits(batch.column(place), 0, 65_535)
            return batch.set_column(place, batch.schema.field(place), cut)

        return super().write(table, chunk, attempt, altered(payload, change), mode)


class CommitsTheHalf(SQLiteSink):
    def write(self, table: Any, chunk: Any, attempt: Any, payload: Any, mode: Any) -> Receipt:
        got, failure = [], None
        try:
            got.extend(payload.batches())
        except Exception as error:  # noqa: BLE001 -- whatever the stream raises
            failure = error
        receipt = super().write(table, chunk, attempt, Payload(payload.table, lambda: iter(got)), mode)
        if failure:
            raise failure
        return receipt


class EachAttemptCounts(SQLiteSink):
    def write(self, table: Any, chunk: Any, attempt: Any, payload: Any, mode: Any) -> Receipt:
        own = chunk.at(generation=attempt.number) if attempt.number > 1 else chunk
        shifted = altered(payload, lambda b: b.set_column(0, b.schema.field(0), pc.add(b.column(0), 10**6)))
        return super().write(table, own, attempt, shifted if attempt.number > 1 else payload, mode)


class RemembersInMemory(SQLiteSink):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.held: dict[str, Receipt] = {}

    def write(self, table: Any, chunk: Any, attempt: Any, payload: Any, mode: Any) -> Receipt:
        self.held[chunk.chunk_id] = super().write(table, chunk, attempt, payload, mode)
        return self.held[chunk.chunk_id]

    def committed(self, table: Any, chunk: Any, mode: Any) -> Receipt | None:
        return self.held.get(chunk.chunk_id)


class KeepsNoLedger(SQLiteSink):
    def ledger(self, *args: Any) -> Iterator[Any]:
        return iter(())


class StartsAfresh(SQLiteSink):
    def prepare(self, table: Any, *rest: Any) -> None:
        super().prepare(table, *rest)
        self.empty(table)

    def empty(self, table: Table) -> None:
        connection = self.database.connect("sabotage", write=True)
        connection.execute(f"DELETE FROM {self.dialect.qualify(self.target(table).path)}")
        connection.close()


class DiscardsAll(StartsAfresh):
    def prepare(self, table: Any, *rest: Any) -> None:
        SQLiteSink.prepare(self, table, *rest)

    def discard(self, table: Any, chunk: Any, attempt: int) -> None:
        self.empty(table)


_ONE_AT_A_TIME = threading.Lock()


class EmptiesBeforeEachChunk(StartsAfresh):
    def prepare(self, table: Any, *rest: Any) -> None:
        SQLiteSink.prepare(self, table, *rest)

    def write(self, table: Any, *rest: Any) -> Receipt:
        with _ONE_AT_A_TIME:
            self.empty(table)
            return super().write(table, *rest)


class ForgetsEmptyChunks(SQLiteSink):
    def write(self, table: Any, chunk: Any, attempt: Any, payload: Any, mode: Any) -> Receipt:
        got = list(payload.batches())
        if not got:
            return Receipt(chunk.chunk_id, attempt.number, 0)
        return super().write(table, chunk, attempt, Payload(table, lambda: iter(got)), mode)


class ReplacesAtOnce(SQLiteSink):
    def write(self, table: Any, chunk: Any, attempt: Any, payload: Any, mode: Any) -> Receipt:
        mode = Mode.APPEND if mode is Mode.REPLACE and chunk.epoch > 1 else mode
        return super().write(table, chunk, attempt, payload, mode)


class MergesByNothing(SQLiteSink):
    def prepare(self, table: Any, job_key: str, epoch: int, mode: Any) -> None:
        bare = replace(table, key=()) if mode is Mode.MERGE else table
        super().prepare(bare, job_key, epoch, Mode.APPEND if mode is Mode.MERGE else mode)

    def write(self, table: Any, chunk: Any, attempt: Any, payload: Any, mode: Any) -> Receipt:
        return super().write(table, chunk, attempt, payload, Mode.APPEND if mode is Mode.MERGE else mode)


class DropsTheCounts(SQLiteSink):
    def write(self, table: Any, chunk: Any, attempt: Any, payload: Any, mode: Any) -> Receipt:
        return super().write(table, chunk, attempt, Payload(payload.table, payload.batches), mode)


class WorksOnWithoutALease(SQLiteSink):
    def write(self, table: Any, chunk: Any, attempt: Any, payload: Any, mode: Any) -> Receipt:
        return super().write(table, chunk, replace(attempt, check=lambda: None), payload, mode)


class NamesByInstance(SQLiteSink):
    def dataset(self, table: Any) -> Dataset:
        return Dataset("sqlite", str(id(self)))


class SinkKeepsOpen(SQLiteSink):
    def write(self, *args: Any) -> Receipt:
        leak()
        return super().write(*args)


class SinkRawErrors(SQLiteSink):
    def prepare(self, *args: Any) -> None:
        with suppress(HdmError):
            return super().prepare(*args)
        raise OSError(CANARY)


class NamesAnotherFile(SQLiteSink):
    def file_names(self, *_: Any) -> FileNames:
        return FileNames("file:///elsewhere/{chunk}.{attempt}.parquet", "parquet")


class SinkTakesAnyKey(SQLiteSink):
    class Config(SQLiteSink.Config):  # type: ignore[name-defined,misc]
        model_config = ConfigDict(extra="allow")


class SinkShowsItsSecret(SQLiteSink):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.password = CANARY


# -- stores --------------------------------------------------------------------------


class CutsObjects(LocalStore):
    def open(self, key: str) -> BinaryIO:
        with super().open(key) as stream:
            return io.BytesIO(stream.read(65_536))


class WritesInPlace(LocalStore):
    def scratch(self, key: str) -> Path:
        super().scratch(key)
        return self.path(key)


class Overwrites(LocalStore):
    def put_new(self, key: str, content: bytes | Path) -> Stat:
        self.delete(key)
        return super().put_new(key, content)


class LooksBeforeItLeaps(LocalStore):
    def put_new(self, key: str, content: bytes | Path) -> Stat:
        if self.stat(key):
            raise FileExistsError(key)
        time.sleep(0.05)
        while True:
            with suppress(FileExistsError):
                self.delete(key)
                return super().put_new(key, content)


class OnePageOnly(LocalStore):
    def list(self, prefix: str = "", *, scratch: bool = False) -> Iterator[Stat]:
        return itertools.islice(super().list(prefix, scratch=scratch), 5)


class CountsOneMore(LocalStore):
    def stat(self, key: str) -> Stat | None:
        found = super().stat(key)
        return replace(found, size=found.size + 1) if found else None


class MissingIsEmpty(LocalStore):
    def open(self, key: str) -> BinaryIO:
        return super().open(key) if self.stat(key) else io.BytesIO()


class AlwaysDeleted(LocalStore):
    def delete(self, key: str) -> bool:
        super().delete(key)
        return True


class GoesAnywhere(LocalStore):
    def path(self, key: str) -> Path:
        return self.root / key


class QuotesNothing(LocalStore):
    def uri(self, key: str) -> str:
        self.path(key)
        return f"file://{self.root}/{key}"


class NeverTidies(LocalStore):
    def abort_uploads(self, prefix: str) -> int:
        return 0


class StoreKeepsOpen(LocalStore):
    def open(self, key: str) -> BinaryIO:
        leak()
        return super().open(key)


# -- dialects ------------------------------------------------------------------------


class QuotesOnce(PostgresDialect):
    def quote(self, name: str) -> str:
        super().quote(name)
        return f'"{name}"'


class CutsNames(PostgresDialect):
    def quote(self, name: str) -> str:
        return super().quote(name.replace("\0", "")[:63] or "x")


class CutsNamesBeside(PostgresDialect):
    def beside(self, name: str, suffix: str) -> str:
        return name.encode()[: 63 - len(suffix)].decode(errors="ignore") + suffix


class BelievesNumbers(PostgresDialect):
    def number(self, text: str, column: Column) -> str:
        return text


class EscapesNothing(PostgresDialect):
    def string(self, text: str) -> str:
        return f"'{text}'"


class RendersRoughly(SQLiteDialect):
    def text_of(self, expression: str, column: Column) -> str:
        return f"CAST(CAST({expression} AS REAL) AS TEXT)" if column.kind is Kind.INT64 else expression


class LosesFractions(PostgresDialect):
    def native(self, column: Column) -> Stored:
        return (
            Stored("timestamp(0) without time zone")
            if column.kind is Kind.TIMESTAMP
            else super().native(column)
        )


class ChangesOwnTypes(PostgresDialect):
    def stored(self, column: Column) -> Stored:
        return Stored(column.native.replace("character varying", "text") or "text")


class Misspells(PostgresDialect):
    insert_override = ""

    def drop_table(self, path: Any) -> str:
        return f"DROP TABEL {self.qualify(path)}"


class ListsNamesBare(PostgresDialect):
    insert_override = ""

    def names(self, names: Any) -> str:
        return ", ".join(names)


class PassesAnyComparison(PostgresDialect):
    def condition(self, one: Condition, table: Table) -> str:
        return f"{self.quote(one.column)} {one.op} {one.value}"


class BuriesDeadlocks(PostgresDialect):
    def classify(self, error: BaseException) -> HdmError:
        made = super().classify(error)
        return RejectedRows("no") if self.code(error) == "40P01" else made


class QuotesRows(PostgresDialect):
    def describe_error(self, error: BaseException) -> str:
        return str(error)
