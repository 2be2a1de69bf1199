"""Reads and writes files on an SFTP server: SFTPSource, SFTPChunkSource, SFTPSink."""

from __future__ import annotations

import io
import logging
import socket
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from hdm.components.settings import Settings
from hdm.config.secrets import Secret
from hdm.errors import HdmError, UsageError
from hdm.files.sink import FileSink, FileSinkConfig
from hdm.files.source import FileChunks, FileSource
from hdm.files.source_config import FileChunkConfig, FileSourceConfig
from hdm.files.stores.object_base import Upload
from hdm.files.stores.sftp import SFTPStore
from hdm.files.stores.sftp_sessions import no_driver

_KNOWN_HOSTS = "~/.ssh/known_hosts"
_CONNECT, _LOGIN = 10, 30
_KEEPALIVE = 30
"""Seconds: to connect, to log in, and between two signs of life."""
_LOG = "paramiko.hdm"


class SFTPProfile(Settings):
    """Profile entry of an SFTP server: its address, its host key, and how to log in.

    One of ``password``, ``private_key_file``, ``private_key`` and ``agent`` must be given. A server whose
    host key is not known is refused.
    """

    host: str = Field(min_length=1)
    """Name or address of the server."""
    port: int = Field(default=22, ge=1, le=65535)
    """Port that its SSH server listens on."""
    user: str = Field(min_length=1)
    """Name to log in with."""
    password: Secret | None = None
    """Password of ``user``; write a reference such as ``env:NAME``."""
    private_key_file: str | None = None
    """File with the private key to log in with, as ``ssh-keygen`` writes it."""
    private_key: Secret | None = None
    """Text of the private key; write a reference such as ``env:NAME``."""
    private_key_passphrase: Secret | None = None
    """Passphrase of the private key; left out, the key is not encrypted."""
    agent: bool = False
    """Logs in with the keys that the SSH agent of ``SSH_AUTH_SOCK`` holds."""
    host_key: str | None = None
    """The server's public host key, type and base64 as in a line of known_hosts: ``ssh-ed25519 AAAA...``; it
    comes before ``known_hosts``."""
    known_hosts: str | None = None
    """File of known host keys, as OpenSSH writes it; left out, ``~/.ssh/known_hosts``."""
    trust_new_host: bool = False
    """Accepts the key of a server that ``known_hosts`` does not name, and writes it there; a key that differs
    from a known one is refused all the same."""

    @model_validator(mode="after")
    def _is_whole(self) -> SFTPProfile:
        if not (self.password or self.private_key_file or self.private_key or self.agent):
            raise ValueError("give password, private_key_file, private_key or agent: true")
        if self.private_key_file and self.private_key:
            raise ValueError("give private_key_file or private_key, not both")
        if self.trust_new_host and self.host_key:
            raise ValueError("trust_new_host and host_key contradict each other")
        if self.host_key is not None and len(self.host_key.split()) != 2:
            raise ValueError("host_key is a type and its base64 text: ssh-ed25519 AAAA...")
        return self


class _Directory(Settings):
    directory: str = Field(min_length=1)
    """Absolute path of the directory on the server that holds the files; it must exist, and nothing outside
    of it is touched."""

    @field_validator("directory")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        if not value.startswith("/") or any(part in (".", "..") for part in value.split("/")):
            raise ValueError("directory is an absolute path on the server, without . and ..")
        return value


class _DirectorySource(FileSourceConfig, _Directory):
    pass


class _DirectoryChunks(FileChunkConfig, _Directory):
    pass


class _DirectorySink(FileSinkConfig, _Directory):
    verify: Literal["head", "read"] = "read"
    """How an upload is verified: ``read`` reads the file again and compares its SHA-256, ``head`` compares
    the size alone."""
    create_once: Literal["server", "check"] = "server"
    """What keeps files from being overwritten: the ``server``, which refuses to rename to a name that is
    taken, or a ``check`` before each upload, for servers whose rename overwrites."""
    scratch: str | None = None
    """Local folder for files that wait for their upload; left out, the system's temporary folder."""

    @property
    def upload(self) -> Upload:
        """The three settings above, as the store takes them; no file is held in memory."""
        return Upload(
            verify=self.verify, create_once=self.create_once, scratch=self.scratch, multipart_from=0
        )


def _connect(profile: SFTPProfile) -> Any:
    try:
        import paramiko
    except ImportError:
        raise no_driver() from None
    client = paramiko.SSHClient()
    # hdm says what failed; paramiko would say it once more, with a traceback.
    client.set_log_channel(_LOG)
    logging.getLogger(_LOG).setLevel(logging.CRITICAL + 1)
    line = socket.create_connection((profile.host, profile.port), timeout=_CONNECT)
    try:
        _know_host(client, profile)
        client.connect(
            profile.host,
            profile.port,
            profile.user,
            sock=line,
            password=profile.password.reveal() if profile.password else None,
            pkey=_key(profile),
            allow_agent=profile.agent,
            look_for_keys=False,
            timeout=_CONNECT,
            banner_timeout=_LOGIN,
            auth_timeout=_LOGIN,
            channel_timeout=_LOGIN,
        )
        transport = client.get_transport()
        assert transport is not None
        transport.set_keepalive(_KEEPALIVE)
    except BaseException:
        client.close()
        with suppress(OSError):
            line.close()
        raise
    return client


