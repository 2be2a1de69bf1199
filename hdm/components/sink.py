"""The Sink template, the base class of components that write chunks to a target, exactly once each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import BaseModel

from hdm.components.settings import Settings
from hdm.model import Attempt, Chunk, Column, Dataset, FileNames, Holding, Mode, Payload, Receipt, Table


class Sink(ABC):
    """Writes one dataset to a target.

    Keeps no state between calls. ``modes`` are the modes (append, replace, merge) that it supports; a link
    with another one is refused when it is planned. ``publishes_files``: the receipts list staged files, so
    that other links can read them.
    """

    Config: ClassVar[type[BaseModel]] = Settings
    Profile: ClassVar[type[BaseModel] | None] = None
    modes: ClassVar[frozenset[Mode]] = frozenset({Mode.APPEND})
    publishes_files: ClassVar[bool] = False
    accepts_files: ClassVar[frozenset[str]] = frozenset()
    """Formats of files that the sink stores without decoding them, e.g. ``{"parquet"}``."""

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        self.config = config
        self.profile = profile
        self.name = name or type(self).__name__

    @property
    def place(self) -> str:
        """The name of the bucket, schema or folder that ``ready`` tests; empty by default.

        ``ready`` is called once for all sinks with the same type, connection and place.
        """
        return ""

    @property
    def system(self) -> str:
        """The address of the target's system, such as ``host:port`` or a bucket; by default the sink's name.

        Components with the same address are taken to become unreachable together.
        """
        return self.name

    def reach(self) -> None:
        """Raise ``ConnectionLost`` if the target's system cannot be reached; else return.

        The default cannot tell and returns.
        """
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

        The second of each pair is loaded before the first. By default there are none, for targets that
        enforce no foreign keys.
        """
        return []

    def losses(self, table: Table) -> list[tuple[Column, str]]:
        """Return the columns whose values the target's types may change, each with the reason.

        By default none. The plan shows them and the run records them; hdm refuses the table unless the
        manifest allows the changes.
        """
        return []

    def ready(self) -> None:
        """Raise ``UsageError`` if the target cannot be used, e.g. for a wrong password; else return.

        Changes nothing. Called once for all sinks with the same type, connection and ``place``.
        """
        return

    def accepts(self, table: Table, mode: Mode) -> None:
        """Raise ``UsageError`` if the target would refuse this table in this mode; changes nothing.

        Finds, by reading only, what would make ``prepare`` fail later.
        """
        return

    def goes_in_order(self, table: Table, mode: Mode, *, repeats: bool) -> bool:
        """Return True if chunks must be loaded one at a time, in the order of their numbers.

        They must if the result would otherwise depend on which chunk commits last. ``repeats``: several
        chunks may contain versions of one row. The default is False.
        """
        return False

    def grow(self, table: Table) -> None:
        """Add the columns of ``table`` that the target table lacks; existing rows get NULL there.

        The base class does nothing. Called before ``prepare`` if the source table has new columns and the
        manifest says ``schema_policy: evolve``.
        """
        return

    def prepare(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """Create what ``write`` needs, such as the target table, the ledger or a folder.

        May be called again without harm; never drops the target. In mode ``replace``, creates a new table
        beside the target, named by job key and epoch (the number of the plan).
        """
        return

    def identity(self, table: Table) -> str | None:
        """Return the random number in the ledger that tells this target from others of the same name.

        Known after ``prepare``; None if the target has none. It equals ``Holding.target``, as ``holding``
        returns it. Must not connect.
        """
        return None

    def ledger(self, table: Table, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield every chunk that the target's ledger records for the job, with its receipt.

        By default none. hdm corrects its state database by the ledger: where the two differ, the target is
        right.
        """
        return iter(())

    def present(self, table: Table, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield those chunks of the ledger whose rows or files are still in the target, with their receipts.

        By default all chunks of the ledger.
        """
        return self.ledger(table, job_key)

    def holding(self, table: Table, job_key: str, mode: Mode) -> Holding | None:
        """Return counts of the job's chunks and rows in the target; None if the sink has no ledger.

        Each run compares them with the chunks that the state database records as committed. The default reads
        all that ``present`` yields; a sink should count more cheaply if it can.
        """
        if type(self).ledger is Sink.ledger:
            return None
        held = {chunk.chunk_id: receipt.rows for chunk, receipt in self.present(table, job_key)}
        return Holding(len(held), min(held, default=None), max(held, default=None), sum(held.values()))

    def newest_epoch(self, table: Table, job_key: str) -> int:
        """Return the greatest epoch (number of a plan) that the target records for the job; 0 if none.

        In mode ``replace``, each epoch is written into its own table beside the target.
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

        A sink does one of two things. It keeps the rows or files invisible until ``publish``, or it writes
        them in one transaction with the chunk's row in the ledger. If another attempt has committed the chunk
        in the meantime, the sink returns that attempt's receipt with ``adopted=True``.
        """

    def file_names(self, table: Table, job_key: str, mode: Mode) -> FileNames | None:
        """Return how each attempt names the first file that ``write`` begins; None if the sink cannot tell.

        If it can, that file is recorded together with the claim of the chunk, which saves a transaction for
        each chunk. Called once for each table of a run, before anything is prepared; should do no I/O.
        """
        return None

    def publish(self, table: Table, chunk: Chunk, receipt: Receipt) -> Receipt:
        """Make what ``write`` wrote visible, and return the receipt of what is visible now.

        If another attempt published the chunk first, that attempt's receipt is returned. May be called again
        without harm. The default returns ``receipt``, for sinks whose ``write`` makes rows visible.
        """
        return receipt

    def discard(self, table: Table, chunk: Chunk, attempt: int) -> None:
        """Remove the files or rows that a dead attempt at the chunk left, and nothing of other attempts.

        May be called again without harm.
        """
        return

    def finish(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """Complete an epoch whose chunks are all committed: in mode ``replace``, put the new table in place.

        May be called again without harm. The default does nothing.
        """
        return

    def rows(self, table: Table) -> int | None:
        """Return how many rows the target of ``table`` has, those not written by hdm included.

        None if not known.
        """
        return None

    def remove(self, uri: str) -> bool:
        """Delete the staged or temporary object at a URI; return True if it existed, else False.

        The default deletes nothing and returns False.
        """
        return False

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return the results of the sink's tests for ``hdm doctor``; by default there are none.

        Each is what was tested, whether it is in order, and details.
        """
        return []

    def probe_mode(self, mode: Mode) -> list[tuple[str, bool, str]]:
        """Return what else ``hdm doctor`` finds missing for a mode, if ``probe`` finds nothing wrong."""
        return []
