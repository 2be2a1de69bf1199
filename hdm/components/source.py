"""The Source template: describes a dataset, cuts it into chunks, and reads each chunk repeatably."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from pydantic import BaseModel

from hdm.components import authoring
from hdm.components.settings import Settings
from hdm.model import Chunk, Dataset, Mode, Payload, Receipt, Table, Window


class Source(ABC):
    """Reads one dataset. Keeps no state, and may read its chunks in any order.

    ``Config`` is the model of the manifest's ``conf``, ``Profile`` that of a profile entry (None: the source
    needs no connection). Every process that reads makes an instance of its own.
    """

    Config: ClassVar[type[BaseModel]] = Settings
    Profile: ClassVar[type[BaseModel] | None] = None
    chunks_from_files: ClassVar[bool] = False
    """Whether the source reads the published files of an upstream sink, to which its link is chained."""

    chunks_are_content: ClassVar[bool] = False
    """Whether a chunk stands for unchanging content, e.g. a file by its checksum.

    Each run then plans only chunks that were never planned before, and a job is never complete.
    """

    values_per_chunk: ClassVar[int] = 1
    """How many cursor values, whole numbers or days, are in a chunk; used with ``bounds``."""

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        self.config = config
        self.profile = profile
        self.name = name or type(self).__name__

    @property
    def system(self) -> str:
        """The address of the system that the source reads, such as ``host:port`` or a bucket.

        By default the source's name. Components with the same address are taken to become unreachable
        together.
        """
        return self.name

    def reach(self) -> None:
        """Raise ``ConnectionLost`` if the source's system cannot be reached; else return.

        Called after a lost connection: while the system is unreachable, hdm waits and counts no failed
        attempts. The default cannot tell and returns.
        """
        return

    @abstractmethod
    def describe(self) -> Table:
        """Return the dataset's schema, key and cursor as the system's own catalogue declares them."""

    def tables(self) -> Iterator[Table]:
        """Yield every table that this source reads; by default the one that ``describe`` returns."""
        yield self.describe()

    def ready(self, table: Table) -> None:
        """Raise ``UsageError`` if ``table`` cannot be read as configured; else return. Changes nothing."""
        return

    def is_empty(self, table: Table) -> bool:
        """Return True if the source knows that the table is empty; False if not, or if it cannot tell.

        Called before a table without a cursor, empty at its last reading, is read again.
        """
        return False

    def snapshot(self) -> AbstractContextManager[str | None]:
        """Hold one consistent view of the source during the ``with`` block, and give the token of this view.

        Other database sessions read the same view by the token, which is stored in ``Chunk.snapshot``. The
        default holds no view and gives None.
        """
        return nullcontext(None)

    def bounds(self, after: Any) -> tuple[Any, Any] | None:
        """Return the cursor's least and greatest value above ``after``; None if there is none.

        Override this for a cursor without NULLs, and ``split`` cuts ranges of it. ``after`` is None for the
        first reading. Both values are int, or both date. Rows that come later must have a greater value.
        """
        return None

    def values(self, table: Table, chunk: Chunk) -> list[Any]:
        """Return every cursor value, int or date, in the chunk's range; needs ``bounds``."""
        return authoring.values(table, chunk)

    @property
    def is_ranged(self) -> bool:
        """True if this class overrides ``bounds``, so that ``split`` cuts ranges of the cursor."""
        return type(self).bounds is not Source.bounds

    def window(self) -> Window:
        """Return the configured cursor column and chunk size, with nothing committed yet."""
        return Window(column=self.describe().cursor) if self.is_ranged else Window()

    def split(self, table: Table, window: Window, job_key: str, snapshot: str | None) -> Iterator[Chunk]:
        """Cut the rows of ``window`` into chunks, with each row in exactly one; yield the chunks.

        The default yields ranges of the cursor if ``bounds`` is overridden, else one chunk of all rows.
        Chunks are numbered from 0 in cursor order.
        """
        if self.is_ranged:
            after = None if window.after is None else authoring.cursor_value(table, window.after)
            found = self.bounds(after)
            if found is not None:
                yield from authoring.ranges(table, *found, self.values_per_chunk, job_key)
            return
        yield Chunk(job_key, table.dataset, 0, schema_sha=table.schema_sha, snapshot=snapshot)

    def rest_of(self, chunk: Chunk, before: Sequence[Chunk], mode: Mode) -> Iterator[Chunk]:
        """Yield the parts of ``chunk`` that no chunk of an earlier plan, in ``before``, contains.

        Only called if the source sets ``chunks_are_content``; ``mode`` is the job's. The default yields the
        whole chunk.
        """
        del before, mode
        yield chunk

    def leaving_out(self, columns: Collection[str]) -> Source | None:
        """Return a source that reads all columns except ``columns``; None if that is not possible."""
        del columns
        return None

    def why_not_split(self, table: Table, chunks: Sequence[Chunk]) -> str | None:
        """Return why ``split`` gave larger ``chunks`` than the manifest asks for; None if it did not."""
        return None

    def notes(self, table: Table, chunks: Sequence[Chunk]) -> Sequence[str]:
        """Return what a person should know of how ``chunks`` are read; ``plan`` and ``run`` say it.

        By default there is nothing to say.
        """
        return ()

    def replaced(self) -> frozenset[Dataset]:
        """Return the source tables that an earlier link replaces as a whole in every run; by default none.

        Loading them in mode ``append`` would store all rows again each time, so hdm refuses that.
        """
        return frozenset()

    @abstractmethod
    def read(self, table: Table, chunk: Chunk) -> Payload:
        """Return the chunk's content.

        However often a chunk is read, it must give the same rows.
        """

    def follow(self, table: Table, receipt: Receipt, job_key: str) -> Iterator[Chunk]:
        """Yield one chunk for each file in the receipt of an upstream sink, to which the link is chained."""
        for number, file in enumerate(receipt.files):
            yield Chunk(
                job_key,
                table.dataset,
                number,
                files=(file,),
                schema_sha=table.schema_sha,
                upstream=receipt.chunk_id,
                estimate_rows=file.rows,
            )

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return the results of the source's tests for ``hdm doctor``; by default there are none.

        Each is what was tested, whether it is in order, and details.
        """
        return []
