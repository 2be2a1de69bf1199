"""Reads and writes files on a local or mounted disk: FSSource, FSChunkSource and FSSink."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from hdm.components.settings import PathText
from hdm.config.deprecated import ENV
from hdm.errors import UsageError
from hdm.files.atomic_file import has_room, is_there
from hdm.files.sink import FileSink, FileSinkConfig
from hdm.files.source import FileChunks, FileSource
from hdm.files.source_config import FileChunkConfig, FileSourceConfig
from hdm.files.stores.base import LocalStore
from hdm.model import Mode, Table

_NAMESPACE = "file"


def _must_be_there(store: LocalStore) -> None:
    if not (is_there(store.root) and store.root.is_dir()):
        raise UsageError(
            f"there is no directory {store.root}",
            hint="correct it; to take over what an earlier sink stages, give the source that sink's name",
        )


def _folder(place: str) -> str:
    return str(Path(place.removeprefix("//")).expanduser().absolute())


class _DirectorySource(FileSourceConfig):
    env: str | None = Field(None, deprecated=ENV)
    """Has no effect, and is taken as for other stores: there is nothing to connect to."""
    directory: PathText = Field(min_length=1)
    """Folder in which the files lie, with all folders below it; it must exist unless an earlier sink fills
    it."""

    @classmethod
    def of_place(cls, place: str) -> dict[str, Any]:
        """Return the key that names the folder ``place``, as an absolute path."""
        return {"directory": _folder(place)}


class _DirectoryChunks(FileChunkConfig):
    env: str | None = Field(None, deprecated=ENV)
    """Has no effect, and is taken as for other stores: there is nothing to connect to."""
    directory: PathText = Field(min_length=1)
    """Folder in which the files lie, with all folders below it; it must exist unless an earlier sink fills
    it."""

    @classmethod
    def of_place(cls, place: str) -> dict[str, Any]:
        """Return the key that names the folder ``place``, as an absolute path."""
        return {"directory": _folder(place)}


class _DirectorySink(FileSinkConfig):
    env: str | None = Field(None, deprecated=ENV)
    """Has no effect, and is taken as for other stores: there is nothing to connect to."""
    directory: PathText = Field(min_length=1)
    """Folder that takes the files; it is made if it is not there."""

    @classmethod
    def of_place(cls, place: str) -> dict[str, Any]:
        """Return the key that names the folder ``place``, as an absolute path."""
        return {"directory": _folder(place)}


class FSSource(FileSource):
    """Reads staged or other files from a directory, one chunk for each file."""

    Config: ClassVar[type[BaseModel]] = _DirectorySource
    namespace = _NAMESPACE

    @cached_property
    def store(self) -> LocalStore:
        """The store of the configured directory."""
        return LocalStore(self.config.directory)

    def tables(self) -> Iterator[Table]:
        """Yield every dataset below the directory; raise ``UsageError`` if the directory does not exist."""
        _must_be_there(self.store)
        yield from super().tables()


class FSChunkSource(FileChunks):
    """Reads staged or other files from a directory in chunks of some rows or bytes."""

    Config: ClassVar[type[BaseModel]] = _DirectoryChunks
    namespace = _NAMESPACE

    @cached_property
    def store(self) -> LocalStore:
        """The store of the configured directory."""
        return LocalStore(self.config.directory)

    def tables(self) -> Iterator[Table]:
        """Yield every dataset below the directory; raise ``UsageError`` if the directory does not exist."""
        _must_be_there(self.store)
        yield from super().tables()


class FSSink(FileSink):
    """Writes chunks as files in a directory."""

    Config: ClassVar[type[BaseModel]] = _DirectorySink
    namespace = _NAMESPACE

    @cached_property
    def store(self) -> LocalStore:
        """The store of the configured directory."""
        return LocalStore(self.config.directory, floor=self.config.min_free)

    def accepts(self, table: Table, mode: Mode) -> None:
        """Raise ``UsageError`` unless the directory can be written to, or can be created."""
        if not self._is_writable():
            raise UsageError(
                f"sink {self.name} cannot write to {self.store.root}",
                hint="name a directory that this user may write to",
            )

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return a result for ``hdm doctor``: whether the directory can be written to or created."""
        return [("directory", self._is_writable(), str(self.store.root))]

    def _is_writable(self) -> bool:
        return has_room(self.store.root)
