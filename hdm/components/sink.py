"""The Sink template, the base class of components that write chunks to a target, exactly once each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import BaseModel

from hdm.components.settings import Settings
from hdm.model import Attempt, Chunk, Column, Dataset, FileNames, Holding, Mode, Payload, Receipt, Table


class Sink(ABC):
    """Writes one dataset to a target. Keeps no state between calls.

    ``modes`` are the modes (append, replace, merge, ...) that it supports; any other is refused when the link
    is planned. ``publishes_files``: its receipts list staged files, so that other links can read them.
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
        """The name of the bucket, schema or folder that ``ready`` checks.

        ``ready`` is called once for all sinks with the same type, connection and place.
        """
        return ""

    @property
    def system(self) -> str:
        """The address of the target's system, such as ``host:port`` or a bucket; see ``Source.system``."""
        return self.name

    def reach(self) -> None:
        """Raise ``ConnectionLost`` if the target's system cannot be reached; see ``Source.reach``."""
        return

    @abstractmethod
    def dataset(self, table: Table) -> Dataset:
        """Return the dataset (system and name) to which the rows of ``table`` are written."""

    @abstractmethod
    def target(self, table: Table) -> Table:
        """Return the table as it will be stored, with the target's column names and types."""

    def landing(self, table: Table) -> tuple[str, ...]:
        """Return a key that is equal for two source tables exactly if their rows go into one target table.

        May connect to the target. The default is the namespace and name of the target's dataset.
        """
        written = self.dataset(table)
        return (written.namespace, written.name)

    def foreign_keys(self) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Return pairs of target tables (schema, name) where the first refers to the second by a foreign key.

        The second is loaded before the first. The default is no pairs, for targets that enforce no foreign
        keys.
        """
        return []

    def losses(self, table: Table) -> list[tuple[Column, str]]:
        """Return the columns whose values the target's types may change, each with the reason.

        The plan shows them, the run records them, and hdm refuses them unless the manifest allows it.
        """
        return []

    def ready(self) -> None:
        """Raise ``UsageError`` if the target cannot be used, e.g. for a wrong password or a missing bucket.

        Changes nothing. Called once for each connection and ``place`` in a manifest.
        """
        return

    def accepts(self, table: Table, mode: Mode) -> None:
        """Raise ``UsageError`` if the target would refuse this table in this mode; changes nothing.

        Finds, by reading only, what would make ``prepare`` fail later.
        """
        return

    def goes_in_order(self, table: Table, mode: Mode, *, repeats: bool) -> bool:
        """Whether chunks must be loaded one at a time, in the order of their numbers.

        They must if the result would otherwise depend on which chunk commits last. ``repeats``: several
        chunks may contain versions of one row.
        """
        return False

    def grow(self, table: Table) -> None:
        """Add the columns of ``table`` that the target table lacks; existing rows get NULL there.

        Called before ``prepare`` if the manifest says ``schema_policy: evolve``; ``prepare`` refuses any
        other difference.
        """
        return

    def prepare(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """Create what ``write`` needs, such as table, ledger or folder.

        May be called again without harm. Never drops the target. In mode ``replace``, creates a new table
        beside the target, named by job key and epoch.
        """
        return

    def identity(self, table: Table) -> str | None:
        """Return the random number in the ledger that tells this target from others of the same name.

        Known after ``prepare``, and equal to ``target`` in what ``holding`` returns. None if the target has
        none. Must not connect.
        """
        return None

    def ledger(self, table: Table, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield every chunk that the target's ledger records for the job, with its receipt.

        hdm corrects its state database by it: where the two differ, the target is right.
        """
        return iter(())

    def present(self, table: Table, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield the ledger's chunks whose rows or files are still in the target, with their receipts."""
        return self.ledger(table, job_key)

    def holding(self, table: Table, job_key: str, mode: Mode) -> Holding | None:
        """Return counts of the job's chunks and rows in the target, cheaply; None if it cannot tell.

        Each run compares this with the chunks that the state database records as committed.
        """
        if type(self).ledger is Sink.ledger:
            return None
        held = {chunk.chunk_id: receipt.rows for chunk, receipt in self.present(table, job_key)}
        return Holding(len(held), min(held, default=None), max(held, default=None), sum(held.values()))

    def newest_epoch(self, table: Table, job_key: str) -> int:
        """Return the greatest epoch (number of a plan) that the target records for the job; 0 if none.

        In mode ``replace``, a later epoch is written into a new table beside the target.
        """
        return max((chunk.epoch for chunk, _ in self.ledger(table, job_key)), default=0)

    def committed(self, table: Table, chunk: Chunk, mode: Mode) -> Receipt | None:
        """Return the receipt that the target's own ledger has for the chunk; None if the chunk is not in it.

        Called before each attempt, and after the commit to verify it, each time in a new database session.
        """
        return None

    @abstractmethod
    def write(self, table: Table, chunk: Chunk, attempt: Attempt, payload: Payload, mode: Mode) -> Receipt:
        """Write the chunk's rows or files and return a receipt for them.

        A sink does one of two things: it keeps them invisible until ``publish``, or it writes them in one
        transaction with the chunk's row in the ledger. If another attempt has committed the chunk in the
        meantime, the sink returns that attempt's receipt with ``adopted=True``.
        """

    def file_names(self, table: Table, job_key: str, mode: Mode) -> FileNames | None:
        """Return how each attempt names the first file that ``write`` begins; None if the sink cannot tell.

        With a pattern, that file is recorded with the claim of the chunk, which saves a transaction for each
        chunk. Called once for each table of a run, before anything is prepared; should not do I/O.
        """
        return None

    def publish(self, table: Table, chunk: Chunk, receipt: Receipt) -> Receipt:
        """Make what ``write`` wrote visible, and return the receipt of what is visible now.

        That is another attempt's receipt if that attempt published the chunk first. May be called again
        without harm.
        """
        return receipt

    def discard(self, table: Table, chunk: Chunk, attempt: int) -> None:
        """Remove the files or rows that a dead attempt at the chunk left, and nothing of other attempts.

        May be called again without harm.
        """
        return

    def finish(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """Complete an epoch whose chunks are all committed: in mode ``replace``, swap the tables.

        May be called again without harm.
        """
        return

    def rows(self, table: Table) -> int | None:
        """Return how many rows the target of ``table`` has, others' rows included; None if not known."""
        return None

    def remove(self, uri: str) -> bool:
        """Delete the staged or temporary object at a URI; return False if it does not exist."""
        return False

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return the results of the sink's tests for ``hdm doctor``, each as ``(what, ok, detail)``."""
        return []
