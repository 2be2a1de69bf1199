"""Stores files as block blobs in Azure Blob Storage.

Blobs and their blocks: https://learn.microsoft.com/rest/api/storageservices/put-block-list
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any, BinaryIO

from hdm import failpoints
from hdm.errors import CorruptFile, HdmError, TransientError
from hdm.files.stores.azure_errors import azure_errors
from hdm.files.stores.base import Stat
from hdm.files.stores.object_base import PROBE, Check, Download, ObjectStore, Proof, Upload, buffered

_MAX_BLOCKS = 50_000


class AzureStore(ObjectStore):
    """Keeps files in an Azure container, or under a prefix of it; ``connect`` makes the ContainerClient."""

    scheme = "azure"

    def __init__(
        self,
        connect: Callable[[], Any],
        account: str,
        container: str,
        prefix: str = "",
        upload: Upload | None = None,
    ) -> None:
        super().__init__(prefix, upload)
        self._connect = connect
        self.root = f"azure://{account}/{container}/{self.prefix}"

    @cached_property
    def client(self) -> Any:
        """The Azure ContainerClient, which threads may share."""
        with azure_errors("connect", self.root):
            return self._connect()

    def _blob(self, key: str) -> Any:
        return self.client.get_blob_client(self.name(key))

    # -- abilities of the server ----------------------------------------------------

    def ready(self) -> None:
        """Do nothing: Azure guarantees conditional requests, so there is nothing to test."""

    def look(self) -> None:
        """Ask for the properties of one blob; raise an error if the container cannot be read.

        The blob need not exist.
        """
        with suppress(FileNotFoundError), azure_errors("Get Blob Properties", self.root):
            self._blob(PROBE).get_blob_properties()

    @property
    def vouches(self) -> bool:
        """True, because Azure compares the MD5 sum of every request that carries one."""
        return True

    # -- writing -------------------------------------------------------------------

    def put_bytes(self, key: str, body: bytes, proof: Proof) -> str:
        """Create the blob by one Put Blob request; return its MD5 checksum."""
        from azure.core import MatchConditions

        failpoints.point("U1")
        try:
            with azure_errors("Put Blob", self.uri(key)):
                self._blob(key).upload_blob(
                    body,
                    length=len(body),
                    metadata=proof.metadata,
                    validate_content=True,
                    match_condition=MatchConditions.IfMissing,
                    content_settings=_settings(hashlib.md5(body, usedforsecurity=False).digest()),
                    max_concurrency=1,
                )
        except (FileExistsError, TransientError):
            if not self._is_ours(key, proof):
                raise
        failpoints.point("U3")
        return _md5_text(hashlib.md5(body, usedforsecurity=False).digest())

    def put_parts(self, key: str, file: BinaryIO, proof: Proof, check: Check) -> str:
        """Create the blob by uploading blocks and then committing their list; return its checksum."""
        from azure.core import MatchConditions
        from azure.storage.blob import BlobBlock

        if self.stat(key) is not None:
            raise FileExistsError(self.uri(key))
        step = max(self.upload.part_bytes, -(-proof.size // _MAX_BLOCKS))
        names: list[str] = []
        total = hashlib.md5(usedforsecurity=False)
        blob = self._blob(key)
        try:
            while body := file.read(step):
                check()
                failpoints.point("U1")
                total.update(body)
                # The nonce keeps apart the blocks of two writers of one name.
                names.append(b64encode(f"{proof.nonce}-{len(names):06d}".encode()).decode())
                with azure_errors("Put Block", self.uri(key)):
                    blob.stage_block(names[-1], body, length=len(body), validate_content=True)
            failpoints.point("U2")
            with azure_errors("Put Block List", self.uri(key)):
                blob.commit_block_list(
                    [BlobBlock(block_id=name) for name in names],
                    metadata=proof.metadata,
                    content_settings=_settings(total.digest()),
                    validate_content=True,
                    match_condition=MatchConditions.IfMissing,
                )
        except BaseException as error:
            # An earlier try may have succeeded although its answer was lost.
            with suppress(HdmError, OSError):
                if isinstance(error, HdmError | FileExistsError) and self._is_ours(key, proof):
                    return _md5_text(total.digest())
                self._forget_blocks(key)
            raise
        failpoints.point("U3")
        return _md5_text(total.digest())

    def _is_ours(self, key: str, proof: Proof) -> bool:
        found = self._properties(key)
        return found is not None and proof.of_ours(found.metadata or {})

    def attested(self, key: str, proof: Proof, checksum: str) -> Stat:
        """Return the blob's description, after comparing size, hdm's metadata and, if kept, the MD5 sum."""
        found = self._properties(key)
        if found is None:
            raise TransientError(f"{self.uri(key)} is gone right after its upload")
        if not proof.of_ours(found.metadata or {}):
            raise FileExistsError(self.uri(key))
        if not proof.holds(found.size, found.metadata or {}):
            raise TransientError(f"{self.uri(key)} has {found.size} of {proof.size} bytes after its upload")
        kept = found.content_settings.content_md5
        if kept is not None and _md5_text(kept) != checksum:
            raise TransientError(f"{self.uri(key)} has another checksum than what was sent")
        return _stat(key, found)

    # -- reading -------------------------------------------------------------------

    def open(self, key: str) -> BinaryIO:
        """Return a stream of the blob's present version.

        Raises ``FileNotFoundError`` if there is no blob. Reading raises ``CorruptFile`` if the blob is
        replaced meanwhile.
        """
        found = self._properties(key)
        if found is None:
            raise FileNotFoundError(self.uri(key))

        def open_at(offset: int) -> _Body:
            return _Body(self, key, found.etag, offset, found.size)

        return buffered(Download(found.size, open_at))

    def stat(self, key: str) -> Stat | None:
        """Return the blob's description; None if there is no blob, even if uncommitted blocks exist."""
        found = self._properties(key)
        return None if found is None else _stat(key, found)

    def _properties(self, key: str) -> Any:
        try:
            with azure_errors("Get Blob Properties", self.uri(key)):
                return self._blob(key).get_blob_properties()
        except FileNotFoundError:
            return None

    def list(self, prefix: str = "", *, scratch: bool = False) -> Iterator[Stat]:
        """Yield the committed blobs; leave out names that have only uncommitted blocks."""
        with azure_errors("List Blobs", self.root):
            for one in self.client.list_blobs(name_starts_with=self.prefix + prefix):
                key = one.name.removeprefix(self.prefix)
                if not key.startswith(PROBE):
                    yield _stat(key, one)

    # -- removing ------------------------------------------------------------------

    def delete(self, key: str) -> bool:
        """Delete the blob with its snapshots; return True if it existed, else False."""
        try:
            with azure_errors("Delete Blob", self.uri(key)):
                self._blob(key).delete_blob(delete_snapshots="include")
        except FileNotFoundError:
            return False
        return True

    def abort_remote(self, prefix: str) -> int:
        """Discard the uncommitted blocks of names that have no committed blob; return how many names."""
        with azure_errors("List Blobs", self.root):
            found = [
                one.name.removeprefix(self.prefix)
                for one in self.client.list_blobs(
                    name_starts_with=self.prefix + prefix, include=["uncommittedblobs"]
                )
            ]
        return sum(self._forget_blocks(key) for key in found)

    def _forget_blocks(self, key: str) -> bool:
        """Discard the uncommitted blocks of one name; False if there are none, or if the blob exists.

        It commits an empty list of blocks, which makes an empty blob, and deletes this blob.
        """
        from azure.core import MatchConditions

        blob = self._blob(key)
        try:
            with azure_errors("Get Block List", self.uri(key)):
                committed, uncommitted = blob.get_block_list("all")
        except FileNotFoundError:
            return False
        if committed or not uncommitted or self._properties(key) is not None:
            return False
        try:
            with azure_errors("Put Block List", self.uri(key)):
                made = blob.commit_block_list([], match_condition=MatchConditions.IfMissing)
                blob.delete_blob(etag=made["etag"], match_condition=MatchConditions.IfNotModified)
        except (FileExistsError, FileNotFoundError):
            return False
        return True


