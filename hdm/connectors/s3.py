"""Reads and writes files in S3 or a server that speaks its protocol: S3Source, S3ChunkSource, S3Sink."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from hdm.components.settings import Settings
from hdm.errors import HdmError
from hdm.files.sink import FileSink, FileSinkConfig
from hdm.files.source import FileChunks, FileSource
from hdm.files.source_config import FileChunkConfig, FileSourceConfig
from hdm.files.stores.object_base import Upload
from hdm.files.stores.s3 import S3Store
from hdm.files.stores.s3_connect import S3Profile, connect


class _Bucket(Settings):
    bucket_name: str = Field(min_length=3)
    """Names the bucket that holds the files."""
    prefix: str = ""
    """Start of the objects' keys; nothing outside it is touched. Left out, the whole bucket."""

    @classmethod
    def of_place(cls, place: str) -> dict[str, Any]:
        """Return the keys that name the files at ``bucket/prefix``."""
        bucket, _, prefix = place.partition("/")
        return {"bucket_name": bucket, "prefix": prefix.strip("/")}


class _BucketSource(FileSourceConfig, _Bucket):
    pass


class _BucketChunks(FileChunkConfig, _Bucket):
    pass


class _BucketSink(FileSinkConfig, _Bucket, Upload):
    """Bucket to write to, and how objects are encrypted and uploaded."""

    sse: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = None
    """How S3 encrypts what is written; left out, ``aws:kms`` with ``kms_key_id``, else the bucket's own
    setting."""
    kms_key_id: str | None = None
    """Id or ARN of the KMS key that objects are encrypted with; left out, the bucket's own setting."""

    @property
    def encryption(self) -> dict[str, str]:
        """Request parameters that make S3 encrypt the object; empty to leave that to the bucket."""
        found = {"ServerSideEncryption": self.sse or ("aws:kms" if self.kms_key_id else None)}
        return {k: v for k, v in {**found, "SSEKMSKeyId": self.kms_key_id}.items() if v}


def _store(component: Any, upload: Upload | None = None, encryption: dict[str, str] | None = None) -> S3Store:
    config = component.config
    return S3Store(lambda: connect(component.profile), config.bucket_name, config.prefix, upload, encryption)


def _namespace(component: Any) -> str:
    return component.store.root.rstrip("/")  # type: ignore[no-any-return]  # a mixin's own property


def _probe(component: Any) -> list[tuple[str, bool, str]]:
    try:
        next(iter(component.store.list()), None)
    except HdmError as error:
        return [("bucket", False, error.message)]
    return [("bucket", True, component.store.root)]


class S3Source(FileSource):
    """Reads staged or other files from a bucket, one chunk for each file."""

    Config: ClassVar[type[BaseModel]] = _BucketSource
    Profile: ClassVar[type[BaseModel] | None] = S3Profile

    @cached_property
    def store(self) -> S3Store:
        """The bucket, or the part of it below the prefix."""
        return _store(self)

    @property
    def namespace(self) -> str:
        """The OpenLineage namespace of the files: bucket and prefix."""
        return _namespace(self)

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return a result for ``hdm doctor``: whether the bucket can be listed."""
        return _probe(self)


class S3ChunkSource(FileChunks):
    """Reads files from a bucket in chunks of some rows or bytes."""

    Config: ClassVar[type[BaseModel]] = _BucketChunks
    Profile: ClassVar[type[BaseModel] | None] = S3Profile

    @cached_property
    def store(self) -> S3Store:
        """The bucket, or the part of it below the prefix."""
        return _store(self)

    @property
    def namespace(self) -> str:
        """The OpenLineage namespace of the files: bucket and prefix."""
        return _namespace(self)

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return a result for ``hdm doctor``: whether the bucket can be listed."""
        return _probe(self)


class S3Sink(FileSink):
    """Writes chunks as objects of a bucket; each is created once and checked after the upload.

    Objects are private: no ACL is ever set.
    """

    Config: ClassVar[type[BaseModel]] = _BucketSink
    Profile: ClassVar[type[BaseModel] | None] = S3Profile

    @cached_property
    def store(self) -> S3Store:
        """The bucket, or the part of it below the prefix."""
        return _store(self, self.config, self.config.encryption)

    @property
    def namespace(self) -> str:
        """The OpenLineage namespace of the files: bucket and prefix."""
        return _namespace(self)

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return results for ``hdm doctor``: whether the bucket can be written to and compares checksums."""
        try:
            self.ready()
            self.store.ready()
        except HdmError as error:
            return [("bucket", False, error.message)]
        sums = "compares checksums" if self.store.vouches else "does not compare checksums: hdm reads back"
        return [("bucket", True, self.store.root), ("checksums", True, sums)]
