"""Functions over streams of Arrow record batches: resize, count, compare rows, fit to a schema."""

from __future__ import annotations

import hashlib
import math
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from hdm.errors import SchemaDrift, UnrepresentableValue

BATCH_ROWS = 65_536
BATCH_BYTES = 16 * 1024 * 1024
_SMALL = 8
"""A batch below this fraction (1/8) of both bounds is joined with others; copying larger ones costs more than
it saves."""


def rebatch(
    batches: Iterable[pa.RecordBatch], rows: int = BATCH_ROWS, max_bytes: int = BATCH_BYTES
) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of at most ``rows`` rows and ``max_bytes`` bytes.

    A single row larger than ``max_bytes`` makes a batch of its own. Small batches are joined until they are
    no longer small; the order of rows is kept; empty batches are dropped.
    """
    waiting: list[pa.RecordBatch] = []
    count = size = 0
    for batch in batches:
        for piece in _cut(batch, rows, max_bytes):
            piece_size = piece.nbytes
            grown = count * _SMALL >= rows or size * _SMALL >= max_bytes
            large = piece.num_rows * _SMALL >= rows or piece_size * _SMALL >= max_bytes
            full = count + piece.num_rows > rows or size + piece_size > max_bytes
            if waiting and (grown or large or full):
                yield _join(waiting)
                waiting, count, size = [], 0, 0
            waiting.append(piece)
            count += piece.num_rows
            size += piece_size
    if waiting:
        yield _join(waiting)


def _cut(batch: pa.RecordBatch, rows: int, max_bytes: int) -> Iterator[pa.RecordBatch]:
    if batch.num_rows == 0:
        return
    if batch.num_rows > 1 and (batch.num_rows > rows or batch.nbytes > max_bytes):
        step = rows if batch.num_rows > rows else batch.num_rows // 2
        for start in range(0, batch.num_rows, step):
            yield from _cut(batch.slice(start, step), rows, max_bytes)
    else:
        yield batch


def _join(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


# -- rows as digests -----------------------------------------------------------

_NULL = b"\x00"
_KEY_DIGITS = 32


def row_digests(batch: pa.RecordBatch) -> list[str]:
    """Return the sha256 of each row as 64 hex digits, whatever batch the row is in.

    A row is encoded as its values in column order. Each value is a NULL tag, or a type tag, an 8-byte length
    and the bytes; so NULL, '' and 'NULL' differ, and ('ab','c') differs from ('a','bc'). Raises ``TypeError``
    for a column of a type that hdm does not use.
    """
    columns = [_encoded(batch.column(i)) for i in range(batch.num_columns)]
    digests = []
    for number in range(batch.num_rows):
        total = hashlib.sha256()
        for values in columns:
            total.update(values[number])
        digests.append(total.hexdigest())
    return digests


def _encoded(array: pa.Array) -> list[bytes]:
    tag, values = _tagged(array)
    return [_NULL if value is None else tag + len(value).to_bytes(8, "big") + value for value in values]


def _tagged(array: pa.Array) -> tuple[bytes, list[bytes | None]]:
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return b"s", _raw(array, pa.binary() if pa.types.is_string(kind) else pa.large_binary())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return b"b", array.to_pylist()
    if pa.types.is_boolean(kind):
        return b"o", [None if v is None else bytes([v]) for v in array.to_pylist()]
    if pa.types.is_integer(kind):
        return b"i", _ascii(array.to_pylist())
    if pa.types.is_floating(kind):
        return b"f", [None if v is None else _float(v) for v in array.to_pylist()]
    if pa.types.is_decimal(kind):
        return b"d", _raw(array.cast(pa.string()), pa.binary())
    if pa.types.is_date32(kind):
        return b"D", _ascii(array.cast(pa.int32()).to_pylist())
    if pa.types.is_time(kind):
        return b"t" + kind.unit.encode(), _ascii(_integers(array))
    if pa.types.is_timestamp(kind):
        return (b"Z" if kind.tz else b"T") + kind.unit.encode(), _ascii(_integers(array))
    if pa.types.is_null(kind):
        return b"n", [None] * len(array)
    raise TypeError(f"no digest for a column of type {kind}")


def _raw(array: pa.Array, carrier: pa.DataType) -> list[bytes | None]:
    values: list[bytes | None] = array.cast(carrier).to_pylist()
    return values


def _integers(array: pa.Array) -> list[int | None]:
    wide = pa.int32() if array.type.bit_width == 32 else pa.int64()
    values: list[int | None] = array.cast(wide).to_pylist()
    return values


def _ascii(values: list[int | None]) -> list[bytes | None]:
    return [None if value is None else b"%d" % value for value in values]


def _float(value: float) -> bytes:
    return b"nan" if math.isnan(value) else struct.pack(">d", value)


def subtract(batch: pa.RecordBatch, known: Counter[str]) -> tuple[pa.RecordBatch, int]:
    """Remove the rows whose digest is in ``known``, each digest as often as it is counted there.

    Returns the remaining rows and the number of removed ones. Changes ``known``: every removed row lowers the
    count of its digest.
    """
    if not known:
        return batch, 0
    keep = []
    for digest in row_digests(batch):
        found = known.get(digest, 0)
        keep.append(not found)
        if found == 1:
            del known[digest]
        elif found:
            known[digest] = found - 1
    taken = keep.count(False)
    return (batch.filter(pa.array(keep, pa.bool_())) if taken else batch), taken


def row_tokens(batch: pa.RecordBatch, key: Sequence[str] = ()) -> list[str]:
    """Return a text (token) for each row, by which a later reading recognises the row.

    A token is the row's digest. If ``key`` names columns, a full stop and the first 32 hex digits of the
    key's digest follow: a row that was changed in place can then be told from a new one.
    """
    digests = row_digests(batch)
    if not key:
        return digests
    keys = row_digests(batch.select(list(key)))
    return [f"{row}.{one[:_KEY_DIGITS]}" for row, one in zip(digests, keys, strict=True)]


@dataclass(slots=True)
class Compared:
    """Result of comparing some rows with rows that were moved before, as numbers of rows.

    ``new``: rows that are not known. ``changed``: rows with a known key and other values. ``gone``: known
    rows that were not found.
    """

    new: int = 0
    changed: int = 0
    gone: int = 0


class KnownRows:
    """Tokens of rows that were moved before, each with a count; removes such rows from batches.

    A token removes as many rows as it was counted. With a ``key``, a row whose key is known is not new,
    whatever its values are now.
    """

    def __init__(self, tokens: Mapping[str, int], key: Sequence[str] = ()) -> None:
        self.rows: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.key = tuple(key)
        for token, count in tokens.items():
            row, _, known = token.partition(".")
            self.rows[row] += count
            if known and key:
                self.keys.add(known)

    def __bool__(self) -> bool:
        return bool(self.rows or self.keys)

    def take_out(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
        """Return the rows of ``batch`` that are new, and how many rows were removed."""
        left, taken = subtract(batch, self.rows)
        if self.keys and left.num_rows:
            keep = [key[:_KEY_DIGITS] not in self.keys for key in row_digests(left.select(list(self.key)))]
            changed = keep.count(False)
            if changed:
                left, taken = left.filter(pa.array(keep, pa.bool_())), taken + changed
        return left, taken

    def compare(self, batches: Iterable[pa.RecordBatch]) -> Compared:
        """Count how the rows of ``batches`` differ from the known ones.

        Every known row that is found lowers its count, so the answer is right only for the first call.
        """
        found = Compared()
        for batch in batches:
            left, same = subtract(batch, self.rows)
            fresh, _ = self.take_out(left)
            found.new += fresh.num_rows
            found.changed += batch.num_rows - same - fresh.num_rows
        found.gone = max(self.rows.total() - found.changed, 0)
        return found


# -- conform -------------------------------------------------------------------


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with exactly the given schema: columns found by name, cast to the schema's types.

    Raises ``SchemaDrift`` when names differ or a NOT NULL column holds NULL, and ``UnrepresentableValue``
    when a value does not fit the type. Never alters a value.
    """
    if batch.schema.equals(schema):
        ready = batch
    else:
        _same_names(batch.schema, schema)
        arrays = [_carry(batch.column(batch.schema.get_field_index(f.name)), f) for f in schema]
        ready = pa.RecordBatch.from_arrays(arrays, schema=schema)
    for number, field in enumerate(schema):
        if not field.nullable and ready.column(number).null_count:
            raise SchemaDrift(
                f"column {field.name} is declared NOT NULL but holds NULL",
                hint="declare the column nullable, or read the table's schema again",
            )
    return ready


