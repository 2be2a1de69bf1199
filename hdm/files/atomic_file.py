"""Creates files that appear complete and durable, or do not appear."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from pathlib import Path
from typing import Any

from hdm.errors import HdmError, TransientError, UsageError

SCRATCH = ".tmp"
"""Suffix of files that are being written; they are never listed as data."""


def is_there(path: Path) -> bool:
    """Return True if a file or folder exists at ``path``, else False.

    Raises ``UsageError`` if this user may not look there.
    """
    try:
        return path.exists()
    except PermissionError as error:
        raise UsageError(
            f"cannot look for {path}: {error.strerror}",
            hint="let this user search the folders above it, or name another path",
        ) from None


def has_room(path: Path) -> bool:
    """Return True if this user may write in the folder ``path``, or may create it.

    It may be created if the nearest existing folder above it is writable.
    """
    nearest = next(part for part in (path.absolute(), *path.absolute().parents) if os.path.exists(part))
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def disk_error(error: OSError, what: str) -> HdmError:
    """Return hdm's error for a failed disk operation; ``what`` names the operation's file or folder.

    ``UsageError`` if the user lacks the right to write, else ``TransientError``.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return TransientError(
            f"no room to write {what}: {error.strerror}",
            hint="free disk space or raise the quota; the chunk will be tried again",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UsageError(
            f"cannot write {what}: {error.strerror}", hint="grant the user access to the directory"
        )
    return TransientError(f"cannot write {what}: {error.strerror or type(error).__name__}")


class NewFile(io.RawIOBase):
    """A new file, hashed as it is written, that only its owner can read (mode 0600).

    Raises ``FileExistsError`` if there is such a file. ``seal`` makes the bytes durable. ``floor`` is how
    many bytes must stay free on the disk: opening and writing raise ``OSError`` (ENOSPC) if fewer are.
    """

    _PROBE = 64 * 1024 * 1024

    def __init__(self, path: Path, *, floor: int = 0) -> None:
        super().__init__()
        self.path = path
        self.size = 0
        self._floor = floor
        self._probed = 0
        self._hash = hashlib.sha256()
        self._fd = -1
        self._check_space()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)

    @property
    def sha256(self) -> str:
        """The SHA-256 of everything written so far, in hex digits."""
        return self._hash.hexdigest()

    def writable(self) -> bool:
        """Return True: the stream can be written to."""
        return True

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self.size

    def write(self, data: Any) -> int:
        """Write all of ``data``, with as many system calls as needed, and return its length in bytes."""
        view = memoryview(data).cast("B")
        if self.size - self._probed > self._PROBE:
            self._check_space()
        done = 0
        while done < len(view):
            written = os.write(self._fd, view[done:])
            if written <= 0:
                raise OSError(errno.EIO, "the system wrote nothing", str(self.path))
            done += written
        self._hash.update(view)
        self.size += len(view)
        return len(view)

    def seal(self) -> None:
        """Make the bytes durable and close the file; raise ``OSError`` if its size on disk is wrong."""
        os.fsync(self._fd)
        on_disk = os.fstat(self._fd).st_size
        self.close()
        if on_disk != self.size:
            raise OSError(errno.EIO, f"{on_disk} of {self.size} bytes are on disk", str(self.path))

    def close(self) -> None:
        """Close the file without making it durable; may be called again."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
        super().close()

    def _check_space(self) -> None:
        self._probed = self.size
        if self._floor:
            room = os.statvfs(self.path.parent)
            if room.f_bavail * room.f_frsize < self._floor:
                raise OSError(errno.ENOSPC, "less than the free-space floor is left", str(self.path))


def create(path: Path, content: bytes) -> None:
    """Create a file with this content; raise ``FileExistsError`` if there is one of that name.

    The file appears complete or not at all. Where the file system has ``O_TMPFILE``
    (https://man7.org/linux/man-pages/man2/open.2.html), the content goes into a file without a name first;
    elsewhere into one whose name ends with ``SCRATCH``.
    """
    try:
        handle = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except (OSError, AttributeError):
        scratch = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}{SCRATCH}")
        try:
            with NewFile(scratch) as file:
                file.write(content)
                file.seal()
            os.link(scratch, path, follow_symlinks=False)
        finally:
            scratch.unlink(missing_ok=True)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        done = 0
        while done < len(content):
            done += os.write(handle, content[done:])
        os.fsync(handle)
        os.link(f"/proc/self/fd/{handle}", path.name, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(handle)
        os.close(folder)


def sync_folder(folder: Path) -> None:
    """Make the names of the files in a folder durable (fsync)."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
