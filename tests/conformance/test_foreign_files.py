"""Files that hdm did not stage and that are not what they seem: read rightly, or refused by name.

What the store has a part in runs on a directory, on S3 and on Azure Blob; the formats, which read the
same stream from each, on a directory.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hdm.connectors.local import FSSink, FSSource
from hdm.errors import HdmError, UsageError
from hdm.model import Chunk, Mode, Window
from tests.conformance.test_azure import Container
from tests.conformance.test_s3 import Bucket

Rows = list[dict[str, Any]]


class Folder:
    """A root on one kind of store: ``put`` writes an object, ``source`` reads them."""

    def __init__(self, source: Callable[..., Any], store: Any) -> None:
        self.source = source
        self.store = store

    def put(self, key: str, content: bytes | str) -> None:
        self.store.delete(key)
        self.store.put_new(key, content.encode() if isinstance(content, str) else content)

    def read(self, **conf: Any) -> Rows:
        """All rows of the one table."""
        reader = self.source(**conf)
        table = reader.describe()
        chunks = list(reader.split(table, Window(), "job", None))
        return [
            row for one in chunks for batch in reader.read(table, one).batches() for row in batch.to_pylist()
        ]

    def refusal(self, **conf: Any) -> str:
        """What is said when it is read; fails if nothing is."""
        with pytest.raises(HdmError) as refused:
            self.read(**conf)
        return f"{refused.value.message}\n{refused.value.hint}"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A directory."""

    def source(**conf: Any) -> FSSource:
        return FSSource(FSSource.Config(directory=str(tmp_path / "in"), **conf), name="in")

    (tmp_path / "in").mkdir()
    return Folder(source, FSSink(FSSink.Config(directory=str(tmp_path / "in"))).store)


@pytest.fixture(params=["local", "s3", "azure"])
def anywhere(request: pytest.FixtureRequest, folder: Folder) -> Folder:
    """A directory, a bucket, a container."""
    if request.param == "s3":
        bucket = Bucket("s3_server", request.getfixturevalue("s3_server"))
        return Folder(bucket.source, bucket.sink().store)
    if request.param == "azure":
        container = Container(request.getfixturevalue("azurite_server"))
        return Folder(container.source, container.sink().store)
    return folder


def parquet(table: pa.Table, **how: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **how)
    return out.getvalue()


# -- CSV -----------------------------------------------------------------------------

