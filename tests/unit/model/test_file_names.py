"""What a pattern of file names gives, and which patterns are refused before anything is claimed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hdm.errors import BrokenContract
from hdm.model import Chunk, Dataset, FileNames, StagedFile

CHUNK = Chunk("job", Dataset("n", "t"), 0, epoch=7)


def test_chunk_attempt_and_epoch_are_filled_in() -> None:
    names = FileNames(FileNames.literal("s3://a{b}/") + "{epoch:06d}/{chunk:.24}.{attempt}.0.csv", "csv")
    assert names.first(CHUNK, 12) == f"s3://a{{b}}/000007/{CHUNK.chunk_id[:24]}.12.0.csv"


def test_names_may_not_hold_for_chunks_of_files() -> None:
    passed_on = replace(CHUNK, files=(StagedFile("file:///a.csv", "csv", 1, 1, "0" * 64),))
    names = FileNames("{chunk}", "csv")
    assert names.first(passed_on, 1) == passed_on.chunk_id
    names = replace(names, of_files=False)
    assert (names.first(passed_on, 1), names.first(CHUNK, 1)) == (None, CHUNK.chunk_id)


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [("{other}", "csv"), ("{}", "csv"), ("{chunk", "csv"), ("{chunk.x}", "csv"), ("{chunk:d}", "csv"),
     (None, "csv"), (b"{chunk}", "csv"), ("{chunk}", None)],
    ids=repr,
)  # fmt: skip
def test_what_cannot_be_filled_in_is_refused_as_it_is_made(pattern: Any, kind: Any) -> None:
    with pytest.raises(BrokenContract, match="no pattern"):
        FileNames(pattern, kind)
