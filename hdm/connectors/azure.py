"""Reads and writes files in Azure Blob Storage: AzureBlobSource, AzureBlobChunkSource, AzureBlobSink."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, Field, model_validator

from hdm.components.settings import Settings
from hdm.config.deprecated import CREATE_ONCE
from hdm.config.secrets import Secret, remember
from hdm.config.tls import is_local
from hdm.errors import MissingDriver, UsageError
from hdm.files.in_store import InStore
from hdm.files.sink import FileSink, FileSinkConfig
from hdm.files.source import FileChunks, FileSource
from hdm.files.source_config import FileChunkConfig, FileSourceConfig
from hdm.files.stores.azure import AzureStore
from hdm.files.stores.azure_errors import no_driver
from hdm.files.stores.object_base import Upload


class AzureProfile(Settings):
    """Profile entry of an Azure storage account: its address, and how to log in.

    The login is a key, a shared access signature or the machine's identity.
    """

    url: Secret | None = None
    """The account's https address, which may end with a SAS, or its whole connection string."""
    connection_string: Secret | None = None
    """The account's connection string as Azure's portal shows it; it comes before what ``url`` says."""
    account_url: str | None = None
    """The account's https address, where ``url`` is left out."""
    azure_account_url: str | None = None
    """The account as Snowflake calls it, ``azure://account.blob.core.windows.net``, where no other address is
    given."""
    sas: Secret | None = None
    """Shared access signature that gives access to the container; it comes before one in the address."""
    account_key: Secret | None = None
    """The account's key; it comes before ``sas``. Without key and SAS, the machine's own identity is used."""
    client_id: str | None = None
    """Picks one of the machine's managed identities by its client id; left out, the default one."""
    container_name: str | None = None
    """Names the container where the conf has no ``container``."""
    insecure: bool = False
    """Accepts an address without https on another machine, so that data travel in the clear."""

    @model_validator(mode="after")
    def _names_an_account(self) -> AzureProfile:
        if not (self.url or self.connection_string or self.account_url or self.azure_account_url):
            raise ValueError("url, connection_string, account_url or azure_account_url must be given")
        return self


class _Container(Settings):
    container: str | None = None
    """Names the container that holds the files; left out, the profile's ``container_name``."""
    prefix: str = ""
    """Start of the blobs' names; nothing outside it is touched. Left out, the whole container."""

    @classmethod
    def of_place(cls, place: str) -> dict[str, Any]:
        """Return the keys that name the files at ``container/prefix``."""
        container, _, prefix = place.partition("/")
        return {"container": container, "prefix": prefix.strip("/")}


class _ContainerSource(FileSourceConfig, _Container):
    pass


class _ContainerChunks(FileChunkConfig, _Container):
    pass


class _ContainerSink(FileSinkConfig, _Container, Upload):
    create_once: Literal["server", "check"] = Field("server", deprecated=CREATE_ONCE)
    """Has no effect, and is taken as for S3: Azure itself never overwrites a blob."""


class _Account:
    """Address and credentials of a storage account, read from any spelling that a profile may use."""

    def __init__(self, profile: AzureProfile) -> None:
        text = profile.url.reveal() if profile.url else ""
        self.words: dict[str, str] = {}
        if profile.connection_string is not None or "AccountName=" in text or "BlobEndpoint=" in text:
            whole = profile.connection_string.reveal() if profile.connection_string else text
            parts = (part.partition("=") for part in whole.split(";") if part.strip())
            self.words = {name.strip(): value for name, _, value in parts}
            text = self._endpoint()
        address = text or profile.account_url or ""
        if not address and profile.azure_account_url:
            address = "https://" + profile.azure_account_url.removeprefix("azure://").partition("/")[0]
        split = urlsplit(address)
        self.url = f"{split.scheme}://{split.netloc}{split.path.rstrip('/')}"
        given = (profile.sas.reveal() if profile.sas else "") or split.query
        self.sas = (given or self.words.get("SharedAccessSignature", "")).lstrip("?")
        self.key = (profile.account_key.reveal() if profile.account_key else "") or self.words.get(
            "AccountKey"
        )
        local = split.hostname is not None and is_local(split.hostname)
        self.name = split.path.strip("/") if local else (split.hostname or "").partition(".")[0]
        for secret in (self.sas, self.key, *parse_qs(self.sas).get("sig", ())):
            if secret:
                remember(secret)
        if split.scheme != "https" and not (local and split.scheme == "http") and not profile.insecure:
            raise UsageError(
                "the account's address is not https",
                hint="correct `url:` in the connection, or write insecure: true to send data in the clear",
            )

    def _endpoint(self) -> str:
        words = self.words
        if "BlobEndpoint" in words:
            return words["BlobEndpoint"]
        scheme = words.get("DefaultEndpointsProtocol", "https")
        suffix = words.get("EndpointSuffix", "core.windows.net")
        return f"{scheme}://{words.get('AccountName', '')}.blob.{suffix}"


def _credential(account: _Account, profile: AzureProfile) -> Any:
    if account.key:
        return {"account_name": account.name, "account_key": account.key}
    if account.sas:
        from azure.core.credentials import AzureSasCredential

        return AzureSasCredential(account.sas)
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise MissingDriver(
            "the machine's identity needs azure-identity",
            hint="pip install azure-identity, or give `sas:` or `account_key:` in the connection",
        ) from None
    return DefaultAzureCredential(managed_identity_client_id=profile.client_id)


def _connect(account: _Account, profile: AzureProfile, container: str) -> Any:
    try:
        from azure.storage.blob import ContainerClient
    except ImportError:
        raise no_driver() from None
    return ContainerClient(
        account.url,
        container,
        credential=_credential(account, profile),
        retry_total=2,
        initial_backoff=1,
        increment_base=2,
        random_jitter_range=1,
        connection_timeout=10,
        read_timeout=60,
        max_single_put_size=1024 * 1024 * 1024,
        user_agent="hdm",
    )


class _InContainer(InStore):
    PLACE = "container"
    name: str
    config: Any
    profile: Any

    def _opened(self) -> AzureStore:
        config, profile = self.config, self.profile
        upload = config if isinstance(config, Upload) else None
        container = config.container or profile.container_name
        if not container:
            raise UsageError(
                f"{self.name} names no container", hint="add `container:` to the conf or the connection"
            )
        account = _Account(profile)
        return AzureStore(
            lambda: _connect(account, profile, container), account.name, container, config.prefix, upload
        )

    def _look(self) -> None:
        self.store.look()
        next(iter(self.store.list()), None)


class AzureBlobSource(_InContainer, FileSource):
    """Reads staged or other files from an Azure container, one chunk for each file."""

    Config: ClassVar[type[BaseModel]] = _ContainerSource
    Profile: ClassVar[type[BaseModel] | None] = AzureProfile


class AzureBlobChunkSource(_InContainer, FileChunks):
    """Reads files from an Azure container in chunks of some rows or bytes."""

    Config: ClassVar[type[BaseModel]] = _ContainerChunks
    Profile: ClassVar[type[BaseModel] | None] = AzureProfile


class AzureBlobSink(_InContainer, FileSink):
    """Writes chunks as block blobs of an Azure container; each is created once and checked after upload."""

    Config: ClassVar[type[BaseModel]] = _ContainerSink
    Profile: ClassVar[type[BaseModel] | None] = AzureProfile
