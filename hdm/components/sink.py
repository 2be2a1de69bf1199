"""The Sink template: writes chunks so that each becomes visible exactly once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import BaseModel

from hdm.components.settings import Settings
from hdm.model import Attempt, Chunk, Column, Dataset, FileNames, Holding, Mode, Payload, Receipt, Table


class Sink(ABC):
    """Writes one dataset. Keeps no state between calls.

    ``modes`` are the modes that it supports; any other is refused when the link is planned.
    ``publishes_files``: its receipts list staged files, so that other links can be chained to it.
    """

    Config: ClassVar[type[BaseModel]] = Settings
    Profile: ClassVar[type[BaseModel] | None] = None
    modes: ClassVar[frozenset[Mode]] = frozenset({Mode.APPEND})
    publishes_files: ClassVar[bool] = False
    accepts_files: ClassVar[frozenset[str]] = frozenset()
    """Formats of files that it stores without decoding them, e.g. ``{"parquet"}``."""

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        self.config = config
        self.profile = profile
        self.name = name or type(self).__name__

    @property
    def place(self) -> str:
        """The key of what ``ready`` checks beyond the connection, such as a bucket, a schema or a folder.

        Sinks with the same type, connection and key are checked once.
        """
        return ""

    @property
    def system(self) -> str:
        """The address of the system that the sink writes to; see ``Source.system``."""
        return self.name

    def reach(self) -> None:
        """Raise ``ConnectionLost`` if the system cannot be reached; see ``Source.reach``."""
        return

    @abstractmethod
    def dataset(self, table: Table) -> Dataset:
        """Return the dataset to which the rows of source table ``table`` are written."""

    @abstractmethod
    def target(self, table: Table) -> Table:
        """Return the table as it will be stored: names, kinds and carriers after the sink's mapping."""

    def landing(self, table: Table) -> tuple[str, ...]:
        """Return the key by which the target distinguishes tables, for source table ``table``.

        Two source tables with one key are written into one table. May connect to the target. The default
        is the dataset's namespace and name.
        """
        written = self.dataset(table)
        return (written.namespace, written.name)

    def foreign_keys(self) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Return pairs of target tables whose foreign keys order the loads, each as schema and name.

        A pair is the referring table and the table that it refers to, which is loaded first. The default:
        none, for targets that enforce no foreign keys.
        """
        return []

    def losses(self, table: Table) -> list[tuple[Column, str]]:
        """Return the columns whose values may change when they are stored, each with the reason.

        The plan shows them, the run records them, and hdm refuses them unless the manifest allows it.
        """
        return []

    def ready(self) -> None:
        """Raise ``UsageError`` if the target cannot be used, e.g. for a wrong password or a missing bucket.

        Changes nothing. Called once for each connection of a manifest and ``place`` in it.
        """
        return

    def accepts(self, table: Table, mode: Mode) -> None:
        """Raise ``UsageError`` if ``prepare`` would, as far as reading can tell; changes nothing."""
        return

    def goes_in_order(self, table: Table, mode: Mode, *, repeats: bool) -> bool:
        """Whether chunks must be loaded one at a time, in the order of their numbers.

        They must if the result would otherwise depend on which chunk commits last. ``repeats``: several
        chunks may contain versions of one row.
        """
        return False

    def grow(self, table: Table) -> None:
        """Add the columns of ``table`` that the target lacks; existing rows get NULL.

        Called under ``schema_policy: evolve`` before ``prepare``, which refuses any other difference.
        """
        return

    def prepare(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """Create what ``write`` needs, such as table, ledger or folder. Idempotent; never drops the target.

        In mode ``replace``, creates a new table beside the target, named by job key and epoch.
        """
        return

    def identity(self, table: Table) -> str | None:
        """Return the identity of the target, which differs between databases of the same name.

        Known after ``prepare``, and equal to that in ``holding``. None if the target has none. Must not
        connect.
        """
        return None

    def ledger(self, table: Table, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield every chunk of the job that the target's ledger records, with its receipt.

        Used to reconcile: where target and state database differ, the target is right.
        """
        return iter(())

    def present(self, table: Table, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield the ledger's chunks whose content is still in the target, where that shows for each chunk."""
        return self.ledger(table, job_key)

    def holding(self, table: Table, job_key: str, mode: Mode) -> Holding | None:
        """Return a cheap summary of the job's chunks in the target; None if the target cannot tell.

        Each run compares it with the chunks that the state database records as committed.
        """
        if type(self).ledger is Sink.ledger:
            return None
        held = {chunk.chunk_id: receipt.rows for chunk, receipt in self.present(table, job_key)}
        return Holding(len(held), min(held, default=None), max(held, default=None), sum(held.values()))

    def newest_epoch(self, table: Table, job_key: str) -> int:
        """Return the greatest epoch of the job that the target records; 0 if there is none.

        In mode ``replace``, a later epoch is written into a new table beside the target.
        """
        return max((chunk.epoch for chunk, _ in self.ledger(table, job_key)), default=0)

    def committed(self, table: Table, chunk: Chunk, mode: Mode) -> Receipt | None:
        """Return the receipt that the target itself records of the chunk; None if it has none.

        Called before each attempt, and after the commit to verify it; each time in a new database session.
        """
        return None

    @abstractmethod
    def write(self, table: Table, chunk: Chunk, attempt: Attempt, payload: Payload, mode: Mode) -> Receipt:
        """Write the chunk's content and return its receipt.

        A sink does one of two things: it keeps the content invisible until ``publish``, or it writes the
        content in one transaction with the chunk's row in the ledger. If another attempt has committed the
        chunk in the meantime, it returns that attempt's receipt with ``adopted=True``.
        """

    def file_names(self, table: Table, job_key: str, mode: Mode) -> FileNames | None:
        """Return how each attempt names the first file that ``write`` begins; None if the sink cannot tell.

        With a pattern, that file is recorded with the claim of the chunk, which saves a transaction for each
        chunk. Called once for each table of a run, before anything is prepared; should not do I/O.
        """
        return None

    def publish(self, table: Table, chunk: Chunk, receipt: Receipt) -> Receipt:
        """Make the written content visible; idempotent.

        Returns the published receipt: that of another attempt, if it published the chunk first.
        """
        return receipt

    def discard(self, table: Table, chunk: Chunk, attempt: int) -> None:
        """Remove the files or rows of a dead attempt. Idempotent; changes nothing of other attempts."""
        return

    def finish(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """End an epoch whose chunks are all committed: in mode ``replace``, swap. Idempotent."""
        return

    def rows(self, table: Table) -> int | None:
        """Return how many rows the target of ``table`` has, whoever wrote them; None if not known."""
        return None

    def remove(self, uri: str) -> bool:
        """Delete one staged or temporary object by its URI; False if it does not exist."""
        return False

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return the checks for ``hdm doctor``: ``(what, ok, detail)``."""
        return []
