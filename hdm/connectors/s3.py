"""Reads and writes files in S3 or a server that speaks its protocol: S3Source, S3ChunkSource, S3Sink."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from hdm.components.settings import Settings
from hdm.files.in_store import InStore, WritesInStore
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


class _InBucket(InStore):
    PLACE = "bucket"
    config: Any
    profile: Any

    def _opened(self) -> S3Store:
        config, profile = self.config, self.profile
        sink = config if isinstance(config, _BucketSink) else None
        encryption = sink.encryption if sink else None
        return S3Store(lambda: connect(profile), config.bucket_name, config.prefix, sink, encryption)

    def _look(self) -> None:
        next(iter(self.store.list()), None)


class S3Source(_InBucket, FileSource):
    """Reads staged or other files from a bucket, one chunk for each file."""

    Config: ClassVar[type[BaseModel]] = _BucketSource
    Profile: ClassVar[type[BaseModel] | None] = S3Profile


class S3ChunkSource(_InBucket, FileChunks):
    """Reads files from a bucket in chunks of some rows or bytes."""

    Config: ClassVar[type[BaseModel]] = _BucketChunks
    Profile: ClassVar[type[BaseModel] | None] = S3Profile


class S3Sink(WritesInStore, _InBucket, FileSink):
    """Writes chunks as objects of a bucket; each is created once and checked after the upload.

    Objects are private: no ACL is ever set.
    """

    Config: ClassVar[type[BaseModel]] = _BucketSink
    Profile: ClassVar[type[BaseModel] | None] = S3Profile

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return results for ``hdm doctor``: whether the bucket can be written to and compares checksums."""
        found = super().probe()
        if not found[0][1]:
            return found
        sums = "compares checksums" if self.store.vouches else "does not compare checksums: hdm reads back"
        return [*found, ("checksums", True, sums)]
