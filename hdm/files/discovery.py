"""Finds the datasets under a store's root: staged files by their chunk records, other files by name."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from itertools import islice
from typing import BinaryIO, cast

from hdm.errors import CorruptFile, SchemaDrift, UsageError
from hdm.files import differing, partition_folders
from hdm.files import layout as files
from hdm.files.formats import Format, compression_of, format_named, format_of
from hdm.files.formats.declared import Declared
from hdm.files.stores.base import Stat, Store
from hdm.model import Dataset, StagedFile, Table

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """A source's settings that say which files it reads, and how; see ``FileSourceConfig``."""

    file_format: str | None = None
    table_name: str | None = None
    pattern: str | None = None
    declared: Declared = field(default_factory=Declared)
    partitions: bool = True
    others_delete: bool = False
    schema_policy: str = "fail"

    def format(self, name: str, key: str) -> Format:
        """Return the format called ``name``, to read the file ``key``.

        Files that hdm staged are as it writes them; others are as the source's conf declares.
        """
        if files.is_staged(key):
            return format_named(name)
        return format_named(name, self.declared.delimiter).declared(self.declared)

    def alike(self, key: str) -> bool:
        """Return True if the file ``key`` must have exactly the table's columns."""
        return self.schema_policy == "fail" or files.is_staged(key)

    def kind(self, key: str) -> str | None:
        """Return the name of the format of the file ``key``; None if it is not to be read.

        That of the settings, for a file that their pattern selects, else the one that the file's name tells.
        """
        if self.pattern is not None and self.file_format is not None:
            return self.file_format
        found = format_of(key)
        return found[0] if found and self.file_format in (None, found[0]) else None

    def values(self, key: str) -> dict[str, str | None]:
        """Return the columns and values that the names of a file's folders give (``dt=2024-01-01``).

        Empty for files that hdm staged, and if the source's ``partitions`` is off.
        """
        return {} if files.is_staged(key) or not self.partitions else partition_folders.values_of(key)


@dataclass(slots=True)
class Found:
    """A dataset that was found in a store: its table, and the keys of the objects with its rows.

    ``manifests`` are keys of chunk records, ``foreign`` those of files that hdm did not stage. ``replaced``:
    each run stages it as a whole (mode ``replace``), and ``manifests`` are those of each job's newest
    complete epoch.
    """

    table: Table
    wanted: Wanted
    manifests: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    replaced: bool = False

    def files(self, store: Store) -> Iterator[StagedFile]:
        """Yield the dataset's published files in a stable order, without those that ``hdm gc`` removed.

        A file that hdm did not stage is read once, for its checksum and row count. Raises ``CorruptFile`` if
        a published file is gone and nothing says that it was removed on purpose, unless ``others_delete`` is
        set for the source.
        """
        for key in self.manifests:
            manifest = files.read_manifest(store, key)
            for file in manifest.receipt.files if manifest else ():
                if self.wanted.file_format not in (None, file.format):
                    continue
                if store.stat(store.key(file.uri)) is not None:
                    yield file
                elif not self.wanted.others_delete and store.stat(files.removed_key(key)) is None:
                    raise CorruptFile(
                        f"{file.uri} is gone, though {store.uri(key)} says that it was published",
                        hint="restore it; or, if others take files away, write others_delete: true",
                    )
        for key in self.foreign:
            yield _measured(store, key, self.table, self.wanted)


def find(store: Store, namespace: str, wanted: Wanted) -> list[Found]:
    """Return every dataset under the store's root that the source's settings select, sorted by name.

    With a ``pattern``, only files that hdm did not stage are found. Raises ``UsageError`` for a file of a
    Delta Lake or Hudi table, and for folders that give different columns; without a pattern also if a data
    file of a format that hdm does not read lies beside files to read: without its rows the dataset would be
    incomplete.
    """
    listed = list(store.list(""))
    found = _staged(store, listed, wanted) if wanted.pattern is None else []
    ours = {stat.key.rpartition("/")[0] for stat in listed if _is_sidecar(stat.key)}
    found += _foreign(store, listed, ours, namespace, wanted)
    if wanted.table_name is not None:
        found = [one for one in found if _is_named(one.table, wanted.table_name)]
    return sorted(found, key=lambda one: one.table.dataset.name)


