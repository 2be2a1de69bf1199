"""Reads and writes files in Google Cloud Storage: GCSSource, GCSChunkSource, GCSSink."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, model_validator

from hdm.components.settings import Settings
from hdm.config.secrets import Secret, remember
from hdm.config.tls import is_local
from hdm.errors import UsageError
from hdm.files.in_store import InStore, WritesInStore
from hdm.files.sink import FileSink, FileSinkConfig
from hdm.files.source import FileChunks, FileSource
from hdm.files.source_config import FileChunkConfig, FileSourceConfig
from hdm.files.stores.gcs import GCSStore
from hdm.files.stores.gcs_errors import no_driver
from hdm.files.stores.object_base import Upload

_ENDPOINT = "https://storage.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"


class GCSProfile(Settings):
    """Profile entry of Google Cloud Storage: the service account, and the endpoint if it is not Google's.

    Without a service account, Google's library looks for credentials itself (Application Default
    Credentials).
    """

    credentials_file: str | None = None
    """File with the JSON key of a service account; left out, ``credentials_json``, or what Google's library
    finds."""
    credentials_json: Secret | None = None
    """Text of a service account's JSON key; write a reference such as ``env:NAME``."""
    project: str | None = None
    """Project that pays for the requests where the credentials do not say it."""
    endpoint_url: str | None = None
    """Address of another server that speaks the JSON API of Cloud Storage; left out, Google's own."""
    anonymous: bool = False
    """Sends no credentials, as an emulator wants it; needs ``endpoint_url``."""
    ca_bundle: str | None = None
    """File (PEM) of the authorities that vouch for the server's certificate; left out, the driver's own."""
    insecure: bool = False
    """Accepts an ``endpoint_url`` without https on another machine, so that data travel in the clear."""

    @model_validator(mode="after")
    def _is_whole(self) -> GCSProfile:
        if self.credentials_file is not None and self.credentials_json is not None:
            raise ValueError("give credentials_file or credentials_json, not both")
        if self.anonymous and self.endpoint_url is None:
            raise ValueError("anonymous: true is for an emulator; name it as endpoint_url")
        if self.anonymous and (self.credentials_file or self.credentials_json):
            raise ValueError("anonymous: true and credentials contradict each other")
        split = urlsplit(self.endpoint_url or _ENDPOINT)
        if split.username or split.password or split.query:
            raise ValueError("endpoint_url must not hold credentials")
        if split.scheme not in ("http", "https") or not split.hostname:
            raise ValueError("endpoint_url is an address such as https://storage.googleapis.com")
        if split.scheme != "https" and not is_local(split.hostname) and not self.insecure:
            raise ValueError("endpoint_url must be https; write insecure: true to send data in the clear")
        return self


class _Bucket(Settings):
    bucket_name: str = Field(min_length=3)
    """Names the bucket that holds the files."""
    prefix: str = ""
    """Start of the objects' names; nothing outside it is touched. Left out, the whole bucket."""


class _BucketSource(FileSourceConfig, _Bucket):
    pass


class _BucketChunks(FileChunkConfig, _Bucket):
    pass


class _BucketSink(FileSinkConfig, _Bucket, Upload):
    pass


def _connect(profile: GCSProfile) -> Any:
    try:
        from google.api_core.client_info import ClientInfo
        from google.auth.transport.requests import AuthorizedSession
        from google.cloud.storage import Client
        from requests.adapters import HTTPAdapter
    except ImportError:
        raise no_driver() from None
    credentials = _credentials(profile)
    session = AuthorizedSession(credentials)
    session.mount("https://", HTTPAdapter(pool_maxsize=32))
    session.mount("http://", HTTPAdapter(pool_maxsize=32))
    if profile.ca_bundle:
        session.verify = profile.ca_bundle
    return Client(
        project=profile.project,
        credentials=credentials,
        _http=session,
        # Named here even if it is Google's own, or STORAGE_EMULATOR_HOST would decide it.
        client_options={"api_endpoint": profile.endpoint_url or _ENDPOINT},
        client_info=ClientInfo(user_agent="hdm"),
    )


def _credentials(profile: GCSProfile) -> Any:
    import google.auth
    from google.auth.credentials import AnonymousCredentials
    from google.oauth2.service_account import Credentials

    if profile.anonymous:
        return AnonymousCredentials()
    if profile.credentials_json is not None:
        return _of_key(Credentials, profile.credentials_json.reveal(), "credentials_json")
    if profile.credentials_file is not None:
        try:
            with open(profile.credentials_file, encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeError) as error:
            raise UsageError(
                f"credentials_file {profile.credentials_file} cannot be read: {type(error).__name__}",
                hint="name the JSON key file of a service account that this user may read",
            ) from None
        return _of_key(Credentials, text, "credentials_file")
    found, _ = google.auth.default(scopes=[_SCOPE])
    return found


def _of_key(kind: Any, text: str, field: str) -> Any:
    """Return the credentials of a service account's JSON key; ``field`` is where the text comes from."""
    try:
        key = json.loads(text)
        remember(key["private_key"])
        return kind.from_service_account_info(key, scopes=[_SCOPE])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{field} holds no JSON key of a service account",
            hint="give the file that `gcloud iam service-accounts keys create` writes",
        ) from None


class _InBucket(InStore):
    PLACE = "bucket"
    config: Any
    profile: Any

    def _opened(self) -> GCSStore:
        config, profile = self.config, self.profile
        upload = config if isinstance(config, Upload) else None
        endpoint = profile.endpoint_url or _ENDPOINT
        return GCSStore(lambda: _connect(profile), config.bucket_name, config.prefix, upload, endpoint)


class GCSSource(_InBucket, FileSource):
    """Reads staged or other files from a bucket of Google Cloud Storage, one chunk for each file."""

    Config: ClassVar[type[BaseModel]] = _BucketSource
    Profile: ClassVar[type[BaseModel] | None] = GCSProfile


class GCSChunkSource(_InBucket, FileChunks):
    """Reads files from a bucket of Google Cloud Storage in chunks of some rows or bytes."""

    Config: ClassVar[type[BaseModel]] = _BucketChunks
    Profile: ClassVar[type[BaseModel] | None] = GCSProfile


class GCSSink(_InBucket, WritesInStore, FileSink):
    """Writes chunks as objects of a bucket of Google Cloud Storage; each is created once and checked after.

    Objects are private: no ACL is ever set.
    """

    Config: ClassVar[type[BaseModel]] = _BucketSink
    Profile: ClassVar[type[BaseModel] | None] = GCSProfile
