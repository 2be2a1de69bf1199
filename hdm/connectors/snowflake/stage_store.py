"""Defines StageStore, a folder on a named internal stage as a store of files."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from hdm import failpoints
from hdm.connectors.snowflake.database import SnowflakeDatabase
from hdm.connectors.snowflake.staging import place, upload
from hdm.errors import UsageError
from hdm.files.stores import scratch
from hdm.files.stores.base import LocalStore, Stat, Store, checked_key
from hdm.model import digest

_BLOCK = 16
"""Bytes to which the driver pads what it encrypts before it uploads it
(https://github.com/snowflakedb/snowflake-connector-python/pull/1223)."""


class StageStore(Store):
    """Keeps files in a folder on a named internal stage, by PUT, GET, LIST and REMOVE.

    A stage cannot create a file only once if several clients try: PUT looks first and uploads then. So what
    publishes a file must lie elsewhere. Each method opens a database session, or uses that of ``session``.
    """

    scheme: ClassVar[str] = "snowflake"
    seekable: ClassVar[bool] = False

    def __init__(self, database: SnowflakeDatabase, stage: tuple[str, ...], folder: str) -> None:
        self.database = database
        self.stage = stage
        self.folder = folder
        self.root = f"snowflake://{database.profile.account}/{'.'.join(stage)}/{folder}/"
        self._mine = threading.local()

    @contextmanager
    def session(self, label: str, *, write: bool = False) -> Iterator[Any]:
        """Open a database session that all methods use in this thread until the ``with`` block ends.

        Such blocks may be nested: the outer one decides. ``label`` and ``write`` as for ``Database.connect``.
        """
        held = getattr(self._mine, "connection", None)
        if held is not None:
            yield held
            return
        connection = self.database.connect(label, write=write)
        self._mine.connection = connection
        try:
            yield connection
        finally:
            self._mine.connection = None
            connection.close()

    def look(self) -> None:
        """Raise ``UsageError`` if the stage's schema does not exist; ``ready`` creates the stage."""
        self.database.must_be_there(self.stage[:-1])

    def ready(self) -> None:
        """Create the stage if it does not exist."""
        with self.session("hdm:prepare", write=True) as connection:
            name = self.database.dialect.qualify(self.stage)
            self.database.change(connection, f"CREATE STAGE IF NOT EXISTS {name}")

    @cached_property
    def _local(self) -> LocalStore:
        return LocalStore(scratch.folder() / digest(self.root)[:16])

    def scratch(self, key: str) -> Path:
        """Return the local path for a new object's bytes, in a folder of this process alone."""
        return self._local.scratch(key)

    def put_new(
        self,
        key: str,
        content: bytes | Path,
        *,
        sha256: str | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Stat:
        """PUT a file, and return its description; raise ``FileExistsError`` if the stage has one of the name.

        PUT names a file as it is named locally, and compares nothing but what it sent.
        """
        written = content if isinstance(content, Path) else self.scratch(key)
        if isinstance(content, bytes):
            written.write_bytes(content)
        size, named = written.stat().st_size, self._local.path(key)
        named.unlink(missing_ok=True)
        os.link(written, named, follow_symlinks=False)
        try:
            check()
            with self.session("hdm:put", write=True) as connection:
                taken = upload(self.database, connection, named, self._at(key).rpartition("/")[0])
        finally:
            named.unlink()
        if not taken:
            raise FileExistsError(self.uri(key))
        written.unlink()
        failpoints.point("U3")
        return Stat(key, size)

    def open(self, key: str) -> BinaryIO:
        """GET a file into a temporary folder, and return it open for reading; its name is gone by then."""
        with tempfile.TemporaryDirectory(prefix="get-", dir=scratch.folder()) as folder:
            to = self.database.dialect.string(f"file://{Path(folder).as_posix()}/")
            with self.session("hdm:get") as connection:
                if self.stat(key) is None:
                    raise FileNotFoundError(self.uri(key))
                self.database.run(connection, f"GET {self._exactly(key, f'{to} ')}")
            return Path(folder, key.rpartition("/")[2]).open("rb")

    def stat(self, key: str) -> Stat | None:
        """Return a file's size and time by LIST; None if there is no such file."""
        checked_key(key)
        return next((found for found in self.list(key) if found.key == key), None)

    def list(self, prefix: str = "", *, scratch: bool = False) -> Iterator[Stat]:
        """Yield the files whose keys start with ``prefix``, in the order of their keys."""
        with self.session("hdm:list") as connection:
            rows = self.database.rows(connection, f"LIST {place(self.database, self._at(prefix))}")
        start = f"{self.folder}/"
        found = [
            Stat(name.removeprefix(start), int(row["size"]), row.get("md5"), _seconds(row["last_modified"]))
            for row in rows
            # the stage's own name stands before the path (https://docs.snowflake.com/en/sql-reference/sql/list)
            if (name := str(row["name"]).partition("/")[2]).startswith(start + prefix)
        ]
        return iter(sorted(found, key=lambda one: one.key))

    def holds(self, found: Stat, size: int) -> bool:
        """Return True if the listed size is that of ``size`` bytes, encrypted or not."""
        return found.size in (size, size - size % _BLOCK + _BLOCK)

    def delete(self, key: str) -> bool:
        """REMOVE a file; return True if it existed, else False."""
        with self.session("hdm:remove", write=True) as connection:
            return bool(self.database.run(connection, f"REMOVE {self._exactly(key)}"))

    def uri(self, key: str) -> str:
        """Return a file's address: ``snowflake://``, the account, the stage's full name, folder and key."""
        return self.root + checked_key(key)

    def key(self, uri: str) -> str:
        """Return the part of an address below the folder; raise ``UsageError`` if it lies elsewhere."""
        if not uri.startswith(self.root):
            raise UsageError(
                f"{uri} does not lie under {self.root}",
                hint="name the stage and the folder of the sink that put it there",
            )
        return checked_key(uri.removeprefix(self.root))

    def abort_uploads(self, prefix: str) -> int:
        """Delete this process's scratch files of keys that start with ``prefix``; return how many there were.

        The scratch files of dead processes are all deleted, too, and not counted.
        """
        scratch.sweep()
        return self._local.abort_uploads(prefix)

    def _at(self, path: str) -> str:
        return f"@{self.database.dialect.qualify(self.stage)}/{self.folder}/{path}"

    def _exactly(self, key: str, to: str = "") -> str:
        """Return the words that name one file; without PATTERN, GET and REMOVE take all that begin so.

        https://docs.snowflake.com/en/sql-reference/sql/remove
        """
        plain = re.sub(r"[^\w/-]", ".", checked_key(key))  # what a literal or a pattern reads otherwise
        return f"{place(self.database, self._at(key))} {to}PATTERN = '.*{plain}$'"


def _seconds(said: Any) -> float:
    """Return LIST's time, ``Tue, 30 Jun 2026 10:00:00 GMT``, in seconds since 1970."""
    return parsedate_to_datetime(str(said)).timestamp()
