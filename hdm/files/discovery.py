"""What lies under a store's root: staged datasets by their manifests, foreign files by name."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import BinaryIO, cast

from hdm.errors import CorruptFile, UsageError
from hdm.files import layout as files
from hdm.files.formats import format_named, format_of
from hdm.files.stores.base import Stat, Store
from hdm.model import Dataset, StagedFile, Table

_BLOCK = 1024 * 1024


@dataclass(slots=True)
class Found:
    """One dataset: its table and the keys of what holds its rows. ``replaced``: it is staged whole,
    again and again, and these are the newest."""

    table: Table
    manifests: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    format: str | None = None
    replaced: bool = False

    def files(self, store: Store) -> Iterator[StagedFile]:
        """Its published files in a stable order. Files that retention has removed are left out;
        a foreign file is read once, for its checksum and row count."""
        for key in self.manifests:
            manifest = files.read_manifest(store, key)
            for file in manifest.receipt.files if manifest else ():
                if self.format in (None, file.format) and store.stat(store.key(file.uri)) is not None:
                    yield file
        for key in self.foreign:
            yield _measured(store, key)


def find(
    store: Store, namespace: str, file_format: str | None, table_name: str | None, pattern: str | None
) -> list[Found]:
    """Every dataset under the root, by name, that the arguments do not leave out."""
    listed = list(store.list(""))
    found = _staged(store, listed, file_format) if pattern is None else []
    ours = {stat.key.rpartition("/")[0] for stat in listed if _is_sidecar(stat.key)}
    found += _foreign(store, listed, ours, namespace, file_format, pattern, table_name)
    if table_name is not None:
        found = [one for one in found if _is_named(one.table, table_name)]
    return sorted(found, key=lambda one: one.table.dataset.name)


def _is_sidecar(key: str) -> bool:
    return key.rpartition("/")[2].startswith(files.SIDECAR)


def _is_named(table: Table, name: str) -> bool:
    names = (".".join(table.path), table.path[-1], table.dataset.name)
    return name.casefold() in {one.casefold() for one in names}


def _staged(store: Store, listed: list[Stat], file_format: str | None) -> list[Found]:
    newest: dict[str, Stat] = {}
    for stat in listed:
        if _is_sidecar(stat.key):
            folder = stat.key.rpartition("/")[0]
            if folder not in newest or stat.modified >= newest[folder].modified:
                newest[folder] = stat
    result = []
    for folder, sidecar in newest.items():
        below = [stat.key for stat in listed if stat.key.startswith(f"{folder}/")]
        complete = {key.rpartition("/")[0] for key in below if key.endswith(f"/{files.DONE}")}
        current = {max(complete, key=str) for complete in _by_job(complete)} or {folder}
        manifests = [
            key for key in below if key.endswith(files.MANIFEST) and key.rpartition("/")[0] in current
        ]
        table = files.read_sidecar(store, sidecar.key)
        result.append(Found(table, manifests, format=file_format, replaced=bool(complete)))
    return result


def _by_job(folders: set[str]) -> list[set[str]]:
    """Epoch folders grouped by their job: ``epoch-<job 8>-<number 6>``."""
    jobs: dict[str, set[str]] = {}
    for folder in folders:
        jobs.setdefault(folder.rpartition("-")[0], set()).add(folder)
    return list(jobs.values())


def _foreign(
    store: Store,
    listed: list[Stat],
    ours: set[str],
    namespace: str,
    file_format: str | None,
    pattern: str | None,
    table_name: str | None,
) -> list[Found]:
    """Files that hdm did not stage. With a pattern all matching files are one dataset; else a
    file at the root is one of its own, and a folder's files are one together."""
    groups: dict[str, list[str]] = {}
    for stat in listed:
        folder, _, name = stat.key.rpartition("/")
        kind = format_of(name)
        if kind is None or file_format not in (None, kind[0]) or _below(folder, ours):
            continue
        if pattern is None:
            groups.setdefault(folder or name.partition(".")[0], []).append(stat.key)
        elif fnmatch(stat.key, pattern):
            groups.setdefault(table_name or "files", []).append(stat.key)
    return [_described(store, namespace, name, keys) for name, keys in groups.items()]


def _below(folder: str, ours: set[str]) -> bool:
    return any(folder == one or folder.startswith(f"{one}/") for one in ours)


def _described(store: Store, namespace: str, name: str, keys: list[str]) -> Found:
    kind, compression = format_of(keys[0]) or ("parquet", "none")
    with _named(store, keys[0]), store.open(keys[0]) as remote, _seekable(store, remote) as stream:
        table = format_named(kind).describe(
            stream, compression, Dataset(namespace, name), (name.rpartition("/")[2],)
        )
    return Found(table, foreign=sorted(keys))


def _measured(store: Store, key: str) -> StagedFile:
    kind, compression = format_of(key) or ("parquet", "none")
    with _named(store, key), store.open(key) as remote, _seekable(store, remote) as stream:
        sha256, size = _hashed(stream)
        stream.seek(0)
        rows = format_named(kind).rows(stream, compression)
    return StagedFile(store.uri(key), kind, size, rows, sha256)


@contextmanager
def _named(store: Store, key: str) -> Iterator[None]:
    """What is wrong with a file that hdm did not stage is said with its name."""
    try:
        yield
    except (CorruptFile, UsageError) as error:
        error.message = f"{store.uri(key)}: {error.message}"
        error.hint = "mend the file or take it away; pattern: and file_format: leave files out"
        raise


@contextmanager
def _seekable(store: Store, stream: BinaryIO) -> Iterator[BinaryIO]:
    """``stream`` itself, or a copy of it where the store's streams can only be read on."""
    if store.seekable:
        yield stream
        return
    with tempfile.TemporaryFile(prefix="hdm-") as copy:
        shutil.copyfileobj(stream, copy, _BLOCK)
        copy.seek(0)
        yield cast(BinaryIO, copy)


def _hashed(stream: BinaryIO) -> tuple[str, int]:
    total, size = hashlib.sha256(), 0
    while block := stream.read(_BLOCK):
        total.update(block)
        size += len(block)
    return total.hexdigest(), size