BROKEN: dict[str, tuple[str | bytes, str]] = {
    "a quote never closed": ('id,name\n1,"a\n2,b\n', "line 2 is never closed"),
    "under a quoted header": ('"id","name"\n1,a\n2,"b\n3,c\n', "line 3 is never closed"),
    "closed by the next one": ('"id","name"\n1,"a\n2,"b\n', "line 2 something follows a closing quote"),
    "too few fields": ("id,name\n1,a\n2\n", "line 3 has 1 fields, and the header has 2"),
    "too many fields": ('id,name\n1,"a\nb"\n2,a,x\n', "line 4 has 3 fields"),
    "a name twice": ("id,id\n1,2\n", "columns of the same name: ['id']"),
    "a name missing": ("id,,name\n1,2,3\n", "column 2 of the header has no name"),
    "nothing": ("", "no columns"),
    "another encoding": ("id,name\n1,a\n2,é\n".encode("latin-1"), "line 3 is not UTF-8"),
    "two bytes a character": ("id,name\n1,é\n".encode("utf-16"), "UTF-16"),
    "two bytes, no mark": ("id,name\n1,é\n".encode("utf-16-le"), "UTF-16"),
    "semicolons": ("a;b;c\n1;2;3\n", "holds ';': is that the delimiter?"),
    "bars": ("a|b|c\n1|2|3\n", "holds '|': is that the delimiter?"),
    "tabs": ("a\tb\tc\n1\t2\t3\n", "holds a tab: is that the delimiter?"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_csv_is_refused_with_file_and_line(folder: Folder, case: str) -> None:
    content, said = BROKEN[case]
    folder.put("people.csv", content)
    refusal = folder.refusal()
    assert "/people.csv: " in refusal
    assert said in refusal


def test_odd_csv_is_read_as_it_stands(anywhere: Folder) -> None:
    anywhere.put("t.csv", b'\xef\xbb\xbfid,name\r\n1,"a\r\nb"\r\n\r\n2,5" wide\n3,""\n4,\n5,a\x00b\n')
    assert [(row["id"], row["name"]) for row in anywhere.read()] == [
        ("1", "a\r\nb"),
        ("2", '5" wide'),
        ("3", ""),
        ("4", None),
        ("5", "a\x00b"),
    ]


@pytest.mark.parametrize(("delimiter", "want"), [(";", {"a": "1", "b": "x,y"}), (",", {"a;b": "1;x"})])
def test_a_declared_delimiter_counts(folder: Folder, delimiter: str, want: dict[str, str]) -> None:
    folder.put("t.csv", "a;b\n1;x,y\n" if delimiter == ";" else "a;b\n1;x\n")
    assert folder.read(delimiter=delimiter) == [want]


def test_a_cut_gzip_is_refused(anywhere: Folder) -> None:
    whole = gzip.compress(b"id,name\n" + b"".join(b"%d,n%d\n" % (n, n * 7919) for n in range(5000)))
    anywhere.put("t.csv.gz", whole[:-100])
    assert "/t.csv.gz: a gzip stream cannot be decompressed" in anywhere.refusal()
    anywhere.put("t.csv.gz", whole + gzip.compress(b"5000,last\n"))
    assert len(anywhere.read()) == 5001


# -- JSON ------------------------------------------------------------------------------

RECORDS = [{"a": "1", "b": 'x "]},{ \\'}, {"a": "2", "b": '{"c":[1,{"d":null}]}'}]
NESTED = '{"a":2,"b":{"c":[1,{"d":null}]}}'


@pytest.mark.parametrize("name", ["t.json", "t.jsonl", "t.json.gz"])
@pytest.mark.parametrize(
    "shape",
    ["[{0},{1}]", " [\n{0}\n,\n{1}\n]\n", "{0}\n{1}\n", "{0} {1}", "\ufeff{0}\n\n{1}"],
)
def test_json_in_every_shape_gives_the_same_rows(folder: Folder, name: str, shape: str) -> None:
    first = json.dumps({"a": 1, "b": RECORDS[0]["b"]}, indent=2 if "\n{" not in shape[:3] else None)
    content = shape.replace("{0}", first).replace("{1}", NESTED).encode()
    folder.put(name, gzip.compress(content) if name.endswith("gz") else content)
    assert folder.read() == RECORDS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"a":1},{"a":2}', "the file ends in its array"),
        ('[{"a":1} {"a":2}]', "record 1 is not followed by a comma"),
        ('[{"a":1},2]', "record 2 is not an object"),
        ('[{"a":1},{"a":tru}]', "record 2 is not JSON"),
        ('[{"a":1}] {"a":2}', "text behind the JSON array"),
        ('{"a":1}\n{"a":2\n', "line 2 is not JSON"),
        ('{"a":1}\n[2]\n', "line 2 is not a JSON object"),
        ('{"a":1}\n{"a":2,"a":3}\n', "line 2 holds the key a twice"),
        ('{"a":1}'.encode("utf-16"), "UTF-16"),
        ('{"a":"é"}\n'.encode("latin-1"), "not"),
    ],
)
def test_broken_json_is_refused_with_its_place(folder: Folder, content: str | bytes, said: str) -> None:
    folder.put("t.json", content)
    refusal = folder.refusal()
    assert "/t.json: " in refusal
    assert said in refusal


# -- Parquet ---------------------------------------------------------------------------

FAR = [datetime(9999, 12, 31, 2), datetime(1, 1, 1), datetime(2024, 3, 31, 2, 30, 0, 123456), None]


