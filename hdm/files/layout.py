"""How staged files are laid out under a store's root: names, sidecars, manifests.

``<sink>/<table>-<hash8>/[epoch folder/]<chunk 24>.<attempt>.<part>.<ext>`` are data files;
``<chunk 24>.manifest.json`` beside them is made once, names the winner, and is the ledger:
a data file that no manifest names is not published. ``_hdm_table.<schema 8>.json`` holds the
table's schema.
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
"""Beside a manifest: its files were verified downstream, and removed on purpose."""


class Split(Settings):
    """Upper bounds of one file or chunk; ``bytes`` is approximate."""

    rows: int | None = Field(default=None, gt=0)
    """Most rows that one file or chunk holds; left out, no bound."""
    bytes: int | None = Field(default=None, gt=0)
    """About how many bytes one file or chunk holds at most; left out, no bound."""


_STAGED = re.compile(r"[0-9a-f]{24}\.\d+\.\d+\.[a-z.]+")


def is_staged(key: str) -> bool:
    """Whether a name is one that hdm gives to the files it stages."""
    return _STAGED.fullmatch(key.rpartition("/")[2]) is not None


def slug(name: str) -> str:
    """``name`` as a safe folder name: itself if it is one already, else with a hash behind it."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:40]
    return safe if safe == name else f"{safe or 'x'}-{digest(name)[:8]}"


def table_folder(sink: str, table: Table) -> str:
    """The folder of ``table``'s files in the sink named ``sink``."""
    label = re.sub(r"[^A-Za-z0-9_-]+", "_", ".".join(table.path)).strip("_")[:40] or "x"
    return f"{slug(sink)}/{label}-{table.dataset.dataset_id[:8]}"


def chunk_folder(folder: str, job_key: str, epoch: int, mode: Mode) -> str:
    """Where a chunk's files lie: in mode ``replace`` each epoch has a folder of its own."""
    return f"{folder}/epoch-{digest(job_key)[:8]}-{epoch:06d}" if mode is Mode.REPLACE else folder


def stem(chunk: Chunk) -> str:
    """The start of the names of everything that belongs to the chunk."""
    return chunk.chunk_id[:24]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was published for one chunk."""

    chunk: Chunk
    receipt: Receipt
    schema_sha: str

    def encode(self) -> bytes:
        """As the object's bytes, with their own checksum."""
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
    """The manifest object ``key``, or None if there is none; ``CorruptFile`` if it is damaged."""
    body = _unsealed(store, key)
    if body is None:
        return None
    raw = json.loads(body)
    return Manifest(chunk_from_json(raw["chunk"]), receipt_from_json(raw["receipt"]), raw["schema_sha"])


def manifests(store: Store, folder: str) -> Iterator[tuple[str, Manifest]]:
    """Every manifest at or below ``folder``, with its key."""
    for found in store.list(f"{folder}/" if folder else ""):
        if found.key.endswith(MANIFEST):
            manifest = read_manifest(store, found.key)
            if manifest is not None:
                yield found.key, manifest


def removed_key(manifest_key: str) -> str:
    """The name of the object that says that the manifest's files were removed on purpose."""
    return manifest_key.removesuffix(MANIFEST) + REMOVED


def write_removed(store: Store, manifest_key: str) -> None:
    """Say so, before the first of them goes; idempotent."""
    with suppress(FileExistsError):
        store.put_new(removed_key(manifest_key), _sealed(json.dumps({"version": 1})))


def sidecar_key(folder: str, table: Table) -> str:
    """The name of the object that holds the table's schema."""
    return f"{folder}/{SIDECAR}{table.schema_sha[:8]}.json"


def write_sidecar(store: Store, folder: str, table: Table) -> None:
    """Keep the table beside its files; idempotent."""
    key = sidecar_key(folder, table)
    if store.stat(key) is None:
        try:
            store.put_new(key, _sealed(table_to_json(table)))
        except FileExistsError:
            return


def read_sidecar(store: Store, key: str) -> Table:
    """The table that ``write_sidecar`` kept."""
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
