"""Writes the files of one attempt: encoded from batches, or copied byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from hdm import failpoints
from hdm.arrow.batches import rebatch
from hdm.errors import BrokenContract, CorruptFile
from hdm.files.atomic_file import NewFile, disk_error
from hdm.files.formats import Format, format_named, format_of
from hdm.files.layout import Split
from hdm.files.stores.base import Store
from hdm.model import Attempt, Payload, StagedFile, Table

_GROUP_BYTES = 24 * 1024 * 1024
_COPY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Settings for writing files: where and how; ``min_free`` bytes of the disk always stay free."""

    store: Store
    format: Format
    compression: str
    split: Split
    min_free: int


class Writing:
    """Writes the files of one attempt at a chunk, and collects them in ``staged``."""

    def __init__(self, options: WriteOptions, base: str, attempt: Attempt) -> None:
        self.options = options
        self.staged: list[StagedFile] = []
        self._base = base
        self._attempt = attempt
        self._scratch: Path | None = None

    def encode(self, table: Table, payload: Payload) -> None:
        """Write the payload's batches into as many files as the limits in ``split`` require."""
        options, split = self.options, self.options.split
        group = min(_GROUP_BYTES, 4 * split.bytes) if split.bytes else _GROUP_BYTES
        open_file: tuple[str, NewFile, Any] | None = None
        try:
            for whole in rebatch(payload.batches()):
                batch = whole
                while batch.num_rows:
                    if open_file is None:
                        key, file = self._begin(options.format, options.compression)
                        open_file = (
                            key, file, options.format.writer(_stream(file), table, options.compression, group)
                        )  # fmt: skip
                    key, file, writer = open_file
                    room = split.rows - writer.rows if split.rows else batch.num_rows
                    with disk(key):
                        writer.write(batch.slice(0, room))
                        failpoints.point("C3")
                    batch = batch.slice(min(room, batch.num_rows))
                    self._attempt.check()
                    full = split.bytes and writer.estimate() >= split.bytes
                    if full or (split.rows and writer.rows >= split.rows):
                        self._end(key, file, writer)
                        open_file = None
            if open_file is not None:
                self._end(*open_file)
                open_file = None
        finally:
            if open_file is not None:
                open_file[1].close()

    def copy(self, staged: StagedFile, payload: Payload) -> None:
        """Copy a staged file byte for byte; raise ``CorruptFile`` if its bytes are not what was staged.

        ``payload`` opens the file.
        """
        if payload.open is None:
            raise BrokenContract("a payload with files cannot open them", hint="give Payload.open")
        found, form = format_of(staged.uri), self.options.format
        if staged.format != form.name:
            form = format_named(staged.format)
        key, file = self._begin(form, found[1] if found else "none")
        with file:
            with payload.open(staged) as stream:
                while block := stream.read(_COPY_BYTES):
                    with disk(key):
                        file.write(block)
                        failpoints.point("C3")
                    self._attempt.check()
            if (file.size, file.sha256) != (staged.bytes, staged.sha256):
                raise CorruptFile(
                    f"{staged.uri} is not as it was staged: {file.size} of {staged.bytes} bytes"
                    f"{'' if file.size != staged.bytes else ', other checksum'}",
                    hint="restore the file, or stage its chunk again",
                )
            self._seal(key, file, staged.rows, form)

    def give_up(self) -> None:
        """Delete the files that this attempt has written so far."""
        if self._scratch is not None:
            self._scratch.unlink(missing_ok=True)
        for file in self.staged:
            self.options.store.delete(self.options.store.key(file.uri))

    def _begin(self, form: Format, compression: str) -> tuple[str, NewFile]:
        store = self.options.store
        key = nth_file(self._base, len(self.staged), form.extension(compression))
        self._attempt.will_write(store.uri(key), form.name)
        failpoints.point("C2")
        with disk(key):
            self._scratch = store.scratch(key)
            # A call of this attempt that was retried may have left it; no other attempt uses the name.
            self._scratch.unlink(missing_ok=True)
            return key, NewFile(self._scratch, floor=self.options.min_free)

    def _end(self, key: str, file: NewFile, writer: Any) -> None:
        with disk(key):
            writer.close()
        self._seal(key, file, writer.rows, self.options.format)

    def _seal(self, key: str, file: NewFile, rows: int, form: Format) -> None:
        store = self.options.store
        size, sha256 = file.size, file.sha256
        with disk(key):
            failpoints.point("C4")
            file.seal()
            self._count_again(file.path, rows, form)
            failpoints.point("C5")
            try:
                made = store.put_new(key, file.path, sha256=sha256, check=self._attempt.check)
            except FileExistsError:
                store.delete(key)
                made = store.put_new(key, file.path, sha256=sha256, check=self._attempt.check)
        self._scratch = None
        self.staged.append(StagedFile(store.uri(key), form.name, size, rows, sha256, etag=made.etag))
        failpoints.point("C6")

    def _count_again(self, path: Path, rows: int, form: Format) -> None:
        if not form.describes_itself:
            return
        with path.open("rb") as stream:
            found = form.rows(stream, self.options.compression)
        if found != rows:
            raise CorruptFile(f"{found} of {rows} rows are in a file just written", hint="report this")


def nth_file(base: str, number: int, ending: str) -> str:
    """Return the object key of an attempt's file ``number``, counted from 0.

    ``base`` is the start of all keys of the attempt; ``ending`` includes the dot.
    """
    return f"{base}.{number}{ending}"


@contextmanager
def disk(what: str) -> Iterator[None]:
    """Translate an ``OSError`` of writing in the ``with`` block to hdm's error.

    ``what`` names the file for the error's message. ``FileExistsError`` goes through, because callers handle
    it as an answer.
    """
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise disk_error(error, what) from error


def _stream(file: NewFile) -> BinaryIO:
    return file  # type: ignore[return-value]  # RawIOBase whose write never falls short
