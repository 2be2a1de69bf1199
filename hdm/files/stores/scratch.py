"""Keeps this process's local files that wait for upload, and removes those of dead processes.

Each process has a folder of its own with a locked file in it. The lock ends with the process, however the
process ends; so a folder whose file can be locked belongs to a dead process.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import stat
import tempfile
import threading
from pathlib import Path

from hdm.errors import UsageError

_LOCK = "lock"
_guard = threading.Lock()
_mine: dict[Path, tuple[Path, int]] = {}


def folder(base: str | None = None) -> Path:
    """Return this process's own folder below ``base`` (default: the system's temporary folder).

    The first call creates it, and removes the folders of dead processes. Raises ``UsageError`` if another
    user could enter the folder above it.
    """
    root = (Path(base).expanduser() if base else Path(tempfile.gettempdir())).resolve() / _name()
    with _guard:
        if root not in _mine:
            _private(root)
            _sweep(root)
            _mine[root] = _taken(root)
        found, _ = _mine[root]
        found.mkdir(mode=0o700, exist_ok=True)
        return found


def sweep(base: str | None = None) -> int:
    """Remove the folders of dead processes below ``base``; return how many files were in them."""
    root = (Path(base).expanduser() if base else Path(tempfile.gettempdir())).resolve() / _name()
    if not root.is_dir():
        return 0
    with _guard:
        _private(root)
        return _sweep(root)


def _name() -> str:
    return f"hdm-scratch-{os.getuid()}"


def _private(root: Path) -> None:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = root.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UsageError(
            f"{root} is not a folder that only this user can enter",
            hint="remove it, or name another folder as `scratch:`",
        )


def _taken(root: Path) -> tuple[Path, int]:
    if not _mine:
        atexit.register(_leave, os.getpid())
    made = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root))
    handle = os.open(made / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return made, handle


def _leave(pid: int) -> None:
    """Remove this process's folders when it ends, but not when a process forked from it ends."""
    for found, _ in _mine.values() if pid == os.getpid() else ():
        shutil.rmtree(found, ignore_errors=True)


def _sweep(root: Path) -> int:
    own = {found for found, _ in _mine.values()}
    removed = 0
    for old in root.iterdir():
        if old in own or not old.is_dir():
            continue
        try:
            handle = os.open(old / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # another process is just creating this folder
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            removed += sum(1 for path in old.rglob("*") if path.is_file() and path.name != _LOCK)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            os.close(handle)
    return removed