class _Body:
    """A download of a blob from an offset on, in ranges whose MD5 sums are compared."""

    _RANGE = 4 * 1024 * 1024

    def __init__(self, store: AzureStore, key: str, etag: str, offset: int, size: int) -> None:
        self._store, self._key, self._etag = store, key, etag
        self._at, self._size = offset, size
        self._rest = b""

    def read(self, count: int) -> bytes:
        if not self._rest and self._at < self._size:
            self._rest = self._next()
            self._at += len(self._rest)
        block, self._rest = self._rest[:count], self._rest[count:]
        return block

    def _next(self) -> bytes:
        from azure.core import MatchConditions

        where = self._store.uri(self._key)
        try:
            with azure_errors("Get Blob", where):
                found: bytes = (
                    self._store._blob(self._key)
                    .download_blob(
                        offset=self._at,
                        length=min(self._RANGE, self._size - self._at),
                        etag=self._etag,
                        match_condition=MatchConditions.IfNotModified,
                        max_concurrency=1,
                    )
                    .readall()
                )
                return found
        except (FileExistsError, FileNotFoundError):
            raise CorruptFile(
                f"{where} was replaced while it was read", hint="stage its chunk again"
            ) from None

    def close(self) -> None:
        self._rest = b""


def _settings(md5: bytes) -> Any:
    from azure.storage.blob import ContentSettings

    return ContentSettings(content_md5=bytearray(md5))


def _md5_text(md5: Any) -> str:
    return bytes(md5).hex()


def _stat(key: str, found: Any) -> Stat:
    return Stat(key, found.size, found.etag, found.last_modified.timestamp())
