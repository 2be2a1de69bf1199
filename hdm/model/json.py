"""Converts the model's values to JSON and back, for the state database and the targets' ledgers.

The format is private to hdm but stable: JSON that any earlier version wrote can be read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

import pyarrow as pa

from hdm.model.values import Chunk, Column, Condition, Dataset, Kind, Receipt, StagedFile, Table

_PLAIN_TYPES: dict[str, pa.DataType] = {
    str(t): t
    for t in (
        pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(),
        pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(),
        pa.float32(), pa.float64(), pa.string(), pa.large_string(), pa.binary(), pa.large_binary(),
        pa.date32(), pa.time64("us"), pa.time64("ns"),
        pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns"),
        pa.timestamp("us", "UTC"), pa.timestamp("ns", "UTC"), pa.null(),
    )
}  # fmt: skip


def type_text(carrier: pa.DataType) -> str:
    """Return an Arrow type as text, e.g. ``decimal128(15, 2)``; ``type_from_text`` reads it back."""
    return str(carrier)


def type_from_text(text: str) -> pa.DataType:
    """Return the carrier (Arrow type) of which ``type_text`` made this text.

    Raises ``ValueError`` if the text does not name a type in which hdm's columns travel.
    """
    plain = _PLAIN_TYPES.get(text)
    if plain is not None:
        return plain
    name, _, arguments = text.partition("(")
    if name in ("decimal128", "decimal256"):
        precision, scale = (int(part) for part in arguments.rstrip(")").split(","))
        make = pa.decimal128 if name == "decimal128" else pa.decimal256
        return make(precision, scale)
    raise ValueError(f"not a carrier type: {text}")


def table_to_json(table: Table) -> str:
    """Return a table as one JSON object."""
    body = asdict(table)
    for raw, column in zip(body["columns"], table.columns, strict=True):
        raw["type"], raw["kind"] = type_text(column.type), column.kind.value
    return _dump(body)


def table_from_json(text: str) -> Table:
    """Return the table for a JSON text that ``table_to_json`` wrote."""
    body = json.loads(text)
    columns = tuple(
        Column(**{**raw, "type": type_from_text(raw["type"]), "kind": Kind(raw["kind"])})
        for raw in body.pop("columns")
    )
    dataset = Dataset(**body.pop("dataset"))
    path, key = tuple(body.pop("path")), tuple(body.pop("key"))
    return Table(dataset=dataset, path=path, columns=columns, key=key, **body)


def chunk_to_json(chunk: Chunk) -> str:
    """Return a chunk as one JSON object."""
    return _dump(chunk)


def chunk_from_json(text: str) -> Chunk:
    """Return the chunk for a JSON text that ``chunk_to_json`` wrote; it has the same ``chunk_id``."""
    body = json.loads(text)
    body["dataset"] = Dataset(**body["dataset"])
    body["conditions"] = tuple(Condition(**c) for c in body["conditions"])
    body["files"] = tuple(StagedFile(**f) for f in body["files"])
    return Chunk(**body)


def receipt_to_json(receipt: Receipt) -> str:
    """Return a receipt as one JSON object."""
    return _dump(receipt)


def receipt_from_json(text: str) -> Receipt:
    """Return the receipt for a JSON text that ``receipt_to_json`` wrote."""
    body = json.loads(text)
    if body.get("quarantine") is not None:
        body["quarantine"] = StagedFile(**body["quarantine"])
    body["files"] = tuple(StagedFile(**f) for f in body["files"])
    body["boundary_digests"] = tuple(body["boundary_digests"])
    return Receipt(**body)


_LATER = frozenset({"again", "anew", "relation", "rows_in_all", "quarantine"})
"""Fields that later versions added; omitted while they are unset, so that the JSON of older values does not
change."""


def _fields(value: Any) -> dict[str, Any]:
    """Return a dataclass's fields without copying their values; each chunk is encoded several times."""
    found = {one.name: getattr(value, one.name) for one in fields(value)}
    return {
        name: held
        for name, held in found.items()
        if not (name in _LATER and (held is None or held is False)) and not (name == "rejected" and not held)
    }


_dump = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_fields).encode
