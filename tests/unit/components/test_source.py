"""What a source gets without writing it: one chunk, ranges by ``bounds``, chunks of staged files."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hdm import declare, payload
from hdm.components.settings import Settings
from hdm.components.source import Source
from hdm.model import Receipt, StagedFile, Window

TABLE = declare("ns", "t", {"n": "int64 not null", "w": "text"}, cursor="n")


class Whole(Source):
    class Config(Settings):
        folder: str = "x"

    def describe(self):
        return TABLE

    def read(self, table, chunk):
        return payload(table, [])


class Ranged(Whole):
    values_per_chunk = 10

    def bounds(self, after):
        return (1 if after is None else after + 1, 25) if after is None or after < 25 else None


def test_without_bounds_there_is_one_chunk_of_everything_and_no_watermark():
    source = Whole(Whole.Config())
    assert source.window() == Window()
    (chunk,) = source.split(TABLE, source.window(), "job", "snap")
    assert (chunk.conditions, chunk.upto, chunk.snapshot) == ((), None, "snap")
    assert chunk.schema_sha == TABLE.schema_sha


@pytest.mark.parametrize(("after", "sizes"), [(None, [10, 10, 5]), ("20", [5]), ("25", [])])
def test_with_bounds_what_is_new_is_cut(after, sizes):
    source = Ranged(Ranged.Config())
    assert source.window().column == "n"
    chunks = list(source.split(TABLE, Window(column="n", after=after), "job", None))
    assert [len(source.values(TABLE, chunk)) for chunk in chunks] == sizes


def test_a_receipt_is_followed_by_one_chunk_for_each_file():
    files = tuple(StagedFile(f"f:{n}", "parquet", 1, n, str(n) * 64) for n in range(3))
    chunks = list(Whole(Whole.Config()).follow(TABLE, Receipt("up", 1, 3, files=files), "job"))
    assert [(c.number, c.files, c.upstream, c.estimate_rows) for c in chunks] == [
        (n, (file,), "up", n) for n, file in enumerate(files)
    ]
    assert len({chunk.chunk_id for chunk in chunks}) == 3


def test_settings_take_no_unknown_word_and_do_not_change():
    with pytest.raises(ValidationError, match="folders"):
        Whole.Config.model_validate({"folders": "y"})
    with pytest.raises(ValidationError):
        Whole.Config().folder = "z"


def test_a_source_is_named_by_the_manifest_or_its_class():
    assert Whole(Whole.Config()).name == "Whole"
    assert Whole(Whole.Config(), name="plant").name == "plant"
    assert Whole(Whole.Config()).probe() == []
    with Whole(Whole.Config()).snapshot() as token:
        assert token is None
    assert [one.dataset.name for one in Whole(Whole.Config()).tables()] == ["t"]
