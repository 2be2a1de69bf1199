"""Keeps files in S3, or in a server that speaks its protocol.

Requests: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from __future__ import annotations

import hashlib
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO, ClassVar

from hdm import failpoints
from hdm.errors import CorruptFile, HdmError, TransientError, UsageError
from hdm.files.stores.base import Stat
from hdm.files.stores.object_base import MIB, PROBE, Check, Download, ObjectStore, Proof, Upload, buffered
from hdm.files.stores.s3_errors import DigestRefused, s3_errors

_MAX_PARTS = 10_000
_MAX_ONE = 5 * 1024 * MIB


@dataclass(frozen=True, slots=True)
class Manners:
    """Result of testing a server: whether it refuses to overwrite, and whether it compares checksums."""

    conditions: bool
    checksums: bool


class S3Store(ObjectStore):
    """Keeps files in an S3 bucket, or under a prefix of it; ``connect`` makes the boto3 client."""

    scheme = "s3"
    _known: ClassVar[dict[tuple[str, str], Manners]] = {}
    _asking: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        connect: Callable[[], Any],
        bucket: str,
        prefix: str = "",
        upload: Upload | None = None,
        encryption: dict[str, str] | None = None,
    ) -> None:
        super().__init__(prefix, upload)
        self._connect = connect
        self.bucket = bucket
        self.root = f"s3://{bucket}/{self.prefix}"
        self._encryption = encryption or {}

    @cached_property
    def client(self) -> Any:
        """The boto3 client, which threads may share."""
        with s3_errors(self.root):
            return self._connect()

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.name(key)}

    # -- abilities of the server ----------------------------------------------------

    def ready(self) -> None:
        """Test the server once per process; raise ``UsageError`` if it ignores If-None-Match.

        ``create_once: check`` accepts such a server. See ``ObjectStore.ready``.
        """
        if not self._manners.conditions and self.upload.create_once == "server":
            raise UsageError(
                f"the server of {self.root} ignores If-None-Match: two attempts could both publish a chunk",
                hint="write `create_once: check` in the sink's conf to accept that hdm looks first and hopes",
            )

    def look(self) -> None:
        """Send one GetObject request for an object that need not exist; raise an error if it fails.

        HeadObject would not do: its answer is the same for a missing bucket and for a missing object.
        """
        with suppress(FileNotFoundError), s3_errors(self.root):
            self.client.get_object(**self._at(PROBE))["Body"].close()

    @property
    def vouches(self) -> bool:
        """True if the server refused a wrong checksum when it was tested."""
        return self._manners.checksums

    @property
    def _manners(self) -> Manners:
        place = (self.client.meta.endpoint_url, self.root)
        with self._asking:
            if place not in self._known:
                self._known[place] = self._ask()
            return self._known[place]

    def _ask(self) -> Manners:
        body = b"hdm asks here whether this store keeps its promises; leave this object alone\n"
        proof = Proof(len(body), hashlib.sha256(body).hexdigest(), "probe")
        other = b"another body"
        wrong = Proof(len(body), hashlib.sha256(other).hexdigest(), "probe")
        conditions = checksums = False
        for _ in range(2):
            try:
                self._put(PROBE, body, proof, {"IfNoneMatch": "*"})
            except FileExistsError:
                conditions = True
                break
        try:
            self._put(f"{PROBE}_sum", body, wrong, {"ContentMD5": _md5(other)})
        except DigestRefused:
            checksums = True
        else:
            self.delete(f"{PROBE}_sum")
        return Manners(conditions, checksums)

    # -- writing -------------------------------------------------------------------

    def put_bytes(self, key: str, body: bytes, proof: Proof) -> str:
        """Create the object by one PutObject request; return the checksum that the server should report."""
        failpoints.point("U1")
        self._look_first(key)
        try:
            self._put(key, body, proof, self._condition)
        except FileExistsError:
            if not self._is_ours(key, proof):
                raise
        failpoints.point("U3")
        return _sha256(body)

    def _put(self, key: str, body: bytes, proof: Proof, more: dict[str, str]) -> None:
        with s3_errors(self.uri(key)):
            self.client.put_object(
                **self._at(key),
                Body=body,
                ChecksumSHA256=b64encode(bytes.fromhex(proof.sha256)).decode(),
                Metadata=proof.metadata,
                **self._encryption,
                **{"ContentMD5": _md5(body), **more},
            )

    def put_parts(self, key: str, file: BinaryIO, proof: Proof, check: Check) -> str:
        """Create the object by a multipart upload, aborted if any part fails; return its checksum."""
        self._look_first(key)
        with s3_errors(self.uri(key)):
            begun = self.client.create_multipart_upload(
                **self._at(key), ChecksumAlgorithm="SHA256", Metadata=proof.metadata, **self._encryption
            )
        upload = {**self._at(key), "UploadId": begun["UploadId"]}
        try:
            parts = self._parts(key, file, proof.size, upload, check)
            failpoints.point("U2")
            self._complete(key, upload, parts, proof)
        except BaseException as error:
            with suppress(HdmError, FileNotFoundError), s3_errors(self.uri(key)):
                self.client.abort_multipart_upload(**upload)
            if isinstance(error, FileNotFoundError):
                raise TransientError(f"the upload of {self.uri(key)} was given up by another") from None
            raise
        failpoints.point("U3")
        # S3 reports the checksum of the parts' checksums, then a hyphen and the number of parts.
        return _sha256(b"".join(b64decode(part["ChecksumSHA256"]) for part in parts))

    def _parts(
        self, key: str, file: BinaryIO, size: int, upload: dict[str, str], check: Check
    ) -> list[dict[str, Any]]:
        step = max(self.upload.part_bytes, -(-size // _MAX_PARTS))
        parts: list[dict[str, Any]] = []
        while body := file.read(step):
            check()
            failpoints.point("U1")
            sums = {"ContentMD5": _md5(body), "ChecksumSHA256": _sha256(body)}
            number = len(parts) + 1
            with s3_errors(self.uri(key)):
                made = self.client.upload_part(**upload, PartNumber=number, Body=body, **sums)
            parts.append(
                {"PartNumber": number, "ETag": made["ETag"], "ChecksumSHA256": sums["ChecksumSHA256"]}
            )
        return parts

    def _complete(self, key: str, upload: dict[str, str], parts: list[dict[str, Any]], proof: Proof) -> None:
        try:
            with s3_errors(self.uri(key)):
                self.client.complete_multipart_upload(
                    **upload, MultipartUpload={"Parts": parts}, **self._condition
                )
        except (FileExistsError, FileNotFoundError, TransientError):
            # An earlier try may have succeeded although its answer was lost.
            if not self._is_ours(key, proof):
                raise

    @property
    def _condition(self) -> dict[str, str]:
        return {"IfNoneMatch": "*"} if self._manners.conditions else {}

    def _look_first(self, key: str) -> None:
        if not self._manners.conditions and self.stat(key) is not None:
            raise FileExistsError(self.uri(key))

    def _is_ours(self, key: str, proof: Proof) -> bool:
        found = self._head(key)
        return found is not None and proof.of_ours(found.get("Metadata", {}))

    def attested(self, key: str, proof: Proof, checksum: str) -> Stat:
        """Return the object's description, after comparing size, metadata and, if given, the checksum."""
        found = self._head(key)
        if found is None:
            raise TransientError(f"{self.uri(key)} is gone right after its upload")
        kept = found.get("Metadata", {})
        if not proof.of_ours(kept):
            raise FileExistsError(self.uri(key))
        if not proof.holds(found["ContentLength"], kept):
            raise TransientError(
                f"{self.uri(key)} has {found['ContentLength']} of {proof.size} bytes after its upload"
            )
        said = found.get("ChecksumSHA256", "").partition("-")[0]
        if said not in ("", checksum):
            raise TransientError(f"{self.uri(key)} has another checksum than what was sent")
        return _stat(key, found)

    # -- reading -------------------------------------------------------------------

    def open(self, key: str) -> BinaryIO:
        """Return a stream of the object's present version.

        Raises ``FileNotFoundError`` if there is none. Reading raises ``CorruptFile`` if the object is
        replaced meanwhile.
        """
        found = self._get(key, 0, None)
        etag, first = found["ETag"], [found["Body"]]

        def open_at(offset: int) -> Any:
            body = first.pop() if first else self._get(key, offset, etag)["Body"]
            return _Body(body, self.uri(key))

        return buffered(Download(found["ContentLength"], open_at))

    def _get(self, key: str, offset: int, etag: str | None) -> Any:
        rest: dict[str, str] = {"Range": f"bytes={offset}-"} if offset else {}
        if etag is not None:
            rest["IfMatch"] = etag
        try:
            with s3_errors(self.uri(key)):
                return self.client.get_object(**self._at(key), **rest)
        except FileExistsError:
            raise CorruptFile(
                f"{self.uri(key)} was replaced while it was read", hint="stage its chunk again"
            ) from None

    def stat(self, key: str) -> Stat | None:
        """Return the object's description, by a HeadObject request; None if there is no object."""
        found = self._head(key)
        return None if found is None else _stat(key, found)

    def _head(self, key: str) -> Any:
        try:
            with s3_errors(self.uri(key)):
                return self.client.head_object(**self._at(key), ChecksumMode="ENABLED")
        except FileNotFoundError:
            return None

    def list(self, prefix: str = "", *, scratch: bool = False) -> Iterator[Stat]:
        """Yield the complete objects; leave out unfinished uploads."""
        with s3_errors(self.root):
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix):
                for one in page.get("Contents", ()):
                    key = one["Key"].removeprefix(self.prefix)
                    if not key.startswith(PROBE):
                        yield Stat(key, one["Size"], one.get("ETag"), one["LastModified"].timestamp())

    # -- removing ------------------------------------------------------------------

    def delete(self, key: str) -> bool:
        """Delete the object; return True if it existed, else False.

        In a bucket with versions, older versions stay.
        """
        if self._head(key) is None:
            return False
        with s3_errors(self.uri(key)):
            self.client.delete_object(**self._at(key))
        return True

    def abort_remote(self, prefix: str) -> int:
        """Abort the unfinished multipart uploads of keys that start with ``prefix``; return how many."""
        count = 0
        found: list[dict[str, str]] = []
        with suppress(FileNotFoundError), s3_errors(self.root):
            pages = self.client.get_paginator("list_multipart_uploads")
            found = [
                {"Bucket": self.bucket, "Key": one["Key"], "UploadId": one["UploadId"]}
                for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix)
                for one in page.get("Uploads", ())
                if one["Key"].startswith(self.prefix + prefix)
            ]
        for upload in found:
            with suppress(FileNotFoundError), s3_errors(self.root):
                self.client.abort_multipart_upload(**upload)
                count += 1
        return count


class _Body:
    """A response's body whose failures are raised as errors of hdm."""

    def __init__(self, body: Any, where: str) -> None:
        self._body = body
        self._where = where

    def read(self, size: int) -> bytes:
        with s3_errors(self._where):
            block: bytes = self._body.read(size)
            return block

    def close(self) -> None:
        self._body.close()


def _stat(key: str, head: Any) -> Stat:
    return Stat(key, head["ContentLength"], head.get("ETag"), head["LastModified"].timestamp())


def _md5(body: bytes) -> str:
    return b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _sha256(body: bytes) -> str:
    return b64encode(hashlib.sha256(body).digest()).decode()
