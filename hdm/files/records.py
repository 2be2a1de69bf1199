"""Defines chunk records, which publish the files of one chunk each, and keeps them beside these files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import ClassVar

from hdm.files import layout as files
from hdm.files.stores.base import Store
from hdm.files.writer import disk
from hdm.model import Attempt, Chunk, Receipt, Table


class Records(ABC):
    """Keeps the chunk records of a file sink; a chunk's files are published once it has a record.

    ``folder`` is always the folder of the chunk's files, ``home`` that of all the table's files.
    """

    undo: ClassVar[str] = "delete its manifest"
    """What a person does so that a chunk is no longer published; completes a sentence of advice."""

    @abstractmethod
    def prepare(self, home: str, table: Table) -> None:
        """Create what the records of a table need; may be called again without harm."""

    @abstractmethod
    def find(self, folder: str, chunk: Chunk) -> Receipt | None:
        """Return the receipt in a chunk's record; None if the chunk has none."""

    @abstractmethod
    def create(self, folder: str, chunk: Chunk, receipt: Receipt, table: Table, attempt: Attempt) -> None:
        """Create a chunk's record durably; raise ``FileExistsError`` if the chunk has one.

        Exactly one of several callers succeeds.
        """

    @abstractmethod
    def entries(self, home: str, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield every chunk of the job that has a record, with its receipt."""

    @abstractmethod
    def retire(self, folder: str, chunk: Chunk) -> None:
        """Mark a chunk's files as removed on purpose; may be called again without harm.

        Call this before the first of the files is deleted. The record stays.
        """

    @abstractmethod
    def is_retired(self, folder: str, chunk: Chunk) -> bool:
        """Return True if the chunk's files are marked as removed on purpose."""

    @abstractmethod
    def retired(self, job_key: str, keys: Iterable[str]) -> frozenset[str]:
        """Return the stems (``layout.stem``) of the job's chunks whose files are marked as removed.

        ``keys`` are the keys of all objects in the table's folder.
        """

    @abstractmethod
    def newest_epoch(self, home: str, job_key: str) -> int:
        """Return the greatest epoch of the job that has a record or a folder; 0 if there is none."""

    def complete(self, folder: str, table: Table) -> None:
        """Mark the epoch with that folder as complete; the default does nothing.

        Needed for mode ``replace`` only.
        """
        return

    def abort(self, folder: str, chunk: Chunk) -> None:
        """Abort unfinished creations of a chunk's record; the default does nothing."""
        return


class StoreRecords(Records):
    """Keeps each record as an object beside the chunk's files, which the store creates once."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def prepare(self, home: str, table: Table) -> None:
        """Write the table's schema beside its files, for the sources that read them."""
        with disk(f"the folder of {table.dataset.name}"):
            files.write_sidecar(self.store, home, table)

    def find(self, folder: str, chunk: Chunk) -> Receipt | None:
        """Return the receipt in the record; raise ``CorruptFile`` if the record is damaged."""
        manifest = files.read_manifest(self.store, _key(folder, chunk))
        return None if manifest is None else manifest.receipt

    def create(self, folder: str, chunk: Chunk, receipt: Receipt, table: Table, attempt: Attempt) -> None:
        """Create the object; raise ``FileExistsError`` if there is one."""
        with disk(f"the manifest of a chunk of {table.dataset.name}"):
            record = files.Manifest(chunk, receipt, table.schema_sha)
            self.store.put_new(_key(folder, chunk), record.encode())

    def entries(self, home: str, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield what the records at and below the table's folder say."""
        for _, manifest in files.manifests(self.store, home):
            if manifest.chunk.job_key == job_key:
                yield manifest.chunk, manifest.receipt

    def retire(self, folder: str, chunk: Chunk) -> None:
        """Create an object beside the record that marks the files as removed."""
        files.write_removed(self.store, _key(folder, chunk))

    def is_retired(self, folder: str, chunk: Chunk) -> bool:
        """Return True if an object marks the chunk's files as removed."""
        return self.store.stat(files.removed_key(_key(folder, chunk))) is not None

    def retired(self, job_key: str, keys: Iterable[str]) -> frozenset[str]:
        """Return the stems of the chunks whose files objects mark as removed, other jobs included."""
        marks = (key.rpartition("/")[2] for key in keys if key.endswith(files.REMOVED))
        return frozenset(mark.removesuffix(files.REMOVED) for mark in marks)

    def newest_epoch(self, home: str, job_key: str) -> int:
        """Return the greatest epoch that has a folder."""
        start = files.epoch_folders(home, job_key)
        keys = (found.key.removeprefix(start).partition("/")[0] for found in self.store.list(start))
        return max((int(key) for key in keys if key.isdecimal()), default=0)

    def complete(self, folder: str, table: Table) -> None:
        """Create the object after which sources read the epoch's files."""
        with suppress(FileExistsError), disk(f"the end mark of {table.dataset.name}"):
            self.store.put_new(f"{folder}/{files.DONE}", b"{}")

    def abort(self, folder: str, chunk: Chunk) -> None:
        """Abort unfinished uploads of the record."""
        self.store.abort_uploads(_key(folder, chunk))


def _key(folder: str, chunk: Chunk) -> str:
    return f"{folder}/{files.stem(chunk)}{files.MANIFEST}"
