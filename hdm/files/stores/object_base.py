"""Defines what all object stores share: names, local scratch files, verified uploads."""

from __future__ import annotations

import hashlib
import io
import os
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal, cast

from pydantic import Field

from hdm.components import back_off
from hdm.components.settings import Settings
from hdm.errors import TransientError, UsageError
from hdm.files.stores import scratch
from hdm.files.stores.base import LocalStore, Stat, Store, checked_key
from hdm.model import digest

MIB = 1024 * 1024
PROBE = "_hdm_probe"
"""The object by which hdm tests whether a server keeps its promises; created once per prefix and kept."""

Check = Callable[[], None]


class Upload(Settings):
    """Configuration of a sink's uploads to an object store; see docs/reference/object-stores.md."""

    part_bytes: int = Field(default=16 * MIB, ge=5 * MIB, le=1024 * MIB)
    """Bytes of one part of an upload, 5 MiB to 1 GiB; each worker needs that much memory."""
    multipart_from: int | None = Field(default=None, ge=0)
    """Size in bytes from which a file is uploaded in parts; left out, only files larger than one part are."""
    verify: Literal["head", "read"] | None = None
    """How an upload is verified: ``head`` compares the server's size and checksum, ``read`` reads the object
    again. Left out, ``head`` where the server compares checksums."""
    create_once: Literal["server", "check"] = "server"
    """What keeps objects from being overwritten: the ``server``, by conditional requests, or a ``check``
    before each upload, for servers without conditional requests."""
    scratch: str | None = None
    """Local folder for files that wait for their upload; left out, the system's temporary folder."""

    @property
    def in_parts_from(self) -> int:
        """The size in bytes from which a file is uploaded in parts; by default, one byte more than a part."""
        return self.part_bytes + 1 if self.multipart_from is None else self.multipart_from


@dataclass(frozen=True, slots=True)
class Proof:
    """Values by which an uploaded object is recognised and verified.

    ``size`` is in bytes, ``sha256`` in hex digits. ``nonce`` is a random value that tells this upload's
    object from another's.
    """

    size: int
    sha256: str
    nonce: str

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata to store with the object, under names that every service accepts."""
        return {"hdmsha256": self.sha256, "hdmnonce": self.nonce}

    def of_ours(self, kept: Mapping[str, str]) -> bool:
        """Return True if an object's metadata ``kept`` contain the random value of this upload."""
        return _lower(kept).get("hdmnonce") == self.nonce

    def holds(self, size: int, kept: Mapping[str, str]) -> bool:
        """Return True if an object's size and stored checksum are those of the bytes that were sent.

        ``kept`` are the object's metadata.
        """
        return (size, _lower(kept).get("hdmsha256")) == (self.size, self.sha256)


