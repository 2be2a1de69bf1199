"""The Source template: how rows are found, cut into chunks, and read again at will."""

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
    """Reads one dataset. Holds no state, assumes no order of its chunks.

    ``Config`` is the manifest's ``conf``; ``Profile`` what a profile entry must hold (None:
    the source needs no connection). A source is made anew in every process that reads.
    """

    Config: ClassVar[type[BaseModel]] = Settings
    Profile: ClassVar[type[BaseModel] | None] = None
    chunks_from_files: ClassVar[bool] = False
    """True: a link chained to an upstream sink hands this source its published files."""

    chunks_are_content: ClassVar[bool] = False
    """True: a chunk stands for unchanging content (a file by its checksum), so each run plans
    only chunks never seen before, and a job is never complete."""

    values_per_chunk: ClassVar[int] = 1
    """With ``bounds``: how many cursor values, whole numbers or days, make a chunk."""

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        self.config = config
        self.profile = profile
        self.name = name or type(self).__name__

    @property
    def system(self) -> str:
        """The address of the system behind it, as a person knows it: ``host:port``, a bucket. What
        shares an address is away together."""
        return self.name

    def reach(self) -> None:
        """Raises ``ConnectionLost`` if the system cannot be reached. Asked after a lost connection: where
        it cannot be, hdm waits for it and counts no attempts. The default cannot tell: it returns."""
        return

    @abstractmethod
    def describe(self) -> Table:
        """The dataset's schema, key and cursor, from the system's catalogue, never guessed."""

    def tables(self) -> Iterator[Table]:
        """Every dataset that this source reads; usually the one of ``describe``."""
        yield self.describe()

    def ready(self, table: Table) -> None:
        """Raises ``UsageError`` if what is configured cannot be read from ``table``. Looks only."""
        return

    def is_empty(self, table: Table) -> bool:
        """Whether it is known that there is no row to read. Asked of a table without a cursor that
        had none when it was read, before it is read again."""
        return False

    def snapshot(self) -> AbstractContextManager[str | None]:
        """Hold one consistent view open while the context lasts; yields a token that other
        sessions can join (goes into ``Chunk.snapshot``), or None if there is no such thing."""
        return nullcontext(None)

    def bounds(self, after: Any) -> tuple[Any, Any] | None:
        """Write this, and a cursor without NULL is cut into ranges: its least and greatest value
        above ``after`` (None: of all), both int or both date; None if there is none. Rows that
        come later must have a greater value."""
        return None

    def values(self, table: Table, chunk: Chunk) -> list[Any]:
        """With ``bounds``: every cursor value, int or date, that may be in the chunk."""
        return authoring.values(table, chunk)

    @property
    def is_ranged(self) -> bool:
        """Whether ``bounds`` is written."""
        return type(self).bounds is not Source.bounds

    def window(self) -> Window:
        """The configured watermark and chunk size, as a window with nothing committed yet."""
        return Window(column=self.describe().cursor) if self.is_ranged else Window()

    def split(self, table: Table, window: Window, job_key: str, snapshot: str | None) -> Iterator[Chunk]:
        """Cut ``window`` into disjoint chunks that together hold every row of it once.

        The default is ranges of the cursor if ``bounds`` is written, else one chunk of
        everything. ``number`` counts from 0 in cursor order.
        """
        if self.is_ranged:
            after = None if window.after is None else authoring.cursor_value(table, window.after)
            found = self.bounds(after)
            if found is not None:
                yield from authoring.ranges(table, *found, self.values_per_chunk, job_key)
            return
        yield Chunk(job_key, table.dataset, 0, schema_sha=table.schema_sha, snapshot=snapshot)

    def rest_of(self, chunk: Chunk, before: Sequence[Chunk], mode: Mode) -> Iterator[Chunk]:
        """With ``chunks_are_content``: what of ``chunk`` the chunks of earlier plans do not hold."""
        del before, mode
        yield chunk

    def leaving_out(self, columns: Collection[str]) -> Source | None:
        """The same source without these columns; None if it cannot be read without them."""
        del columns
        return None

    def why_not_split(self, table: Table, chunks: Sequence[Chunk]) -> str | None:
        """Why ``split`` gave larger ``chunks`` than the configuration asks for; None if it did not."""
        return None

    def replaced(self) -> frozenset[Dataset]:
        """Which of its tables stand there anew, as a whole, each time: appended, every row would come
        again with each of them. What has no such thing gives none."""
        return frozenset()

    @abstractmethod
    def read(self, table: Table, chunk: Chunk) -> Payload:
        """The chunk's content. Replayable: the same chunk gives the same rows."""

    def follow(self, table: Table, receipt: Receipt, job_key: str) -> Iterator[Chunk]:
        """Chained: turn what the upstream sink wrote into chunks. One per staged file."""
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
        """For ``hdm doctor``: ``(what, ok, detail)`` of connection, version, grants, clock."""
        return []