def test_int96_holds_every_year(anywhere: Folder) -> None:
    table = pa.table({"at": pa.array(FAR, pa.timestamp("us")), "n": [1, 2, 3, 4]})
    anywhere.put("t.parquet", parquet(table, use_deprecated_int96_timestamps=True, row_group_size=3))
    assert [row["at"] for row in anywhere.read()] == FAR


def test_int96_finer_than_a_microsecond_is_refused(folder: Folder) -> None:
    table = pa.table({"at": pa.array([0, 1_700_000_000_123_456_789], pa.timestamp("ns"))})
    folder.put("t.parquet", parquet(table, use_deprecated_int96_timestamps=True))
    refusal = folder.refusal()
    assert "/t.parquet: column at holds INT96 timestamps that are finer than a microsecond" in refusal


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"a": pa.array([2])}, "it lacks ['b']"),
        ({"a": pa.array([2]), "b": pa.array(["x"]), "c": pa.array([1])}, "it also has ['c']"),
        ({"a": pa.array(["x"]), "b": pa.array(["x"])}, "column a"),
        ({"a": pa.array([2**40]), "b": pa.array(["x"])}, "column a"),
    ],
)
def test_the_parquet_file_that_differs_is_named(folder: Folder, second: dict[str, Any], said: str) -> None:
    folder.put("t/1.parquet", parquet(pa.table({"a": pa.array([1], pa.int32()), "b": ["one"]})))
    folder.put("t/2.parquet", parquet(pa.table(second)))
    refusal = folder.refusal()
    assert "/t/2.parquet: " in refusal
    assert said in refusal


# -- folders ---------------------------------------------------------------------------


def test_folders_give_columns(folder: Folder) -> None:
    folder.put("sales/dt=2024-01-01/city=K%C3%B6ln/1.csv", "id\n1\n")
    folder.put("sales/dt=2024-01-02/city=__HIVE_DEFAULT_PARTITION__/1.csv", "id\n2\n")
    assert folder.read() == [
        {"id": "1", "dt": "2024-01-01", "city": "Köln"},
        {"id": "2", "dt": "2024-01-02", "city": None},
    ]


def test_folders_below_the_root_give_columns_too(anywhere: Folder) -> None:
    for day in (1, 2):
        anywhere.put(f"dt={day}/1.parquet", parquet(pa.table({"id": [day]})))
    assert anywhere.read() == [{"id": 1, "dt": "1"}, {"id": 2, "dt": "2"}]
    assert anywhere.read(partitions="ignore", table_name="dt=2") == [{"id": 2}]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("sales/dt=2/1.csv", "column dt stands in the file and in the name of its folder"),
        ("sales/1.csv", "its folders give the columns"),
        ("sales/day=2/1.csv", "its folders give the columns"),
    ],
)
def test_folders_that_do_not_agree_are_refused(folder: Folder, other: str, said: str) -> None:
    folder.put("sales/dt=1/1.csv", "dt\n1\n")
    folder.put(other, "dt\n1\n")
    assert said in folder.refusal()


@pytest.mark.parametrize("name", ["a.csv.bz2", "a.sas7bdat", "sub/a.orc", "a.tar.gz", "a"])
def test_a_folder_with_nothing_to_read_says_what_is_there(folder: Folder, name: str) -> None:
    folder.put(name, b"whatever")
    folder.put("_SUCCESS", b"")
    with pytest.raises(
        UsageError, match=f"finds nothing to read, though there are files: {name}\n"
    ) as refused:
        list(folder.source().tables())
    assert "allow_empty: true" in str(refused.value.hint)
    assert list(folder.source(allow_empty=True).tables()) == []


@pytest.mark.parametrize("name", ["t/2.csv.bz2", "t/2.tsv", "t/2.orc"])
def test_part_of_a_folder_does_not_pass_for_the_whole(folder: Folder, name: str) -> None:
    folder.put("t/1.csv", "id\n1\n")
    folder.put("t/read.me", "notes")
    assert folder.read() == [{"id": "1"}]
    folder.put(name, b"whatever")
    assert f"{name} looks like data" in folder.refusal()
    assert folder.read(pattern="t/*.csv") == [{"id": "1"}]


