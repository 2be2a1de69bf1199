"""Defines stores: trees of objects that are created once, on a disk or in an object store."""

from __future__ import annotations

import errno
import os
import stat as stat_module
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel

from hdm.errors import UsageError
from hdm.files.atomic_file import SCRATCH, create, sync_folder


@dataclass(frozen=True, slots=True)
class Stat:
    """Description of a stored object: ``size`` is in bytes, ``modified`` in seconds since 1970."""

    key: str
    size: int
    etag: str | None = None
    modified: float = 0.0


class Store(ABC):
    """A tree of objects (files) that are created once and never changed.

    Keys are relative, with ``/`` between parts. An object is written to ``scratch(key)`` on the local disk
    first and becomes visible, whole, by ``put_new``.
    """

    scheme: ClassVar[str] = ""
    """What the addresses of the store's objects begin with: ``file``, ``s3``."""
    Profile: ClassVar[type[BaseModel] | None] = None
    """What a profile entry must hold for ``at``; None: the store needs no connection."""
    seekable: ClassVar[bool] = True
    """Whether the streams that ``open`` returns can seek."""

    @classmethod
    def at(cls, url: str, profile: Any = None) -> Self:
        """Return the store whose root has the address ``url``; raise ``UsageError`` for a wrong address.

        ``StoreSource``, ``StoreChunkSource`` and ``StoreSink`` call this. The default raises: components of
        its own open the store.
        """
        raise UsageError(
            f"{cls.scheme}:// is not opened by its address: {url}",
            hint="use the source or sink that is made for it; hdm components lists them",
        )

    @abstractmethod
    def scratch(self, key: str) -> Path:
        """Return the local path at which the bytes of a new object are to be collected."""

    def ready(self) -> None:
        """Raise ``UsageError`` if the store cannot create an object exactly once; may write to it.

        The default tests nothing.
        """
        return

    def look(self) -> None:
        """Raise an error if a read shows that the store cannot be used; write nothing.

        Causes are a missing driver, a refused login, a bucket that does not exist. The default checks
        nothing.
        """
        return

    @abstractmethod
    def put_new(
        self,
        key: str,
        content: bytes | Path,
        *,
        sha256: str | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Stat:
        """Create an object durably, from bytes or from its scratch file, and return its description.

        The scratch file is then removed. Raises ``FileExistsError`` if there is such an object; exactly one
        of several callers wins. ``sha256`` is the checksum that the scratch file must have; stores that copy
        its bytes compare it. ``check`` is called from time to time during a long upload, and may raise.
        """

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """Return a stream of an object's bytes; raise ``FileNotFoundError`` if there is no such object."""

    @abstractmethod
    def stat(self, key: str) -> Stat | None:
        """Return an object's description; None if there is no such object."""

    @abstractmethod
    def list(self, prefix: str = "", *, scratch: bool = False) -> Iterator[Stat]:
        """Yield the objects whose keys start with ``prefix``, in the order of their keys.

        With ``scratch``, unfinished ones too.
        """

    @abstractmethod
    def delete(self, key: str) -> bool:
        """Delete an object; return True if it existed, else False."""

    @abstractmethod
    def uri(self, key: str) -> str:
        """Return the address of an object, by which other systems find it."""

    @abstractmethod
    def key(self, uri: str) -> str:
        """Return the key for an address from ``uri``; raise ``UsageError`` if it is outside of the root."""

    def holds(self, found: Stat, size: int) -> bool:
        """Return True if an object with the description ``found`` can have been created from ``size`` bytes.

        A store that encrypts objects, and tells the size of what it keeps, allows for that.
        """
        return found.size == size

    @abstractmethod
    def abort_uploads(self, prefix: str) -> int:
        """Abort unfinished writes of keys that start with ``prefix``; return how many there were.

        These are scratch files on the local disk and uploads in parts.
        """

    def leftovers(self, folder: str) -> Iterator[str]:
        """Yield the keys below ``folder`` of unfinished writes of records, schemas and marks.

        These belong to no attempt. A writer that is still alive does not mind if one is deleted. By default
        none, as where such an object is created by one request.
        """
        yield from ()


def checked_key(key: str) -> str:
    """Return ``key`` if it names something below the root; else raise ``UsageError``."""
    parts = key.split("/")
    if any(part in ("", ".", "..") or "\x00" in part or "\\" in part for part in parts):
        raise UsageError(f"not a safe object name: {key!r}", hint="name a file below the directory")
    return key


class LocalStore(Store):
    """Keeps files in a directory of the local disk; refuses symbolic links below it."""

    scheme = "file"

    @classmethod
    def at(cls, url: str, profile: Any = None) -> Self:
        """Return the store for the directory of a ``file:///`` address."""
        split = urlsplit(url)
        if split.netloc or not split.path.startswith("/"):
            raise UsageError(f"{url} names no directory", hint="write file:///path/of/the/directory")
        return cls(unquote(split.path))

    def __init__(self, root: str | Path, *, floor: int = 0) -> None:
        self.root = Path(root).expanduser().resolve()
        self.floor = floor

    def path(self, key: str) -> Path:
        """Return an object's path; raise ``UsageError`` if it leads through a symbolic link."""
        path = self.root.joinpath(checked_key(key))
        if path.parent.resolve() != path.parent or path.is_symlink():
            raise UsageError(
                f"{path} lies behind a symbolic link",
                hint="replace the link by a directory, or name its target as the directory",
            )
        return path

    def scratch(self, key: str) -> Path:
        """Return the local path for a new object's bytes, beside the object, so that no copy is needed."""
        path = self.path(key)
        self._make_folder(path.parent)
        return path.with_name(path.name + SCRATCH)

    def put_new(
        self,
        key: str,
        content: bytes | Path,
        *,
        sha256: str | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Stat:
        """Create the file by a hard link, which fails if the name is taken; make its name durable."""
        path = self.path(key)
        if isinstance(content, bytes):
            self._make_folder(path.parent)
            create(path, content)
        else:
            os.link(content, path, follow_symlinks=False)
            content.unlink()
        sync_folder(path.parent)
        made = path.lstat()
        return Stat(key, made.st_size, None, made.st_mtime)

    def open(self, key: str) -> BinaryIO:
        """Open the file for reading, buffered by 1 MiB; refuse symbolic links and special files."""
        path = self.path(key)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise UsageError(f"{path} is a symbolic link", hint="put the file itself there") from error
            raise
        if not stat_module.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise UsageError(f"{path} is not a plain file", hint="put a plain file there")
        return os.fdopen(handle, "rb", buffering=1024 * 1024)

    def stat(self, key: str) -> Stat | None:
        """Return the file's size and time; None if there is no ordinary file of that name."""
        try:
            found = self.path(key).lstat()
        except FileNotFoundError:
            return None
        if not stat_module.S_ISREG(found.st_mode):
            return None
        return Stat(key, found.st_size, None, found.st_mtime)

    def list(self, prefix: str = "", *, scratch: bool = False) -> Iterator[Stat]:
        """Yield the ordinary files whose keys start with ``prefix``; leave out symbolic links."""
        folder, _, _ = prefix.rpartition("/")
        start = self.path(folder) if folder else self.root
        yield from self._walk(start, f"{folder}/" if folder else "", prefix, scratch)

    def _walk(self, folder: Path, base: str, prefix: str, scratch: bool) -> Iterator[Stat]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=_sort_key)
        except FileNotFoundError:
            return
        except OSError as error:
            raise UsageError(
                f"cannot list {folder}: {error.strerror}", hint="name a directory that the user may read"
            ) from error
        for entry in entries:
            key = base + entry.name
            if entry.is_dir(follow_symlinks=False):
                inner = key + "/"
                if inner.startswith(prefix) or prefix.startswith(inner):
                    yield from self._walk(folder / entry.name, inner, prefix, scratch)
            elif key.startswith(prefix) and entry.is_file(follow_symlinks=False):
                if entry.name.endswith(SCRATCH) and not scratch:
                    continue
                try:
                    seen = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield Stat(key, seen.st_size, None, seen.st_mtime)

    def delete(self, key: str) -> bool:
        """Delete the file durably; return True if it existed, else False."""
        path = self.path(key)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        sync_folder(path.parent)
        return True

    def abort_uploads(self, prefix: str) -> int:
        """Delete the scratch files whose keys start with ``prefix``; return how many there were.

        Scratch files of chunk records are included.
        """
        found = [stat.key for stat in self.list(prefix, scratch=True) if stat.key.endswith(SCRATCH)]
        return sum(self.delete(key) for key in found)

    def uri(self, key: str) -> str:
        """Return a file's ``file://`` address."""
        return self.root.joinpath(checked_key(key)).as_uri()

    def key(self, uri: str) -> str:
        """Return the part of a ``file://`` address below the root.

        Raises ``UsageError`` for any other address.
        """
        split = urlsplit(uri)
        path = Path(unquote(split.path))
        if split.scheme != "file" or not path.is_relative_to(self.root):
            raise UsageError(
                f"{uri} does not lie under {self.root}",
                hint="give the source the same directory as the sink that staged the file",
            )
        return checked_key(path.relative_to(self.root).as_posix())

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        missing = [folder, *folder.parents]
        missing = [part for part in missing if not part.exists()]
        for part in reversed(missing):
            part.mkdir(mode=0o700, exist_ok=True)
            sync_folder(part.parent)


def _sort_key(entry: os.DirEntry[str]) -> str:
    """Return the sort key of a folder's entry that makes a walk yield keys in the order of their text."""
    return entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name
