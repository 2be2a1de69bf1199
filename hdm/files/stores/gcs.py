"""Stores files as objects in Google Cloud Storage.

Conditions on generations, by which an object is created once:
https://cloud.google.com/storage/docs/request-preconditions
"""

from __future__ import annotations

import hashlib
import io
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, BinaryIO, ClassVar

from hdm import failpoints
from hdm.components import unreachable
from hdm.errors import CorruptFile, TransientError, UsageError
from hdm.files.stores.base import Stat
from hdm.files.stores.gcs_errors import gcs_errors
from hdm.files.stores.object_base import MIB, PROBE, Check, Download, ObjectStore, Proof, Upload, buffered

_STEP = 256 * 1024
"""Parts of a resumable upload are multiples of this many bytes."""
_ONE_REQUEST = 8 * MIB
"""The driver sends what is larger than this in parts."""
_TIMEOUT = (10, 60)
"""Seconds to connect, and to wait for an answer."""
_PAGE = 1000
_AGAIN = {408, 500, 502, 504}


class GCSStore(ObjectStore):
    """Keeps files in a bucket of Google Cloud Storage, or under a prefix of it.

    ``connect`` makes the driver's client, ``endpoint`` is the address that it speaks to.
    """

    scheme = "gs"
    _known: ClassVar[dict[tuple[str, str], bool]] = {}
    _asking: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        connect: Callable[[], Any],
        bucket: str,
        prefix: str = "",
        upload: Upload | None = None,
        endpoint: str = "",
    ) -> None:
        super().__init__(prefix, upload)
        self._connect = connect
        self._endpoint = endpoint
        self.bucket = bucket
        self.root = f"gs://{bucket}/{self.prefix}"

    @cached_property
    def client(self) -> Any:
        """The driver's client, which threads may share."""
        with gcs_errors("connect", self.root):
            return self._connect()

    def _blob(self, key: str, **more: Any) -> Any:
        return self.client.bucket(self.bucket).blob(self.name(key), **more)

    # -- abilities of the server ----------------------------------------------------

    def ready(self) -> None:
        """Test the server once per process; raise ``UsageError`` if it ignores ``ifGenerationMatch=0``.

        Uploads in one request and in parts are both tested. ``create_once: check`` accepts such a server.
        See ``ObjectStore.ready``.
        """
        if not self._conditions and self.upload.create_once == "server":
            raise UsageError(
                f"the server of {self.root} ignores ifGenerationMatch: two attempts could both publish a "
                "chunk",
                hint="write `create_once: check` in the sink's conf to accept that hdm looks first and hopes",
            )

    def look(self) -> None:
        """List at most one object; raise ``UsageError`` if the bucket does not exist or may not be listed."""
        try:
            with gcs_errors("objects.list", self.root):
                next(iter(self._listing(self.prefix + PROBE, 1)), None)
        except FileNotFoundError:
            raise UsageError(
                f"the bucket of {self.root} does not exist", hint="create it, or correct `bucket_name:`"
            ) from None

    @property
    def vouches(self) -> bool:
        """True, because the service computes the checksums that it reports from the bytes it has stored."""
        return True

    @property
    def _conditions(self) -> bool:
        place = (self._endpoint, self.root)
        with self._asking:
            if place not in self._known:
                self._known[place] = self._refuses(PROBE, 0) and self._refuses(f"{PROBE}_parts", _STEP)
            return self._known[place]

    def _refuses(self, key: str, step: int) -> bool:
        """Return True if the server refuses to create an object that is there."""
        body = b"hdm asks here whether this store keeps its promises; leave this object alone\n"
        proof = Proof(len(body), hashlib.sha256(body).hexdigest(), "probe")
        for _ in range(2):
            try:
                self._insert(key, io.BytesIO(body), proof, _sums(io.BytesIO(body)), step, 0)
            except FileExistsError:
                return True
        return False

    # -- writing -------------------------------------------------------------------

    def put_bytes(self, key: str, body: bytes, proof: Proof) -> str:
        """Create the object by one upload request; return its CRC32C and MD5 checksums."""
        failpoints.point("U1")
        sums = _sums(io.BytesIO(body))
        self._create(key, io.BytesIO(body), proof, sums, 0)
        failpoints.point("U3")
        return sums

    def put_parts(self, key: str, file: BinaryIO, proof: Proof, check: Check) -> str:
        """Create the object by a resumable upload; return its CRC32C and MD5 checksums.

        An upload that is not ended shows nowhere, and the service forgets it after a week:
        https://cloud.google.com/storage/docs/resumable-uploads
        """
        sums = _sums(file, check)
        step = -(-self.upload.part_bytes // _STEP) * _STEP
        self._create(key, _Parts(file, proof.size, check), proof, sums, step)
        failpoints.point("U3")
        return sums

    def _create(self, key: str, stream: Any, proof: Proof, sums: str, step: int) -> None:
        condition = 0 if self._conditions else None
        if condition is None and self.stat(key) is not None:
            raise FileExistsError(self.uri(key))
        try:
            self._insert(key, stream, proof, sums, step, condition)
        except FileNotFoundError:
            self.look()
            raise TransientError(f"the upload of {self.uri(key)} was given up by the server") from None
        except (FileExistsError, TransientError):
            # An earlier try may have succeeded although its answer was lost.
            found = self._found(key)
            if found is None or not proof.of_ours(found.metadata or {}):
                raise

    def _insert(
        self, key: str, stream: Any, proof: Proof, sums: str, step: int, condition: int | None
    ) -> None:
        """Send the bytes, in parts of ``step`` bytes, or in one request if that is 0."""
        size: int | None = proof.size
        if step and proof.size <= _ONE_REQUEST:
            # The driver takes a small file of known size for one request; so it is one part, of unknown size.
            size, step = None, (proof.size // _STEP + 1) * _STEP
        with gcs_errors("objects.insert", self.uri(key)):
            blob = self._blob(key, chunk_size=step or None)
            blob.metadata = proof.metadata
            blob.crc32c, blob.md5_hash = sums.split()
            blob.upload_from_file(
                stream,
                size=size,
                content_type="application/octet-stream",
                if_generation_match=condition,
                # The server compares the two sums above; the driver would delete what differs from its own,
                # whoever's it is.
                checksum=None,
                timeout=_TIMEOUT,
                retry=_retry(),
            )

    def attested(self, key: str, proof: Proof, checksum: str) -> Stat:
        """Return the object's description, after comparing size, hdm's metadata and both checksums."""
        found = self._found(key)
        if found is None:
            raise TransientError(f"{self.uri(key)} is gone right after its upload")
        if not proof.of_ours(found.metadata or {}):
            raise FileExistsError(self.uri(key))
        if not proof.holds(found.size, found.metadata or {}):
            raise TransientError(f"{self.uri(key)} has {found.size} of {proof.size} bytes after its upload")
        sums = zip((found.crc32c, found.md5_hash), checksum.split(), strict=True)
        if any(said not in (None, "", sent) for said, sent in sums):
            raise TransientError(f"{self.uri(key)} has another checksum than what was sent")
        return _stat(key, found)

    # -- reading -------------------------------------------------------------------

    def open(self, key: str) -> BinaryIO:
        """Return a stream of the object's present generation.

        Raises ``FileNotFoundError`` if there is no object. Reading raises ``CorruptFile`` if the object is
        replaced meanwhile.
        """
        found = self._found(key)
        if found is None:
            raise FileNotFoundError(self.uri(key))
        blob = self._blob(key, generation=found.generation)
        return buffered(Download(found.size, lambda offset: _Body(blob, self.uri(key), offset, found.size)))

    def stat(self, key: str) -> Stat | None:
        """Return the object's description; None if there is no object."""
        found = self._found(key)
        return None if found is None else _stat(key, found)

    def _found(self, key: str) -> Any:
        with gcs_errors("objects.get", self.uri(key)):
            bucket = self.client.bucket(self.bucket)
            return bucket.get_blob(self.name(key), timeout=_TIMEOUT, retry=_retry())

    def list(self, prefix: str = "", *, scratch: bool = False) -> Iterator[Stat]:
        """Yield the complete objects, asked for in pages of a thousand."""
        with gcs_errors("objects.list", self.root):
            for one in self._listing(self.prefix + prefix):
                key = one.name.removeprefix(self.prefix)
                if not key.startswith(PROBE):
                    yield _stat(key, one)

    def _listing(self, prefix: str, most: int | None = None) -> Any:
        return self.client.list_blobs(
            self.bucket, prefix=prefix, max_results=most, page_size=_PAGE, timeout=_TIMEOUT, retry=_retry()
        )

    # -- removing ------------------------------------------------------------------

    def delete(self, key: str) -> bool:
        """Delete the object's present generation; return True if it existed, else False.

        If another takes its name meanwhile, that one stays, and the result is False. In a bucket with
        versions or soft delete, the service keeps what was deleted.
        """
        found = self._found(key)
        if found is None:
            return False
        try:
            with gcs_errors("objects.delete", self.uri(key)):
                found.delete(if_generation_match=found.generation, timeout=_TIMEOUT, retry=_retry())
        except (FileNotFoundError, FileExistsError):
            return False
        return True

    def abort_remote(self, prefix: str) -> int:
        """Return 0: the service has no list of unfinished uploads, and forgets them after a week."""
        return 0


class _Parts:
    """A local file that is read part by part; each read asks ``check`` whether the upload may go on."""

    def __init__(self, file: BinaryIO, size: int, check: Check) -> None:
        self._file, self._size, self._check = file, size, check

    def read(self, count: int = -1) -> bytes:
        self._check()
        failpoints.point("U1")
        block = self._file.read(count)
        if self._file.tell() >= self._size:
            failpoints.point("U2")
        return block

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)


class _Body:
    """A download of one generation of an object from an offset on, in ranges of 8 MiB."""

    _RANGE = 8 * MIB

    def __init__(self, blob: Any, where: str, offset: int, size: int) -> None:
        self._blob, self._where = blob, where
        self._at, self._size = offset, size
        self._rest = memoryview(b"")

    def read(self, count: int) -> bytes:
        if not self._rest and self._at < self._size:
            self._rest = memoryview(self._next())
            self._at += len(self._rest)
        block, self._rest = bytes(self._rest[:count]), self._rest[count:]
        return block

    def _next(self) -> bytes:
        last = min(self._at + self._RANGE, self._size) - 1
        try:
            with gcs_errors("objects.get", self._where):
                # raw_download: as it is stored, also where Content-Encoding says gzip.
                found: bytes = self._blob.download_as_bytes(
                    start=self._at, end=last, raw_download=True, checksum=None,
                    timeout=_TIMEOUT, retry=_retry(),
                )  # fmt: skip
                return found
        except (FileExistsError, FileNotFoundError):
            raise CorruptFile(
                f"{self._where} was replaced while it was read", hint="stage its chunk again"
            ) from None

    def close(self) -> None:
        self._rest = memoryview(b"")


def _retry() -> Any:
    """Return the driver's rule for sending a request again: 4 seconds, for errors that pass by themselves.

    What asks to slow down (429, 503) is left to hdm, which holds back the whole link.
    """
    from google.api_core.retry import Retry

    return Retry(predicate=_passes, initial=0.3, maximum=2.0, multiplier=2.0, timeout=4.0)


def _passes(error: BaseException) -> bool:
    response = getattr(error, "response", None)
    status = getattr(error, "code", None) or getattr(response, "status_code", None)
    return status in _AGAIN or (status is None and unreachable.reason(error) == unreachable.CUT)


def _sums(file: BinaryIO, check: Check = lambda: None) -> str:
    """Return the CRC32C and MD5 checksums of a file, as the service writes them, and go back to its start."""
    import google_crc32c

    crc, md5, size = google_crc32c.Checksum(), hashlib.md5(usedforsecurity=False), 0
    while block := file.read(MIB):
        crc.update(block)
        md5.update(block)
        size += len(block)
        if size % (64 * MIB) < MIB:
            check()
    file.seek(0)
    return " ".join(b64encode(total.digest()).decode() for total in (crc, md5))


def _stat(key: str, found: Any) -> Stat:
    return Stat(key, found.size, found.etag, found.updated.timestamp())
