"""Creates the file of a SQLite state database, and checks where it lies and who may read it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from hdm.components import back_off
from hdm.errors import StateError

_NETWORK = {
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "glusterfs", "lustre", "beegfs", "gpfs", "ceph",
    "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.glusterfs", "fuse.ceph", "davfs",
    "fuse.davfs2", "ncpfs", "orangefs", "fuse.blobfuse2", "fuse.mountpoint-s3",
}  # fmt: skip
_TRIES = 20


def prepare(path: Path, mounts: Path = Path("/proc/mounts")) -> None:
    """Create a state file that only its owner can read, if it does not exist.

    Raises ``StateError`` on a network file system, where SQLite's locks do not work
    (https://www.sqlite.org/faq.html#q5), and if the file cannot be created.
    """
    kind = filesystem(path, mounts)
    if kind in _NETWORK:
        raise StateError(
            f"the state database {path} lies on a network file system ({kind}), where SQLite's locks fail",
            hint="put it on a local disk, or use a PostgreSQL or MySQL state database",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StateError(
            f"the state database {path} cannot be opened: {error.strerror}",
            hint="name a path in a folder that you may write to",
        ) from None


def keep_a_log(cursor: Any) -> None:
    """Let the database keep a write-ahead log; try again while others open it for the first time, too.

    SQLite does not wait for a lock there: of two that switch at once, one is told at once that the file is
    locked (https://www.sqlite.org/wal.html#sometimes_queries_return_sqlite_busy_in_wal_mode).
    """
    back_off.STATE.run(
        lambda: cursor.execute("PRAGMA journal_mode = WAL").fetchone(),
        sqlite3.OperationalError,
        _TRIES,
        lambda error: getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"),
    )


def filesystem(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """Return the type of the file system that ``path`` is on; None if the host has no /proc/mounts."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return None
    found, length = None, -1
    target = path.resolve()
    for line in lines:
        fields = line.split()
        if len(fields) < 3:
            continue
        mount = Path(fields[1].replace("\\040", " "))
        if target.is_relative_to(mount) and len(mount.parts) >= length:
            found, length = fields[2], len(mount.parts)
    return found