def _lower(kept: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata with lower-case names, since servers differ in the case of names."""
    return {name.lower(): value for name, value in kept.items()}


class ObjectStore(Store):
    """Keeps files as objects under a prefix; ``root`` is its address, ``<scheme>://.../`` with the prefix."""

    root: str
    seekable: ClassVar[bool] = False

    def __init__(self, prefix: str, upload: Upload | None = None) -> None:
        prefix = prefix.strip("/")
        self.prefix = f"{checked_key(prefix)}/" if prefix else ""
        self.upload = upload or Upload()

    # -- for subclasses to define --------------------------------------------------

    @abstractmethod
    def ready(self) -> None:
        """Test once per process whether the server lets an object be created only once.

        Raises ``UsageError`` if it does not, unless ``create_once: check`` accepts that.
        """

    @abstractmethod
    def look(self) -> None:
        """Send one read request for the object ``PROBE``, which need not exist; raise an error if it fails.

        Every chunk looks for its record by the same kind of request, so no further right is needed.
        """

    @abstractmethod
    def put_bytes(self, key: str, body: bytes, proof: Proof) -> str:
        """Create the object in one request; raise ``FileExistsError`` if there is one.

        Returns the checksum that the server should then report for the object.
        """

    @abstractmethod
    def put_parts(self, key: str, file: BinaryIO, proof: Proof, check: Check) -> str:
        """Create the object by uploading parts; raise ``FileExistsError`` if there is one.

        ``check`` is called before each part and may raise. Returns the checksum that the server should then
        report for the object.
        """

    @abstractmethod
    def attested(self, key: str, proof: Proof, checksum: str) -> Stat:
        """Return the object's description, after comparing it with ``proof`` and ``checksum``.

        The checksum is compared if the server reports one. Raises ``TransientError`` if size or checksum
        differ, and ``FileExistsError`` if the object is of another upload.
        """

    @property
    @abstractmethod
    def vouches(self) -> bool:
        """True if the server is known to compare checksums with the bytes that it receives."""

    @abstractmethod
    def abort_remote(self, prefix: str) -> int:
        """Abort the server's unfinished uploads of keys that start with ``prefix``; return how many."""

    # -- the interface of Store ---------------------------------------------------

    @cached_property
    def _local(self) -> LocalStore:
        return LocalStore(scratch.folder(self.upload.scratch) / digest(self.root)[:16])

    def scratch(self, key: str) -> Path:
        """Return the local path for a new object's bytes, in a folder of this process alone."""
        return self._local.scratch(key)

    def put_new(
        self, key: str, content: bytes | Path, *, sha256: str | None = None, check: Check = lambda: None
    ) -> Stat:
        """Upload an object, then verify that the store has the bytes sent; return the object's description.

        Raises ``FileExistsError`` if there is such an object, and ``TransientError`` if the scratch file does
        not have the checksum ``sha256``.
        """
        checked_key(key)
        self.ready()
        if isinstance(content, bytes):
            proof = Proof(len(content), hashlib.sha256(content).hexdigest(), _nonce())
            return self.attested(key, proof, self.put_bytes(key, content, proof))
        with content.open("rb") as file:
            proof = _measure(file, check)
            if sha256 not in (None, proof.sha256):
                raise TransientError(f"the scratch file of {key} is not what was written to it")
            check()
            if proof.size < self.upload.in_parts_from or not proof.size:
                checksum = self.put_bytes(key, file.read(), proof)
            else:
                checksum = self.put_parts(key, file, proof, check)
        made = self._proven(key, proof, checksum, check)
        content.unlink()
        return made

    def _proven(self, key: str, proof: Proof, checksum: str, check: Check) -> Stat:
        made = self.attested(key, proof, checksum)
        how = self.upload.verify or ("head" if self.vouches else "read")
        if how == "read":
            with self.open(key) as stream:
                seen = _measure(stream, check)
            if (seen.size, seen.sha256) != (proof.size, proof.sha256):
                raise TransientError(
                    f"{self.uri(key)} gives back other bytes than were sent",
                    hint="the chunk will be tried again; if that recurs, distrust the store or the way to it",
                )
        return made

    def abort_uploads(self, prefix: str) -> int:
        """Abort unfinished writes of keys that start with ``prefix``; return how many there were.

        These are uploads to the store, and scratch files of this process. The scratch files of dead processes
        are all deleted, too, and not counted.
        """
        scratch.sweep(self.upload.scratch)
        return self._local.abort_uploads(prefix) + self.abort_remote(prefix)

    def uri(self, key: str) -> str:
        """Return an object's address: ``root`` and the key, without any escaping."""
        return self.root + checked_key(key)

    def key(self, uri: str) -> str:
        """Return the part of an address after ``root``.

        Raises ``UsageError`` if the address does not begin with it.
        """
        if not uri.startswith(self.root) or len(uri) == len(self.root):
            raise UsageError(
                f"{uri} does not lie under {self.root}",
                hint="give the source the bucket or container and the prefix of the sink that staged it",
            )
        return checked_key(uri.removeprefix(self.root))

    def name(self, key: str) -> str:
        """Return an object's name in the service: the prefix and the key."""
        return self.prefix + checked_key(key)


def _nonce() -> str:
    return os.urandom(8).hex()


def _measure(stream: BinaryIO, check: Check) -> Proof:
    total, size = hashlib.sha256(), 0
    while block := stream.read(MIB):
        total.update(block)
        size += len(block)
        if size % (64 * MIB) < MIB:
            check()
    if stream.seekable():
        stream.seek(0)
    return Proof(size, total.hexdigest(), _nonce())


class Download(io.RawIOBase):
    """A stream of an object's bytes that reconnects at the same offset if the connection breaks.

    ``open_at(offset)`` returns an object with ``read(n)`` and ``close()``. ``open_at`` and ``read`` raise
    errors of hdm; after a ``TransientError`` they are called again, at most ``tries`` times in a row.
    """

    def __init__(self, size: int, open_at: Callable[[int], Any], tries: int = 4) -> None:
        super().__init__()
        self._size = size
        self._open_at = open_at
        self._tries = tries
        self._at = 0
        self._body: Any = open_at(0)

    def readable(self) -> bool:
        """Return True: the stream can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes into ``buffer``; return how many, 0 at the end of the object."""
        if self._at >= self._size:
            return 0
        block = back_off.DOWNLOAD.run(lambda: self._block(len(buffer)), TransientError, 1 + self._tries)
        buffer[: len(block)] = block
        self._at += len(block)
        return len(block)

    def close(self) -> None:
        """Close the connection; may be called again."""
        self._drop()
        super().close()

    def _block(self, most: int) -> bytes:
        try:
            if self._body is None:
                self._body = self._open_at(self._at)
            block: bytes = self._body.read(most)
            if not block:
                raise TransientError(f"the stream ended {self._size - self._at} bytes early")
        except TransientError:
            self._drop()
            raise
        return block

    def _drop(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()


def buffered(download: Download) -> BinaryIO:
    """Return a buffered stream whose ``read(n)`` gives n bytes, fewer only at the end of the object."""
    return cast(BinaryIO, io.BufferedReader(download, MIB))
