"""Stores files on an SFTP server: uploaded under a temporary name, then renamed to a name that is free.

SSH_FXP_RENAME is an error if the new name is taken, section 6.5 of
https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02; OpenSSH keeps to it by a hard link. The
extension posix-rename@openssh.com, which overwrites, is never used:
https://cvsweb.openbsd.org/src/usr.bin/ssh/PROTOCOL
"""

from __future__ import annotations

import io
import os
import stat as stat_module
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, ClassVar

from hdm import failpoints
from hdm.errors import CorruptFile, TransientError, UsageError
from hdm.files.atomic_file import SCRATCH
from hdm.files.layout import DONE, MANIFEST, REMOVED, SIDECAR
from hdm.files.stores.base import Stat, checked_key
from hdm.files.stores.object_base import MIB, PROBE, Check, Download, ObjectStore, Proof, Upload, buffered
from hdm.files.stores.sftp_requests import read_many, write_all
from hdm.files.stores.sftp_sessions import Sessions, sftp_errors

_TRIES = 3
_MANY_TRIES = 20
"""Tries of a test that each process that begins at the same time may disturb once."""
_PACKET = 32 * 1024
"""Bytes that every server takes in one packet."""


class SFTPStore(ObjectStore):
    """Keeps files in a directory of an SFTP server; ``connect`` returns a logged-in paramiko.SSHClient.

    ``address`` is ``host:port``. The protocol has no checksums, so what was uploaded is read back unless
    ``verify: head`` is said.
    """

    scheme = "sftp"
    _known: ClassVar[dict[str, bool]] = {}
    _asking: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self, connect: Callable[[], Any], address: str, directory: str, upload: Upload | None = None
    ) -> None:
        super().__init__("", upload)
        self.directory = directory.rstrip("/")
        self.root = f"sftp://{address}{self.directory}/"
        self.sessions = Sessions(connect, self.root)

    def path(self, key: str) -> str:
        """Return the path of an object on the server."""
        return f"{self.directory}/{checked_key(key)}"

    # -- abilities of the server ----------------------------------------------------

    def ready(self) -> None:
        """Test the server once per process; raise ``UsageError`` if its rename overwrites files.

        ``create_once: check`` accepts such a server. See ``ObjectStore.ready``.
        """
        with self._asking:
            if self.root not in self._known:
                self._known[self.root] = self._refuses()
        if not self._known[self.root] and self.upload.create_once == "server":
            raise UsageError(
                f"the server of {self.root} overwrites a file by SSH_FXP_RENAME: two attempts could both "
                "publish a chunk",
                hint="write `create_once: check` in the sink's conf to accept that hdm looks first and hopes",
            )

    def _refuses(self) -> bool:
        """Return True if the server refuses to rename a file to a name that is taken.

        What killed processes left of their tests is removed first; one that asks now asks again then.
        """
        body = b"hdm asks here whether this store keeps its promises; leave this file alone\n"
        self._remove_unfinished(PROBE)
        taken, tries = 0, 0
        while taken < 2:
            try:
                self._put(PROBE, io.BytesIO(body), len(body), lambda: None)
            except FileExistsError:
                return True
            except FileNotFoundError:
                tries += 1
                if tries == _MANY_TRIES:
                    raise self._given_up(PROBE) from None
            else:
                taken += 1
        return False

    def _remove_unfinished(self, prefix: str) -> int:
        with self.sessions.use("the list", self.root) as sftp:
            names = sftp.listdir(self.directory or "/")
        found = [name for name in names if name.startswith(f"{prefix}.") and name.endswith(SCRATCH)]
        return sum(self.delete(name) for name in found)

    def look(self) -> None:
        """Look at the directory; raise ``UsageError`` if it is not there or the login is refused."""
        try:
            with self.sessions.use("look", self.root) as sftp:
                found = sftp.stat(self.directory or "/")
        except FileNotFoundError:
            found = None
        if found is None or not stat_module.S_ISDIR(found.st_mode or 0):
            raise UsageError(
                f"there is no directory {self.root}", hint="make it on the server, or correct `directory:`"
            )

    @property
    def vouches(self) -> bool:
        """False: SFTP has no checksums, so that what was uploaded is read back."""
        return False

    # -- writing -------------------------------------------------------------------

    def put_bytes(self, key: str, body: bytes, proof: Proof) -> str:
        """Create the file from bytes; return "", since servers report no checksum."""
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):
                return self._create(key, io.BytesIO(body), len(body), lambda: None)
            # `hdm gc` of a dead attempt at the same chunk has removed the temporary file: see `abort_remote`.
        raise self._given_up(key)

    def put_parts(self, key: str, file: BinaryIO, proof: Proof, check: Check) -> str:
        """Create the file from a local one; return "", since servers report no checksum."""
        try:
            return self._create(key, file, proof.size, check)
        except FileNotFoundError:
            raise self._given_up(key) from None

    def _given_up(self, key: str) -> TransientError:
        return TransientError(f"the upload of {self.uri(key)} was given up by another")

    def _create(self, key: str, stream: BinaryIO, size: int, check: Check) -> str:
        if not self._known.get(self.root, False) and self.stat(key) is not None:
            raise FileExistsError(self.uri(key))
        self._put(key, stream, size, check)
        failpoints.point("U3")
        return ""

    def _put(self, key: str, stream: BinaryIO, size: int, check: Check) -> None:
        passing = f"{self.path(key)}.{os.urandom(8).hex()}{SCRATCH}"
        with self.sessions.use("the upload", self.uri(key)) as sftp:
            self._make_folders(sftp, key)
            try:
                write_all(sftp, passing, stream, size, check)
                failpoints.point("U2")
                self._rename(sftp, passing, key)
            except BaseException:
                with suppress(Exception):  # where the connection is lost, `hdm gc` takes it up
                    sftp.remove(passing)
                raise

    def _rename(self, sftp: Any, passing: str, key: str) -> None:
        path = self.path(key)
        try:
            sftp.rename(passing, path)
        except OSError as error:
            # Version 3 of the protocol has no status that says "taken".
            if type(error) is OSError and error.errno is None and _attributes(sftp, path) is not None:
                raise FileExistsError(self.uri(key)) from None
            raise

    def _make_folders(self, sftp: Any, key: str) -> None:
        parts = key.split("/")[:-1]
        if not parts or _attributes(sftp, f"{self.directory}/{'/'.join(parts)}") is not None:
            return
        for count in range(1, len(parts) + 1):
            folder = f"{self.directory}/{'/'.join(parts[:count])}"
            try:
                sftp.mkdir(folder)
            except FileNotFoundError:
                raise
            except OSError:
                if _attributes(sftp, folder) is None:
                    raise

    def attested(self, key: str, proof: Proof, checksum: str) -> Stat:
        """Return the file's description, after comparing its size."""
        found = self.stat(key)
        if found is None:
            raise TransientError(f"{self.uri(key)} is gone right after its upload")
        if found.size != proof.size:
            raise TransientError(f"{self.uri(key)} has {found.size} of {proof.size} bytes after its upload")
        return found

    # -- reading -------------------------------------------------------------------

    def open(self, key: str) -> BinaryIO:
        """Return a stream of the file.

        Raises ``FileNotFoundError`` if there is none. Reading raises ``CorruptFile`` if the connection was
        lost and another file has the name when it is opened again.
        """
        first = _Body(self, key, 0)
        seen, held = first.seen, [first]

        def open_at(offset: int) -> _Body:
            if held:
                return held.pop()
            try:
                body = _Body(self, key, offset)
            except FileNotFoundError:
                body = None
            if body is not None and body.seen == seen:
                return body
            if body is not None:
                body.close()
            raise CorruptFile(f"{self.uri(key)} was replaced while it was read", hint="stage its chunk again")

        return buffered(Download(seen[0], open_at))

    def stat(self, key: str) -> Stat | None:
        """Return the file's size and time; None if there is no ordinary file of that name."""
        path = self.path(key)
        with self.sessions.use("look", self.uri(key)) as sftp:
            found = _attributes(sftp, path)
        if found is None or not stat_module.S_ISREG(found.st_mode or 0):
            return None
        return Stat(key, found.st_size, None, float(found.st_mtime or 0))

    def list(self, prefix: str = "", *, scratch: bool = False) -> Iterator[Stat]:
        """Yield the ordinary files, folder by folder; leave out links, and unfinished uploads."""
        folder, mark, _ = prefix.rpartition("/")
        if folder:
            checked_key(folder)
        yield from self._walk(folder + mark, prefix, scratch)

    def _walk(self, base: str, prefix: str, scratch: bool) -> Iterator[Stat]:
        try:
            with self.sessions.use("the list", self.root + base) as sftp:
                entries = sftp.listdir_attr(f"{self.directory}/{base}")
        except FileNotFoundError:
            return
        folders = {one.filename for one in entries if stat_module.S_ISDIR(one.st_mode or 0)}
        for one in sorted(entries, key=lambda e: e.filename + ("/" if e.filename in folders else "")):
            key = base + one.filename
            if one.filename in folders:
                if f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/"):
                    yield from self._walk(f"{key}/", prefix, scratch)
            elif key.startswith(prefix) and stat_module.S_ISREG(one.st_mode or 0):
                if key.startswith(PROBE) or (key.endswith(SCRATCH) and not scratch):
                    continue
                yield Stat(key, one.st_size, None, float(one.st_mtime or 0))

    # -- removing ------------------------------------------------------------------

    def delete(self, key: str) -> bool:
        """Delete the file; return True if it existed, else False. Its folders stay."""
        path = self.path(key)
        try:
            with self.sessions.use("the removal", self.uri(key)) as sftp:
                sftp.remove(path)
        except FileNotFoundError:
            return False
        return True

    def leftovers(self, folder: str) -> Iterator[str]:
        """Yield the temporary files of records, schemas and marks; ``put_bytes`` of a live one repeats it."""
        for one in self.list(f"{folder}/", scratch=True):
            name = one.key.rpartition("/")[2]
            if name.endswith(SCRATCH) and name.rsplit(".", 2)[0].endswith((MANIFEST, REMOVED, DONE)):
                yield one.key
            elif name.endswith(SCRATCH) and name.startswith(SIDECAR):
                yield one.key

    def abort_remote(self, prefix: str) -> int:
        """Delete the temporary files of uploads of keys that start with ``prefix``; return how many.

        If ``prefix`` names a chunk's file, ``CHUNK.ATTEMPT.``, those of the chunk's records go, too, since
        no attempt's record names them. Should one be of a live attempt, ``put_bytes`` repeats it.
        """
        folder, mark, name = prefix.rpartition("/")
        chunk, dot, rest = name.partition(".")
        is_of_chunk = bool(dot) and rest[:1].isdigit()
        start = f"{folder}{mark}{chunk}." if is_of_chunk else prefix
        found = [one.key for one in self.list(start, scratch=True) if one.key.endswith(SCRATCH)]
        mine = [
            key
            for key in found
            if key.startswith(prefix) or (is_of_chunk and not key.removeprefix(start)[:1].isdigit())
        ]
        return sum(self.delete(key) for key in mine)


