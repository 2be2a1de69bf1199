"""Reads and writes files in any store that opens by an address, e.g. a plugin's with its own scheme."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from pydantic import BaseModel, Field, field_validator

from hdm.components import registry
from hdm.components.settings import Settings
from hdm.errors import HdmError, UnknownComponent
from hdm.files.sink import FileSink, FileSinkConfig
from hdm.files.source import FileChunks, FileSource
from hdm.files.source_config import FileChunkConfig, FileSourceConfig
from hdm.files.stores.base import Store


class _Address(Settings):
    url: str = Field(min_length=4)
    """Address of the folder, ``SCHEME://...``; the scheme names the store, hdm's (``file``) or a plugin's."""

    @field_validator("url")
    @classmethod
    def _has_a_store(cls, value: str) -> str:
        scheme, mark, _ = value.partition("://")
        if not mark or not scheme:
            raise ValueError("an address is SCHEME://...")
        try:
            registry.find("store", scheme)
        except UnknownComponent as error:
            raise ValueError(f"{error.message}; {error.hint}") from None
        return value


class _StoreSource(FileSourceConfig, _Address):
    pass


class _StoreChunks(FileChunkConfig, _Address):
    pass


class _StoreSink(FileSinkConfig, _Address):
    pass


def _store_class(config: Any) -> type[Store]:
    found: type[Store] = registry.find("store", config.url.partition("://")[0])
    return found


class _InStore:
    """Mixin of the three components: the store that the scheme of ``url`` names, and its profile."""

    config: Any
    profile: Any

    @classmethod
    def profile_for(cls, config: Any) -> type[BaseModel] | None:
        """Return the class of the profile entry that the configured store needs; None if it needs none."""
        return _store_class(config).Profile

    @cached_property
    def store(self) -> Store:
        """The store at the configured address."""
        return _store_class(self.config).at(self.config.url, self.profile)

    @property
    def namespace(self) -> str:
        """The OpenLineage namespace of the files: the store's address without a slash at the end."""
        return str(self.config.url).rstrip("/")

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return a result for ``hdm doctor``: whether the store can be read."""
        try:
            self.store.look()
        except HdmError as error:
            return [("store", False, error.message)]
        return [("store", True, self.namespace)]


class StoreSource(_InStore, FileSource):
    """Reads staged or other files from the store at an address, one chunk for each file."""

    Config: ClassVar[type[BaseModel]] = _StoreSource


class StoreChunkSource(_InStore, FileChunks):
    """Reads files from the store at an address in chunks of some rows or bytes."""

    Config: ClassVar[type[BaseModel]] = _StoreChunks


class StoreSink(_InStore, FileSink):
    """Writes chunks as files in the store at an address."""

    Config: ClassVar[type[BaseModel]] = _StoreSink