def unread(store: Store) -> list[str]:
    """Return up to five keys of files under the store's root, to name them in an error.

    Marker files of hdm and of other systems are left out.
    """
    seen = (stat.key for stat in store.list("") if not _is_mark(stat.key))
    return list(islice(seen, 5))


def _is_sidecar(key: str) -> bool:
    return key.rpartition("/")[2].startswith(files.SIDECAR)


def _is_named(table: Table, name: str) -> bool:
    names = (".".join(table.path), table.path[-1], table.dataset.name)
    return name.casefold() in {one.casefold() for one in names}


def _staged(store: Store, listed: list[Stat], wanted: Wanted) -> list[Found]:
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
        result.append(Found(table, wanted, manifests, replaced=bool(complete)))
    return result


def _by_job(folders: set[str]) -> list[set[str]]:
    """Group epoch folders, named ``epoch-<job 8>-<number 6>``, by their job."""
    jobs: dict[str, set[str]] = {}
    for folder in folders:
        jobs.setdefault(folder.rpartition("-")[0], set()).add(folder)
    return list(jobs.values())


def _foreign(store: Store, listed: list[Stat], ours: set[str], namespace: str, wanted: Wanted) -> list[Found]:
    """Return the datasets of files that hdm did not stage.

    With a pattern, all matching files are one dataset. Without one, each file at the root is a dataset,
    and each folder is one, together with the folders below it whose names give columns.
    """
    groups: dict[str, list[str]] = {}
    others: list[str] = []
    for stat in listed:
        folder, _, name = stat.key.rpartition("/")
        if _below(folder, ours) or _is_mark(stat.key):
            continue
        _refuse_managed(store, stat.key)
        kind = wanted.kind(stat.key)
        if kind is None and format_of(name) is not None:
            continue
        group = _group(store, stat.key, wanted)
        if wanted.pattern is not None:
            if not fnmatch(stat.key, wanted.pattern):
                continue
            group = wanted.table_name or "files"
        if kind is not None:
            groups.setdefault(group, []).append(stat.key)
        else:
            others.append(stat.key)
    if wanted.pattern is None:
        folders = {_folder(key) for keys in groups.values() for key in keys}
        _refuse_parts(store, [key for key in others if _folder(key) in folders])
    return [_described(store, namespace, name, keys, wanted) for name, keys in groups.items()]


def _group(store: Store, key: str, wanted: Wanted) -> str:
    folder, _, name = key.rpartition("/")
    if not wanted.partitions or "=" not in folder:
        return folder or name.partition(".")[0]
    base = partition_folders.folder_without(key)
    return base or store.uri("x").split("/")[-2]


def _below(folder: str, ours: set[str]) -> bool:
    return any(folder == one or folder.startswith(f"{one}/") for one in ours)


def _is_mark(key: str) -> bool:
    """Whether hdm or another system wrote this file beside the data: end marks, checksums, hidden files."""
    name = key.rpartition("/")[2]
    if name.startswith((".", "_hdm_")) or name.endswith((".crc", files.MANIFEST, files.REMOVED)):
        return True
    return name.startswith("_") and format_of(name) is None


def _refuse_managed(store: Store, key: str) -> None:
    """Refuse a file of a Delta Lake or Hudi table: a log beside the files says which of them count."""
    parts = key.split("/")
    for mark, system in _LOGS.items():
        if mark in parts[:-1]:
            raise UsageError(
                f"{store.uri(key)} belongs to a {system} table, whose log says which of its files count",
                hint="export the table to plain files, or read it through a system that knows it",
            )


_LOGS = {"_delta_log": "Delta Lake", ".hoodie": "Hudi"}


def _folder(key: str) -> str:
    """Return the folder whose files are one table; '' is the root."""
    return partition_folders.folder_without(key)


