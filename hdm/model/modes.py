"""The modes of a link, and what each of them means for reading, loading and the chain below."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class ModeRules:
    """What a mode means. Code asks these questions by name, and does not compare modes.

    A new mode answers them here, once.
    """

    reads_everything: bool = False
    """Each epoch reads the whole table, whatever was read before; an epoch with dead chunks is not whole."""
    keeps_watermark: bool = True
    """An epoch begins where the one before ended, for a table that has a cursor."""
    plans_by_content: bool = True
    """A file is planned once by its content, and not again in a later epoch."""
    swaps_at_end: bool = False
    """An epoch is loaded beside the target, and replaces the target's rows once all of it is loaded."""
    merges_by_key: bool = False
    """A row replaces the target's row with the same key. The target needs a key, and newer rows are loaded
    after older ones.
    """
    only_adds: bool = False
    """Rows are only added: a row that is loaded twice is stored twice, a changed row beside its old version.
    """

    compares: bool = False
    """An epoch is one comparison of source and target, and changes the rows that differ by their keys; the
    rows that only the target has are deleted."""

    def followers_epoch(self, epoch: int) -> int:
        """Return the epoch number of chunks that a job makes of published chunks in its epoch ``epoch``.

        It is ``epoch`` itself in modes that read everything again; else 1, so that a chunk is the same in
        whichever epoch it is made.
        """
        return epoch if self.reads_everything else 1


class Mode(StrEnum):
    """How a job changes the target's rows: append to them, replace them all, merge into them by key, or sync
    them: change those that differ."""

    APPEND = "append"
    REPLACE = "replace"
    MERGE = "merge"
    SYNC = "sync"

    @property
    def rules(self) -> ModeRules:
        """What the mode means for reading, loading and the chain below."""
        return _RULES[self]


_RULES = {
    Mode.APPEND: ModeRules(only_adds=True),
    Mode.REPLACE: ModeRules(
        reads_everything=True, keeps_watermark=False, plans_by_content=False, swaps_at_end=True
    ),
    Mode.MERGE: ModeRules(merges_by_key=True),
    Mode.SYNC: ModeRules(reads_everything=True, keeps_watermark=False, plans_by_content=False, compares=True),
}
READ_EVERYTHING = tuple(mode.value for mode in Mode if mode.rules.reads_everything)
"""Names of the modes whose epochs read the whole table, for queries of the state."""
