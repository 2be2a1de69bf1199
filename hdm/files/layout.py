"""Defines the names of staged files under a store's root: data files, sidecars, chunk records.

``<sink>/<table>-<hash8>/[epoch folder/]<chunk 24>.<attempt>.<part>.<ext>`` are data files. ``<chunk
24>.manifest.json`` beside them is the chunk record, which is created once and names the files of the attempt
that published the chunk. These records are the ledger: a data file that none of them names is not published.
``_hdm_table.<schema 8>.json``, the sidecar, has the table's schema.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from pydantic import Field

from hdm.components.settings import Settings
from hdm.errors import CorruptFile
from hdm.files.stores.base import Store
from hdm.model import Chunk, Mode, Receipt, Table, digest
from hdm.model.json import (
    chunk_from_json,
    chunk_to_json,
    receipt_from_json,
    receipt_to_json,
    table_from_json,
    table_to_json,
)

MANIFEST = ".manifest.json"
SIDECAR = "_hdm_table."
DONE = "_hdm_epoch_done.json"
REMOVED = ".removed.json"
"""Ending of an object beside a chunk record: the chunk's files were verified downstream and then removed."""


class Split(Settings):
    """Configuration of the greatest size of a file or chunk, in rows and bytes (approximate)."""

    rows: int | None = Field(default=None, gt=0)
    """Most rows that one file or chunk holds; left out, no bound."""
    bytes: int | None = Field(default=None, gt=0)
    """About how many bytes one file or chunk holds at most; left out, no bound."""


_STAGED = re.compile(r"[0-9a-f]{24}\.\d+\.\d+\.[a-z.]+")


def is_staged(key: str) -> bool:
    """Return True if an object's name is one that hdm gives to the files it stages."""
    return _STAGED.fullmatch(key.rpartition("/")[2]) is not None


def slug(name: str) -> str:
    """Return a safe folder name: ``name`` itself if it is safe, else a safe form of it with a hash."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:40]
    return safe if safe == name else f"{safe or 'x'}-{digest(name)[:8]}"


def table_folder(sink: str, table: Table) -> str:
    """Return the folder for a table's files in the sink named ``sink``."""
    label = re.sub(r"[^A-Za-z0-9_-]+", "_", ".".join(table.path)).strip("_")[:40] or "x"
    return f"{slug(sink)}/{label}-{table.dataset.dataset_id[:8]}"


def chunk_folder(folder: str, job_key: str, epoch: int, mode: Mode) -> str:
    """Return the folder for a chunk's files; in mode ``replace`` each epoch has a folder of its own."""
    return f"{epoch_folders(folder, job_key)}{epoch:06d}" if mode.rules.swaps_at_end else folder


def epoch_folders(folder: str, job_key: str) -> str:
    """Return the start of the keys of a job's epoch folders; six digits of the epoch follow."""
    return f"{folder}/epoch-{digest(job_key)[:8]}-"


def stem(chunk: Chunk) -> str:
    """Return the beginning of the names of all objects that belong to a chunk."""
    return chunk.chunk_id[:24]


def attempt_pattern(folder: str, job_key: str, mode: Mode) -> tuple[str, str]:
    """Return how the keys of an attempt's files begin: literal text, then a format string.

    ``FileNames`` fills in its fields: ``{chunk}`` and ``{attempt}``, and in mode replace, where each epoch
    has a folder, ``{epoch}``.
    """
    if mode.rules.swaps_at_end:
        return epoch_folders(folder, job_key), "{epoch:06d}/{chunk:.24}.{attempt}"
    return f"{folder}/", "{chunk:.24}.{attempt}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The chunk record: the record of one published chunk, with the receipt that names the chunk's files."""

    chunk: Chunk
    receipt: Receipt
    schema_sha: str

    def encode(self) -> bytes:
        """Return the bytes that store this chunk record, with their own checksum."""
        body = json.dumps(
            {
                "version": 1,
                "chunk": chunk_to_json(self.chunk),
                "receipt": receipt_to_json(self.receipt),
                "schema_sha": self.schema_sha,
            },
            sort_keys=True,
        )
        return _sealed(body)


def read_manifest(store: Store, key: str) -> Manifest | None:
    """Return the chunk record at ``key``; None if there is no such object.

    Raises ``CorruptFile`` if it is damaged.
    """
    body = _unsealed(store, key)
    if body is None:
        return None
    raw = json.loads(body)
    return Manifest(chunk_from_json(raw["chunk"]), receipt_from_json(raw["receipt"]), raw["schema_sha"])


def manifests(store: Store, folder: str) -> Iterator[tuple[str, Manifest]]:
    """Yield every chunk record at or below a folder, with its key.

    Raises ``CorruptFile`` if one is damaged.
    """
    for found in store.list(f"{folder}/" if folder else ""):
        if found.key.endswith(MANIFEST):
            manifest = read_manifest(store, found.key)
            if manifest is not None:
                yield found.key, manifest


def removed_key(manifest_key: str) -> str:
    """Return the key of the object that marks a chunk's files as removed on purpose."""
    return manifest_key.removesuffix(MANIFEST) + REMOVED


def write_removed(store: Store, manifest_key: str) -> None:
    """Mark a chunk's files as removed on purpose.

    Call this before the first file is deleted. May be called again without harm.
    """
    with suppress(FileExistsError):
        store.put_new(removed_key(manifest_key), _sealed(json.dumps({"version": 1})))


def sidecar_key(folder: str, table: Table) -> str:
    """Return the key of the sidecar, the object with the table's schema."""
    return f"{folder}/{SIDECAR}{table.schema_sha[:8]}.json"


def write_sidecar(store: Store, folder: str, table: Table) -> None:
    """Write the sidecar, an object with the table's schema, beside the table's files.

    May be called again without harm.
    """
    key = sidecar_key(folder, table)
    if store.stat(key) is None:
        try:
            store.put_new(key, _sealed(table_to_json(table)))
        except FileExistsError:
            return


def read_sidecar(store: Store, key: str) -> Table:
    """Return the table whose schema ``write_sidecar`` wrote.

    Raises ``CorruptFile`` if the object is gone or damaged.
    """
    body = _unsealed(store, key)
    if body is None:
        raise CorruptFile(f"{key} is gone", hint="stage the table again")
    return table_from_json(body)


def _sealed(body: str) -> bytes:
    return json.dumps({"body": body, "sha256": hashlib.sha256(body.encode()).hexdigest()}).encode()


def _unsealed(store: Store, key: str) -> str | None:
    try:
        with store.open(key) as stream:
            raw = stream.read()
    except FileNotFoundError:
        return None
    try:
        sealed = json.loads(raw)
        body: str = sealed["body"]
        intact = hashlib.sha256(body.encode()).hexdigest() == sealed["sha256"]
    except (ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise CorruptFile(
            f"{store.uri(key)} is damaged",
            hint="restore it from a copy, or delete it and run again to stage the chunk anew",
        )
    return body
