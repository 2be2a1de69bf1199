"""Reads and writes files in S3 or a server that speaks its protocol: S3Source, S3ChunkSource, S3Sink."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, model_validator

from hdm.components.settings import Settings
from hdm.config.secrets import Secret
from hdm.config.tls import is_local
from hdm.errors import MissingDriver
from hdm.files.in_store import InStore, WritesInStore
from hdm.files.sink import FileSink, FileSinkConfig
from hdm.files.source import FileChunks, FileSource
from hdm.files.source_config import FileChunkConfig, FileSourceConfig
from hdm.files.stores.object_base import Upload
from hdm.files.stores.s3 import S3Store

_ATTEMPTS = 4


class S3Profile(Settings):
    """Profile entry of an S3 account: credentials, region and endpoint.

    Without keys and ``profile``, boto3 looks for credentials itself.
    """

    profile: str | None = None
    """Name of a profile in AWS's own configuration files; left out, boto3 looks for credentials itself."""
    aws_access_key_id: Secret | None = None
    """Access key to sign requests with; ``aws_secret_access_key`` belongs to it."""
    aws_secret_access_key: Secret | None = None
    """Secret of ``aws_access_key_id``; write a reference such as ``env:NAME``."""
    aws_session_token: Secret | None = None
    """Token of temporary credentials, beside the two keys; left out, there is none."""
    region: str | None = None
    """AWS region of the bucket; left out, ``region_name``, or what boto3 finds."""
    region_name: str | None = None
    """Another spelling of ``region``; ignored if ``region`` is given."""
    endpoint_url: str | None = None
    """Address of a server that speaks S3's protocol, without credentials in it; left out, AWS itself."""
    addressing_style: Literal["auto", "path", "virtual"] | None = None
    """Whether the bucket stands in the ``path`` or, ``virtual``, in the host's name; left out, ``path`` with
    ``endpoint_url``, else ``auto``."""
    ca_bundle: str | None = None
    """File (PEM) of the authorities that vouch for the server's certificate; left out, boto3's own."""
    insecure: bool = False
    """Accepts an ``endpoint_url`` without https on another machine, so that data travel in the clear."""

    @model_validator(mode="after")
    def _is_whole(self) -> S3Profile:
        if (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            raise ValueError("aws_access_key_id and aws_secret_access_key belong together")
        split = urlsplit(self.endpoint_url or "https://")
        if split.username or split.password or split.query:
            raise ValueError("endpoint_url must not hold credentials")
        if split.scheme != "https" and not is_local(split.hostname or "?") and not self.insecure:
            raise ValueError("endpoint_url must be https; write insecure: true to send data in the clear")
        return self


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


def _connect(profile: S3Profile) -> Any:
    try:
        import boto3
        import botocore.session
        from botocore.config import Config
    except ImportError:
        raise MissingDriver("S3 needs boto3", hint="pip install 'hdm[s3]'") from None
    keys = {
        "aws_access_key_id": profile.aws_access_key_id,
        "aws_secret_access_key": profile.aws_secret_access_key,
        "aws_session_token": profile.aws_session_token,
    }
    inner = botocore.session.Session(profile=profile.profile)
    known = _descriptions(inner.get_config_variable("data_path"))
    inner.register_component("data_loader", known)
    session = boto3.Session(
        botocore_session=inner,
        region_name=profile.region or profile.region_name,
        **{name: secret.reveal() for name, secret in keys.items() if secret is not None},
    )
    known.search_paths[:] = dict.fromkeys(known.search_paths)  # each session appends boto3's own
    style = profile.addressing_style or ("path" if profile.endpoint_url else "auto")
    return session.client(
        "s3",
        endpoint_url=profile.endpoint_url,
        verify=profile.ca_bundle,
        config=Config(
            connect_timeout=10,
            read_timeout=60,
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            max_pool_connections=32,
            s3={"addressing_style": style},
            # hdm sends checksums itself: many servers do not understand boto3's trailing ones.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent_extra="hdm",
        ),
    )


@lru_cache(maxsize=4)
def _descriptions(data_path: str | None) -> Any:
    """Return botocore's loader of the files that describe AWS services.

    It keeps what it has read; all sessions share it, since reading takes longer than the rest of connecting.
    ``data_path`` is the setting of that name in AWS's configuration.
    """
    from botocore.loaders import create_loader

    return create_loader(data_path)


class _InBucket(InStore):
    PLACE = "bucket"
    config: Any
    profile: Any

    def _opened(self) -> S3Store:
        config, profile = self.config, self.profile
        sink = config if isinstance(config, _BucketSink) else None
        encryption = sink.encryption if sink else None
        return S3Store(lambda: _connect(profile), config.bucket_name, config.prefix, sink, encryption)


class S3Source(_InBucket, FileSource):
    """Reads staged or other files from a bucket, one chunk for each file."""

    Config: ClassVar[type[BaseModel]] = _BucketSource
    Profile: ClassVar[type[BaseModel] | None] = S3Profile


class S3ChunkSource(_InBucket, FileChunks):
    """Reads files from a bucket in chunks of some rows or bytes."""

    Config: ClassVar[type[BaseModel]] = _BucketChunks
    Profile: ClassVar[type[BaseModel] | None] = S3Profile


class S3Sink(_InBucket, WritesInStore, FileSink):
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
