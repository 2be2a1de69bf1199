"""How a sink names its files, as a value that gives the first file of any attempt."""

from __future__ import annotations

from dataclasses import dataclass

from hdm.errors import BrokenContract
from hdm.model.values import Chunk


@dataclass(frozen=True, slots=True)
class FileNames:
    """A pattern for the URI of the first file that an attempt at a chunk writes; one for each table.

    ``pattern`` is a format string of Python with the fields ``{chunk}`` (the chunk's id, 64 hex digits),
    ``{attempt}`` and ``{epoch}`` (integers), such as ``s3://lake/orders/{chunk:.24}.{attempt}.0.parquet``;
    ``literal`` escapes text that may have braces. ``format`` is the format of the file. ``of_files``: the
    pattern also holds for chunks of staged files, which a sink may copy under endings of their own. Raises
    ``BrokenContract`` for a pattern that cannot be filled in.
    """

    pattern: str
    format: str
    of_files: bool = True

    def __post_init__(self) -> None:
        try:
            self._filled("0" * 64, 1, 1)
            if not isinstance(self.format, str):
                raise TypeError("the format is no text")
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise BrokenContract(
                f"{self.pattern!r} is no pattern of the names of files in format {self.format!r}",
                hint="fields may be {chunk}, {attempt} and {epoch}; FileNames.literal escapes braces",
            ) from error

    @staticmethod
    def literal(text: str) -> str:
        """Return ``text`` with each brace doubled, so that it stands for itself in a pattern."""
        return text.replace("{", "{{").replace("}", "}}")

    def first(self, chunk: Chunk, attempt: int) -> str | None:
        """Return the URI of the attempt's first file; None if the pattern does not hold for this chunk."""
        if chunk.files and not self.of_files:
            return None
        return self._filled(chunk.chunk_id, attempt, chunk.epoch)

    def _filled(self, chunk_id: str, attempt: int, epoch: int) -> str:
        return self.pattern.format(chunk=chunk_id, attempt=attempt, epoch=epoch)