def _refuse_parts(store: Store, keys: Iterable[str]) -> None:
    """Refuse files that look like data but are of no format that hdm reads."""
    strange = [key for key in keys if key.lower().endswith(_LOOKS_LIKE_DATA)]
    if strange:
        more = f", and {len(strange) - 1:,} more" if len(strange) > 1 else ""
        raise UsageError(
            f"{store.uri(strange[0])}{more} looks like data, and is of no kind that hdm reads",
            hint=f"convert it to {READS}; or write pattern: to say which files are meant",
        )


READS = (
    "Parquet (.parquet), CSV (.csv), JSON (.jsonl, .json), Arrow (.arrow), Avro (.avro), Excel (.xlsx), "
    "fixed width (.fwf), plain or with .gz or .zst"
)
_LOOKS_LIKE_DATA = (
    ".bz2", ".xz", ".lz4", ".br", ".snappy", ".zip", ".7z", ".tar", ".tgz", ".gz", ".zst", ".tsv", ".tab",
    ".psv", ".dat", ".orc", ".sas7bdat", ".dbf",
)  # fmt: skip


def _described(store: Store, namespace: str, name: str, keys: list[str], wanted: Wanted) -> Found:
    keys = sorted(keys)
    columns = wanted.values(keys[0])
    for key in keys:
        if list(wanted.values(key)) != list(columns):
            raise UsageError(
                f"{store.uri(key)}: its folders give the columns {list(wanted.values(key))}, and those of "
                f"{store.uri(keys[0])} give {list(columns)}",
                hint="give each table a folder of its own, or write partitions: ignore",
            )
    dataset, path = Dataset(namespace, name), (name.rpartition("/")[2],)
    table = _declared(store, keys[0], dataset, path, wanted)
    if wanted.schema_policy == "evolve":
        for key in keys[1:]:
            more = _declared(store, key, dataset, path, wanted)
            with _named(store, key):
                table = differing.united(table, more)
    twice = sorted({column.name for column in table.columns} & set(columns))
    if twice:
        raise UsageError(
            f"{store.uri(keys[0])}: column {twice[0]} stands in the file and in the name of its folder",
            hint="write partitions: ignore to read the file's, or rename the folders",
        )
    table = replace(table, columns=partition_folders.with_columns(table, list(columns)))
    return Found(table, wanted, foreign=keys)


def _declared(store: Store, key: str, dataset: Dataset, path: tuple[str, ...], wanted: Wanted) -> Table:
    """Return the table that one file declares."""
    with _named(store, key), store.open(key) as remote, _seekable(store, remote) as stream:
        form = wanted.format(wanted.kind(key) or "parquet", key)
        return form.describe(stream, compression_of(key), dataset, path)


def _measured(store: Store, key: str, table: Table, wanted: Wanted) -> StagedFile:
    kind, compression = wanted.kind(key) or "parquet", compression_of(key)
    before = store.stat(key)
    with _named(store, key), store.open(key) as remote, _seekable(store, remote) as stream:
        sha256, size = _hashed(stream)
        form = wanted.format(kind, key)
        inner = replace(table, columns=partition_folders.without_columns(table, wanted.values(key)))
        if wanted.alike(key):
            misfit = form.misfit(stream, compression, inner)
        else:
            fills = wanted.schema_policy == "evolve"
            misfit = differing.misfit(form, stream, inner, compression, fills=fills)
        if misfit:
            raise SchemaDrift(misfit)
        stream.seek(0)
        rows = form.rows(stream, compression)
        if before is None or store.stat(key) != before:
            raise CorruptFile("it was changed while it was looked at")
    return StagedFile(store.uri(key), kind, size, rows, sha256)


@contextmanager
def _named(store: Store, key: str) -> Iterator[None]:
    """Put the file's name in front of the errors that are raised within, and say how to leave it out."""
    try:
        yield
    except (CorruptFile, SchemaDrift, UsageError) as error:
        error.message = f"{store.uri(key)}: {error.message}"
        own = f"{error.hint}; or " if error.hint else ""
        error.hint = f"{own}mend the file or take it away; pattern: and file_format: leave files out"
        raise


@contextmanager
def _seekable(store: Store, stream: BinaryIO) -> Iterator[BinaryIO]:
    """Give ``stream`` itself, or a local copy if the store's streams cannot seek."""
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
