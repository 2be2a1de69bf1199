"""Keeps verified local copies of the few remote files that were last read in pieces."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from hdm.files.stores import scratch
from hdm.model import StagedFile

_MOST = 4


class Copies:
    """A cache of at most four local copies of remote files, which threads may share.

    A copy that leaves the cache stays readable where it is open.
    """

    def __init__(self) -> None:
        self._paths: OrderedDict[tuple[str, str], Path] = OrderedDict()
        self._busy: dict[tuple[str, str], threading.Lock] = {}
        self._guard = threading.Lock()

    def open(self, file: StagedFile, fetch: Callable[[BinaryIO], None]) -> BinaryIO:
        """Open the local copy of a remote file for reading.

        If there is none, ``fetch`` is called to write one.
        """
        key = (file.uri, file.sha256)
        with self._guard:
            busy = self._busy.setdefault(key, threading.Lock())
        with busy:
            with self._guard:
                path = self._paths.get(key)
                if path is not None and path.exists():
                    self._paths.move_to_end(key)
                    return path.open("rb")
            handle, name = tempfile.mkstemp(dir=scratch.folder(), prefix="copy-")
            path = Path(name)
            try:
                with os.fdopen(handle, "wb") as copy:
                    fetch(copy)
                found = path.open("rb")
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            self._keep(key, path)
            return found

    def _keep(self, key: tuple[str, str], path: Path) -> None:
        with self._guard:
            self._paths[key] = path
            while len(self._paths) > _MOST:
                old, gone = self._paths.popitem(last=False)
                self._busy.pop(old, None)
                gone.unlink(missing_ok=True)


COPIES = Copies()