def _know_host(client: Any, profile: SFTPProfile) -> None:
    """Tell the client which host keys are known, and what becomes of another."""
    import paramiko

    class Refuse(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # paramiko is untyped
        """Refuses a server whose key is not known, and says the key that it showed."""

        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            raise UsageError(
                f"the host key of {profile.host}:{profile.port} is not known: the server shows "
                f"{key.get_name()} {key.fingerprint}",
                hint="compare it with what who runs the server says, then give `host_key:` or "
                "`known_hosts:` in the connection",
            )

    client.set_missing_host_key_policy(Refuse())
    name = profile.host if profile.port == 22 else f"[{profile.host}]:{profile.port}"
    if profile.host_key is not None:
        entry = _entry(f"{name} {profile.host_key}")
        if entry is None or entry.key is None:
            raise UsageError(
                "host_key is no public key of a known type", hint="copy it from `ssh-keyscan HOST`"
            )
        client.get_host_keys().add(name, entry.key.get_name(), entry.key)
        return
    path = Path(profile.known_hosts or _KNOWN_HOSTS).expanduser()
    if profile.trust_new_host:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    try:
        client.load_host_keys(str(path))
    except FileNotFoundError:
        if profile.known_hosts:
            raise UsageError(
                f"there is no file {path}", hint="correct `known_hosts:`, or give `host_key:`"
            ) from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="correct `known_hosts:`, or give `host_key:`"
        ) from None


def _entry(line: str) -> Any:
    from paramiko import SSHException
    from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

    try:
        return HostKeyEntry.from_line(line)
    except (InvalidHostKey, SSHException, ValueError, IndexError):
        return None


def _key(profile: SFTPProfile) -> Any:
    """Return the private key that the profile names; None if it names none."""
    import paramiko

    if profile.private_key_file is not None:
        what = f"private_key_file {profile.private_key_file}"
        try:
            text = Path(profile.private_key_file).expanduser().read_text(encoding="ascii")
        except (OSError, UnicodeError) as error:
            raise UsageError(
                f"{what} cannot be read: {type(error).__name__}",
                hint="name a file that `ssh-keygen` wrote and this user may read",
            ) from None
    elif profile.private_key is not None:
        what, text = "private_key", profile.private_key.reveal()
    else:
        return None
    secret = profile.private_key_passphrase
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), secret.reveal() if secret else None)
        except paramiko.PasswordRequiredException:
            raise UsageError(
                f"{what} is encrypted", hint="give `private_key_passphrase:` in the connection"
            ) from None
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    raise UsageError(
        f"{what} holds no private key that can be read",
        hint="give a key of type ed25519, ecdsa or rsa, and its right passphrase",
    )


def _store(component: Any, upload: Upload | None = None) -> SFTPStore:
    profile = component.profile
    return SFTPStore(
        lambda: _connect(profile), f"{profile.host}:{profile.port}", component.config.directory, upload
    )


def _probe(component: Any) -> list[tuple[str, bool, str]]:
    try:
        component.store.look()
    except HdmError as error:
        return [("directory", False, error.message)]
    return [("directory", True, component.store.root)]


class SFTPSource(FileSource):
    """Reads staged or other files from a directory of an SFTP server, one chunk for each file."""

    Config: ClassVar[type[BaseModel]] = _DirectorySource
    Profile: ClassVar[type[BaseModel] | None] = SFTPProfile

    @cached_property
    def store(self) -> SFTPStore:
        """The directory on the server."""
        return _store(self)

    @property
    def namespace(self) -> str:
        """The OpenLineage namespace of the files: server and directory."""
        return self.store.root.rstrip("/")

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return a result for ``hdm doctor``: whether the directory is there and the login is accepted."""
        return _probe(self)


class SFTPChunkSource(FileChunks):
    """Reads files from a directory of an SFTP server in chunks of some rows or bytes."""

    Config: ClassVar[type[BaseModel]] = _DirectoryChunks
    Profile: ClassVar[type[BaseModel] | None] = SFTPProfile

    @cached_property
    def store(self) -> SFTPStore:
        """The directory on the server."""
        return _store(self)

    @property
    def namespace(self) -> str:
        """The OpenLineage namespace of the files: server and directory."""
        return self.store.root.rstrip("/")

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return a result for ``hdm doctor``: whether the directory is there and the login is accepted."""
        return _probe(self)


class SFTPSink(FileSink):
    """Writes chunks as files on an SFTP server; each appears whole, by a rename to a name that is free."""

    Config: ClassVar[type[BaseModel]] = _DirectorySink
    Profile: ClassVar[type[BaseModel] | None] = SFTPProfile

    @cached_property
    def store(self) -> SFTPStore:
        """The directory on the server."""
        return _store(self, self.config.upload)

    @property
    def namespace(self) -> str:
        """The OpenLineage namespace of the files: server and directory."""
        return self.store.root.rstrip("/")

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return a result for ``hdm doctor``: whether the directory takes new files, each only once."""
        try:
            self.ready()
            self.store.ready()
        except HdmError as error:
            return [("directory", False, error.message)]
        return [("directory", True, self.store.root)]
