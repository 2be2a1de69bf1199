"""Chooses where the tests write: to memory where the machine has enough of it, else to the usual folder.

Tests write thousands of small databases, each with many syncs. Nothing of it must survive a power failure:
what is killed here are processes, and their files stay.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 8 << 30
"""Bytes that must be free in ``MEMORY``, and half of what must be free of main memory."""
_PREFIX = f"hdm-tests-{os.getuid()}-"


def take(memory: Path = MEMORY) -> Path | None:
    """Make this run's folder in memory the folder for temporary files; return it.

    Returns None, and changes nothing, if TMPDIR is set or memory is short. Folders of dead runs go first.
    """
    if sys.platform != "linux" or "TMPDIR" in os.environ or not os.access(memory, os.W_OK):
        return None
    for old in memory.glob(_PREFIX + "*"):
        if not Path("/proc", old.name.removeprefix(_PREFIX)).exists():
            shutil.rmtree(old, ignore_errors=True)
    if shutil.disk_usage(memory).free < ROOM or _free_memory() < 2 * ROOM:
        return None
    made = memory / f"{_PREFIX}{os.getpid()}"
    made.mkdir()
    made.chmod(0o1777)  # as /tmp: servers run as users of their own
    os.environ["TMPDIR"] = tempfile.tempdir = str(made)
    return made


def _free_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) << 10
    return 0


def leave(made: Path) -> None:
    """Empty a folder that ``take`` made, and use the usual one again. The next run removes it.

    The folder of multiprocessing stays: Python removes it as it ends, and must find it.
    """
    for one in made.iterdir():
        if not one.name.startswith("pymp-"):
            shutil.rmtree(one, ignore_errors=True) if one.is_dir() else one.unlink(missing_ok=True)
    os.environ.pop("TMPDIR", None)
    tempfile.tempdir = None