def test_what_is_not_read_is_said_of_every_store(anywhere: Folder) -> None:
    anywhere.put("t/2.csv.bz2", b"whatever")
    with pytest.raises(UsageError, match=r"though there are files: t/2.csv.bz2\n"):
        list(anywhere.source().tables())
    anywhere.put("t/1.csv", "id\n1\n")
    assert "2.csv.bz2 looks like data" in anywhere.refusal()


def test_a_table_with_a_log_is_not_its_files(folder: Folder) -> None:
    folder.put("t/1.parquet", parquet(pa.table({"id": [1]})))
    folder.put("t/_delta_log/00000000000000000000.json", '{"commitInfo":{}}')
    assert "belongs to a Delta Lake table" in folder.refusal()


# -- files that change -------------------------------------------------------------------


def planned(folder: Folder, **conf: Any) -> tuple[Any, Any, list[Chunk]]:
    reader = folder.source(**conf)
    table = reader.describe()
    return reader, table, list(reader.split(table, Window(), "job", None))


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_of_a_file_that_grew_only_what_is_new_is_read(anywhere: Folder, name: str) -> None:
    line = '{"id":"%d"}\n' if name == "t.jsonl" else "%d\n"
    head = "" if name == "t.jsonl" else "id\n"
    before: list[Chunk] = []
    for upto in (3, 5, 5, 9):
        anywhere.put(name, head + "".join(line % n for n in range(upto)))
        reader, table, chunks = planned(anywhere)
        news = [part for one in chunks for part in reader.rest_of(one, before, Mode.APPEND)]
        got = [
            row["id"]
            for one in news
            for batch in reader.read(table, one).batches()
            for row in batch.to_pylist()
        ]
        had = sum(one.row_count if one.row_count is not None else one.files[0].rows for one in before)
        assert got == [str(n) for n in range(had, upto)] or news == before[-len(news) :]
        before += [one for one in news if one not in before]


@pytest.mark.parametrize(
    ("name", "was", "now"),
    [
        ("t.csv", "id\n1\n2\n", "id\n1\n3\n4\n"),
        ("t.csv", "id\n1\n2\n", "id\n1\n"),
        ("t.csv", "id\n1\n2", "id\n1\n23\n"),
        ("t.json", '[{"id":1}]', '[{"id":1},{"id":2}]'),
        ("t.csv.gz", "id\n1\n", "id\n1\n2\n"),
    ],
)
def test_a_file_that_changed_otherwise_is_refused(folder: Folder, name: str, was: str, now: str) -> None:
    pack = gzip.compress if name.endswith("gz") else bytes
    folder.put(name, pack(was.encode()))
    _, _, before = planned(folder)
    folder.put(name, pack(now.encode()))
    reader, _, chunks = planned(folder)
    with pytest.raises(UsageError, match=f"/{name} has changed since it was moved"):
        list(reader.rest_of(chunks[0], before, Mode.APPEND))
    assert list(reader.rest_of(chunks[0], before, Mode.MERGE)) == chunks


def test_a_file_that_changes_after_it_was_planned_is_refused(anywhere: Folder) -> None:
    anywhere.put("t.csv", "id\n1\n")
    reader, table, chunks = planned(anywhere)
    anywhere.put("t.csv", "id\n2\n")
    with pytest.raises(HdmError, match="another checksum"):
        list(reader.read(table, chunks[0]).batches())


@pytest.mark.slow
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("id\n" + "".join(f"{n:07d}\n" for n in range(1_000_000)))
    reader = FSSource(FSSource.Config(directory=str(tmp_path)), name="in")
    table = reader.describe()
    (chunk,) = reader.split(table, Window(), "job", None)
    batches = reader.read(table, chunk).batches()
    next(batches)
    with file.open("r+") as handle:
        handle.seek(7_000_000)
        handle.write("9999999")
    with pytest.raises(HdmError, match=r"/t.csv: was changed while it was read"):
        list(batches)
