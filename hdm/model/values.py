"""Defines hdm's data model as values that cannot change: datasets and tables, chunks, receipts, links.

A plan consists of plain data that survives JSON (``hdm.model.json`` converts it), so that one machine can
plan and another carry it out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, BinaryIO

import pyarrow as pa

from hdm.model.modes import Mode


class Kind(StrEnum):
    """What a column's values mean, such as a decimal, a date or JSON, whatever Arrow type they have.

    A kind whose values Arrow cannot hold exactly (a decimal without bound, an interval, JSON, an array, ...)
    travels as the source's own text, in a ``string`` column.
    """

    BOOLEAN = "boolean"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    DECIMAL = "decimal"
    TEXT = "text"
    BINARY = "binary"
    DATE = "date"
    TIME = "time"
    TIMETZ = "timetz"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    INTERVAL = "interval"
    UUID = "uuid"
    JSON = "json"
    ARRAY = "array"
    BIT = "bit"
    ENUM = "enum"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Name of data that is read or written, as in OpenLineage: ``(namespace, name)``."""

    namespace: str
    name: str

    @property
    def dataset_id(self) -> str:
        """The dataset's identity as 32 hex digits, always the same for one namespace and name."""
        return digest("dataset", self.namespace, self.name)[:32]


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: meaning (``kind``), Arrow type (``type``) and declaration in its system.

    ``native`` is the type as the system ``origin`` (a dialect's name) declares it, e.g. ``numeric(38,18)``;
    between two tables of one system it is used as it stands. ``length`` is the declared maximum: characters
    for text, bytes for binary, bits for BIT. ``precision``/``scale`` are decimal digits; for temporal kinds
    ``precision`` is the number of fractional second digits.
    """

    name: str
    kind: Kind
    type: pa.DataType
    nullable: bool = True
    native: str = ""
    origin: str = ""
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    default: str | None = None
    identity: bool = False
    generated: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A dataset with its schema, key and cursor.

    ``path`` is the name as parts, outermost first, e.g. ``("shop", "public", "orders")``;
    never split a dotted string. ``key`` names the primary key's columns. ``rows`` and
    ``bytes`` are the system's own estimates, for plans and progress only.
    """

    dataset: Dataset
    path: tuple[str, ...]
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    cursor: str | None = None
    rows: int | None = None
    bytes: int | None = None

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the table's batches."""
        return pa.schema([pa.field(c.name, c.type, c.nullable) for c in self.columns])

    @property
    def schema_sha(self) -> str:
        """A hash of the columns in their order: name, kind, Arrow type, nullability, native type, sizes.

        The sizes are length, precision and scale.
        """
        rows = [
            [c.name, c.kind.value, str(c.type), c.nullable, c.native, c.length, c.precision, c.scale]
            for c in self.columns
        ]
        return digest("schema", json.dumps(rows))

    def column(self, name: str) -> Column:
        """Return the column of that name; raise ``KeyError`` if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison, ``column op value``, that selects rows and that the source's system evaluates.

    ``op`` is one of ``>= > <= < = null beyond in``. ``value`` is text as the source rendered it, at full
    precision; None for ``null``. ``beyond`` selects NULL and every value greater than ``value``, NaN
    included; ``in`` takes whole numbers and ranges of them (``3,7..9``). ``column`` may be a dialect's
    physical row address, spelled ``@page``; its values are decimal page or row numbers.
    """

    column: str
    op: str
    value: str | None = None


UNPLACED = ("null", "beyond")
"""Operators that select rows without a place in the order of the cursor."""


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A published file: its URI, its size in bytes and the sha256 of its content, in hex digits."""

    uri: str
    format: str
    bytes: int
    rows: int
    sha256: str
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A disjoint part of a dataset that can be read again: the unit of work, commit and resume.

    Which rows it holds: ``conditions`` are ANDed; without any, the chunk is the whole dataset. ``files``
    are set when the chunk is read from staged files; ``first_row`` and ``row_count`` then narrow it to a
    part of a file. ``relation`` identifies the relation that held the rows when the chunk was planned.

    How the watermark moves: ``upto`` is the cursor value at or below which every row is committed once this
    chunk and all chunks before it are. ``boundary`` marks a chunk whose rows all share the window's end (or
    are all NULL): the state keeps their row digests, so that the next window can tell new ties from rows
    that were moved already; if ``counted``, it keeps only their number. ``seen_key`` names the boundary
    (``point`` or ``null``) whose digests are subtracted when this chunk is read.

    ``first_number`` is the offset of this epoch's chunk numbers; lower numbers belong to chunks recovered
    from the target's ledger. ``rows_in_all``, set on an epoch's last chunk, is the number of rows in all
    its chunks when it was planned. ``again``: the rows are merged, so rows that were moved and have changed
    since are moved again.
    """

    job_key: str
    dataset: Dataset
    number: int
    conditions: tuple[Condition, ...] = ()
    files: tuple[StagedFile, ...] = ()
    first_row: int | None = None
    row_count: int | None = None
    schema_sha: str = ""
    snapshot: str | None = None
    epoch: int = 1
    generation: int = 0
    upstream: str | None = None
    boundary: bool = False
    seen_key: str | None = None
    upto: str | None = None
    estimate_rows: int | None = None
    counted: bool = False
    first_number: int = 0
    relation: str | None = None
    rows_in_all: int | None = None
    again: bool = False

    @property
    def chunk_id(self) -> str:
        """The sha256 over everything that decides which rows the chunk contains, as 64 hex digits."""
        return digest(
            "chunk",
            self.job_key,
            self.dataset.namespace,
            self.dataset.name,
            json.dumps([[c.column, c.op, c.value] for c in self.conditions]),
            json.dumps([[f.uri, f.sha256] for f in self.files]),
            json.dumps([self.first_row, self.row_count, self.seen_key]),
            self.schema_sha,
            self.snapshot or "",
            self.upstream or "",
            str(self.epoch),
            str(self.generation),
        )

    @property
    def subtracts_its_own(self) -> bool:
        """True if the known rows to leave out of this chunk were recorded for the chunk's own boundary.

        False if they had no place in the cursor's order when they were moved; they count as rows at the
        window's end from now on.
        """
        return self.seen_key != "null" or any(condition.op in UNPLACED for condition in self.conditions)

    def at(self, **changes: Any) -> Chunk:
        """Return a copy of the chunk with the given fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A sink's proof of the rows that it wrote for one chunk.

    ``rows`` were written, ``filtered`` were left out, ``rejected`` were set aside into the file
    ``quarantine``; ``extracted`` is their sum. ``sha256`` is the digest of
    a file's bytes (of several files: of their digests), None from sinks that compute none. ``location`` tells
    people where the rows are. ``boundary_digests`` are the row digests of a boundary chunk (see ``Chunk``).
    ``adopted``: another attempt had written the chunk already. ``anew``: the chunk's snapshot no longer
    existed, so that the rows are of a later moment.
    """

    chunk_id: str
    attempt: int
    rows: int
    bytes: int = 0
    extracted: int | None = None
    filtered: int = 0
    sha256: str | None = None
    files: tuple[StagedFile, ...] = ()
    location: str = ""
    boundary_digests: tuple[str, ...] = ()
    adopted: bool = False
    anew: bool = False
    rejected: int = 0
    quarantine: StagedFile | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a chunk, through which a sink reports and asks whether to go on.

    ``number`` grows with every try; the names of everything that is written contain it, so that a late try
    cannot disturb a newer one. ``will_write(uri, format)`` must be called before the first byte of a file is
    written, so that a crash leaves a record. ``check()`` raises ``LeaseLost`` or ``Drained`` if the worker
    must stop now; call it between batches and before a commit. ``count(rows, bytes)`` reports progress.
    """

    number: int
    worker: str = ""
    run_id: str = ""
    will_write: Callable[[str, str], None] = lambda uri, kind: None
    check: Callable[[], None] = lambda: None
    count: Callable[[int, int], None] = lambda rows, size: None


@dataclass(slots=True)
class Tally:
    """Counts of rows and bytes that a link keeps while batches pass; final after the last batch."""

    extracted: int = 0
    filtered: int = 0
    bytes: int = 0
    digests: list[str] = field(default_factory=list)
    anew: bool = False
    rejected: int = 0
    quarantine: StagedFile | None = None

    def complete(self, receipt: Receipt) -> Receipt:
        """Return the receipt with the link's counts added.

        A sink calls this before it writes the receipt into its ledger, so that the ledger alone can restore
        the state database.
        """
        extracted = self.extracted or receipt.rows + self.filtered + self.rejected
        digests = tuple(self.digests)
        counts: dict[str, Any] = {"filtered": self.filtered, "anew": self.anew}
        counts |= {"rejected": self.rejected, "quarantine": self.quarantine}
        return replace(receipt, extracted=extracted, boundary_digests=digests, **counts)


@dataclass(slots=True)
class Payload:
    """A chunk's content on its way from source to sink: batches, or files to pass on.

    ``table`` is the schema of the batches. ``batches()`` may be called only once. ``files`` are staged files
    whose bytes may be passed on unchanged: ``open(file)`` opens one for reading; ``confirm(file)``, for sinks
    whose server fetches the file, raises ``CorruptFile`` unless the file is still as it was staged.
    """

    table: Table
    batches: Callable[[], Iterator[pa.RecordBatch]]
    files: tuple[StagedFile, ...] = ()
    open: Callable[[StagedFile], BinaryIO] | None = None
    confirm: Callable[[StagedFile], None] | None = None
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """One source or sink as a manifest declares it; ``place`` is its ``(line, column)`` there."""

    name: str
    type: str
    conf: Mapping[str, Any]
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """One pair of source and sink in a plan, with everything that is needed to carry the link out.

    ``key`` identifies the link across runs. ``upstream`` has the keys of the links that feed this one: their
    sink has the name of this link's source. It is empty at the root of a chain.
    """

    key: str
    source: ComponentSpec
    sink: ComponentSpec
    mode: Mode = Mode.APPEND
    upstream: tuple[str, ...] = ()
    site: str | None = None
    transform: str | None = None
    checks: tuple[Mapping[str, Any], ...] = ()
    schema_policy: str = "fail"
    allow_loss: bool | tuple[str, ...] = False
    threads: int | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    type: str = "DataLink"
    union: bool | tuple[str, ...] = False
    on_dead: str = "continue"
    validate: Mapping[str, Any] = field(default_factory=dict)
    """How the target is compared with the source, as the manifest's ``validate:`` says; empty if it does
    not."""
    max_deletes: str = "0"
    """In mode sync, how many rows may be deleted: a number, or a part of the target's rows such as ``1%``."""
    quarantine: ComponentSpec | None = None
    """The file sink into whose store rows are set aside; None if none are."""
    one_of_many: bool = False
    """Whether a template made the link: an error in its table then does not keep the template's other links
    from moving."""


def digest(*parts: str) -> str:
    """Return one sha256, in hex digits, over several texts and their lengths.

    So ``('ab', 'c')`` gives another one than ``('a', 'bc')``.
    """
    total = hashlib.sha256()
    for part in parts:
        raw = part.encode()
        total.update(len(raw).to_bytes(8, "big"))
        total.update(raw)
    return total.hexdigest()