def _same_names(found: pa.Schema, wanted: pa.Schema) -> None:
    if len(set(found.names)) != len(found.names):
        raise SchemaDrift("two columns of one batch have the same name", hint="rename one of them")
    missing = [name for name in wanted.names if name not in found.names]
    extra = [name for name in found.names if name not in wanted.names]
    if missing or extra:
        raise SchemaDrift(
            f"columns differ from the plan: missing {missing}, unexpected {extra}",
            hint="plan again, or set schema_policy",
        )


def _carry(array: pa.Array, field: pa.Field) -> pa.Array:
    if array.type == field.type:
        return array
    try:
        made = pc.cast(array, field.type, safe=True)
        if not _changes_values(array, made):
            return made
        why: BaseException = ValueError("values change")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        # Arrow's own message may quote a value, so it is not passed on.
        why = silent(error)
    raise UnrepresentableValue(
        f"column {field.name}: a value of type {array.type} does not fit {field.type}",
        hint="widen the target column, or declare the loss with allow_loss",
    ) from why


def _changes_values(array: pa.Array, made: pa.Array) -> bool:
    """Whether a cast that Arrow calls safe changed a value.

    It rounds floats, and drops the time of day; cast back, such a value is another one.
    """
    if not (_is_measured(array.type) and _is_measured(made.type)):
        return False
    try:
        back = pc.cast(made, array.type, safe=False)
        same = pc.equal(back, array)
        if pa.types.is_floating(array.type):
            same = pc.or_(same, pc.and_(pc.is_nan(back), pc.is_nan(array)))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return bool(pa.types.is_temporal(array.type))  # from a time of day no way leads back to the day
    return not pc.all(same, min_count=0).as_py()


def _is_measured(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers, booleans or moments."""
    return bool(pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind))


def silent(error: BaseException) -> BaseException:
    """Return an exception that names only the class of ``error``.

    The text of ``error`` itself may quote row values.
    """
    return ValueError(f"{type(error).__name__}: details withheld, they may quote row values")