def _attributes(sftp: Any, path: str) -> Any:
    """Return what is at a path, without following a link there; None if nothing is."""
    try:
        return sftp.lstat(path)
    except FileNotFoundError:
        return None


class _Body:
    """A file that is read from an offset on, by many requests at a time; it has a connection of its own.

    ``seen`` are the file's size and time.
    """

    _RANGE = 2 * MIB

    def __init__(self, store: SFTPStore, key: str, offset: int) -> None:
        self._sessions, self._where = store.sessions, store.uri(key)
        path = store.path(key)
        self._session: Any = self._sessions.take()
        self._at, self._rest = offset, memoryview(b"")
        try:
            with sftp_errors("reading", self._where):
                self._file = self._session.sftp.open(path, "rb")
                found = self._file.stat()
        except BaseException as error:
            self._leave(is_good=isinstance(error, FileNotFoundError))
            raise
        self.seen = (int(found.st_size), found.st_mtime)

    def read(self, count: int) -> bytes:
        if not self._rest:
            self._rest = memoryview(self._next())
            self._at += len(self._rest)
        block, self._rest = bytes(self._rest[:count]), self._rest[count:]
        return block

    def _next(self) -> bytes:
        end = min(self._at + self._RANGE, self.seen[0])
        asked = [(at, min(_PACKET, end - at)) for at in range(self._at, end, _PACKET)]
        try:
            with sftp_errors("reading", self._where):
                return read_many(self._session.sftp, self._file.handle, asked)
        except BaseException:
            self._leave(is_good=False)
            raise

    def close(self) -> None:
        if self._session is None:
            return
        try:
            with suppress(OSError, EOFError):
                self._file.close()
        finally:
            self._leave(is_good=True)

    def _leave(self, *, is_good: bool) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._sessions.give(session, is_good=is_good)
