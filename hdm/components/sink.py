"""The Sink template: how a chunk's content becomes visible exactly once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import BaseModel

from hdm.components.settings import Settings
from hdm.model import Attempt, Chunk, Column, Dataset, Holding, Mode, Payload, Receipt, Table


class Sink(ABC):
    """Writes one dataset. Holds no state between calls.

    ``modes`` are what it can honour; anything else is refused when planned. ``publishes_files``
    says that its receipts carry staged files, so that links can be chained to it.
    """

    Config: ClassVar[type[BaseModel]] = Settings
    Profile: ClassVar[type[BaseModel] | None] = None
    modes: ClassVar[frozenset[Mode]] = frozenset({Mode.APPEND})
    publishes_files: ClassVar[bool] = False
    accepts_files: ClassVar[frozenset[str]] = frozenset()
    """File formats whose bytes it takes as they are, e.g. ``{"parquet"}``."""

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        self.config = config
        self.profile = profile
        self.name = name or type(self).__name__

    @property
    def place(self) -> str:
        """What ``ready`` looks at beyond the connection: a bucket, a folder of it. Of sinks with one
        type, connection and place, one is asked."""
        return ""

    @property
    def system(self) -> str:
        """The address of the system behind it, as ``Source.system``."""
        return self.name

    def reach(self) -> None:
        """Raises ``ConnectionLost`` if the system cannot be reached, as ``Source.reach``."""
        return

    @abstractmethod
    def dataset(self, table: Table) -> Dataset:
        """Where the rows of source table ``table`` go."""

    @abstractmethod
    def target(self, table: Table) -> Table:
        """The table as it will be stored: names, kinds and carriers after the sink's mapping."""

    def landing(self, table: Table) -> tuple[str, ...]:
        """What the target tells its tables apart by, for source table ``table``: two of one landing are
        written into one table. May ask the target; the default: the dataset's namespace and name."""
        written = self.dataset(table)
        return (written.namespace, written.name)

    def foreign_keys(self) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Which tables of the target refer to which, as schema and name: those referred to are loaded first.
        The default: the target checks no foreign keys."""
        return []

    def losses(self, table: Table) -> list[tuple[Column, str]]:
        """Columns whose values may change on the way in, each with the reason. Declared here,
        shown at plan time, recorded, and refused unless the manifest allows it."""
        return []

    def ready(self) -> None:
        """Raises ``UsageError`` if the target cannot be used as the profile says: a wrong password,
        a database or a bucket that is not there. Looks only; asked once for each connection of a
        manifest and ``place`` in it."""
        return

    def accepts(self, table: Table, mode: Mode) -> None:
        """Raises ``UsageError`` if ``prepare`` would, as far as a look can tell. Touches nothing."""
        return

    def goes_in_order(self, table: Table, mode: Mode, *, repeats: bool) -> bool:
        """Whether chunks must be loaded one at a time, in the order of their numbers, for the result not
        to depend on which commits last. ``repeats``: several chunks may bring one row, in versions."""
        return False

    def grow(self, table: Table) -> None:
        """Give the target the columns of ``table`` that it lacks, NULL in the rows that are there. Asked
        under ``schema_policy: evolve`` before ``prepare``, which refuses what is still not right."""
        return

    def prepare(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """Make ready what ``write`` needs (table, ledger, folder). Idempotent, never drops the
        target. In mode ``replace``, prepares the table beside, named from job key and epoch."""
        return

    def ledger(self, table: Table, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Every chunk of the job that the target says it holds, for reconciliation: the target
        is the truth, the state database its index."""
        return iter(())

    def holding(self, table: Table, job_key: str, mode: Mode) -> Holding | None:
        """What the target holds of the job, cheaply: each run asks, and holds it against what the state
        database calls committed. None if the target cannot say."""
        if type(self).ledger is Sink.ledger:
            return None
        held = {chunk.chunk_id: receipt.rows for chunk, receipt in self.ledger(table, job_key)}
        return Holding(len(held), min(held, default=None), max(held, default=None), sum(held.values()))

    def newest_epoch(self, table: Table, job_key: str) -> int:
        """The greatest epoch of the job that the target knows of, 0 if none: in mode ``replace``, a
        later one is read anew into a table beside of its own."""
        return max((chunk.epoch for chunk, _ in self.ledger(table, job_key)), default=0)

    def committed(self, table: Table, chunk: Chunk, mode: Mode) -> Receipt | None:
        """What the target itself says of this chunk: its receipt, or None if it is not there.
        Asked on a new session before each attempt and to verify after commit."""
        return None

    @abstractmethod
    def write(self, table: Table, chunk: Chunk, attempt: Attempt, payload: Payload, mode: Mode) -> Receipt:
        """Write the content: nothing visible before ``publish``, or atomic with the ledger.
        If another attempt has won meanwhile, return its receipt with ``adopted=True``."""

    def first_artifact(self, table: Table, chunk: Chunk, attempt: int, mode: Mode) -> tuple[str, str] | None:
        """The URI and format of the first file that ``write`` will announce, where they are known before
        anything is read: it then goes on record with the claim. Looks at nothing outside."""
        return None

    def publish(self, table: Table, chunk: Chunk, receipt: Receipt) -> Receipt:
        """Make what was written visible; idempotent. Returns the receipt as published (the
        winner's, should another attempt have won)."""
        return receipt

    def discard(self, table: Table, chunk: Chunk, attempt: int) -> None:
        """Remove whatever a dead attempt left. Idempotent; touches no other attempt."""
        return

    def finish(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """All chunks of the epoch are committed: in mode ``replace``, swap. Idempotent."""
        return

    def rows(self, table: Table) -> int | None:
        """How many rows the target of ``table`` holds, whoever put them there; None if that is not known."""
        return None

    def remove(self, uri: str) -> bool:
        """Delete one staged or temporary object by its URI; False if it was not there."""
        return False

    def probe(self) -> list[tuple[str, bool, str]]:
        """For ``hdm doctor``: ``(what, ok, detail)``."""
        return []
