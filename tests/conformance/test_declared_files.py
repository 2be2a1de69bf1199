"""Files of strangers, read as the source's conf declares: exactly, or refused by file and place."""

from __future__ import annotations

import gzip
import io
import json
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
import pyarrow as pa
import pytest
import yaml
from pydantic import ValidationError

from hdm.components import builtin
from hdm.connectors.local import FSChunkSource, FSSink
from hdm.errors import HdmError, MissingDriver
from hdm.files.formats import format_named
from hdm.model import Window
from tests.conformance.test_foreign_files import Folder, anywhere, folder, parquet
from tests.conformance.workbook import Error, Formula, workbook

__all__ = ["anywhere", "folder"]
DOCS = Path(__file__).resolve().parents[2] / "docs/reference/files.md"
S31 = datetime(2024, 3, 31)


def avro(schema: list[dict[str, Any]], *records: dict[str, Any], codec: str = "deflate") -> bytes:
    out = io.BytesIO()
    fastavro.writer(out, {"type": "record", "name": "r", "fields": schema}, records, codec=codec)
    return out.getvalue()


def ipc(table: pa.Table, *, stream: bool = False) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) if stream else pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue()


def columns(*given: str) -> list[dict[str, Any]]:
    """``name type`` as a list of columns."""
    return [dict(zip(("name", "type"), one.split(" ", 1), strict=False)) for one in given]


# -- the page ------------------------------------------------------------------------------

_MADE = {
    "book.xlsx": lambda: workbook(
        Sales=[
            ["made by hand"],
            [None, "day", "amount", "note"],
            [None, S31, 19.99, "x"],
            [None, datetime(2024, 4, 1), Formula("C3-19.89", 0.1), None],
            [None, "sum", 20.09],
        ],
        Other=[["a"], [1]],
    ),
    "events.avro": lambda: avro(
        [
            {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
            {"name": "at", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
            {
                "name": "price",
                "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            },
        ],
        {
            "id": UUID("8c5a1d9e-0000-4000-8000-000000000001"),
            "at": datetime(2024, 3, 31, 1, 30, 0, 123456),
            "price": Decimal("1.10"),
        },
    ),
    "table.arrow": lambda: ipc(pa.table({"id": [1, 2], "name": ["a", None]})),
    "parts/1.parquet": lambda: parquet(pa.table({"id": pa.array([1], pa.int32()), "name": ["a"]})),
    "parts/2.parquet": lambda: parquet(pa.table({"more": [True], "name": ["b"], "id": [2**40]})),
}
_BLOCK = re.compile(r"```(text|yaml|json)\n(.*?)```", re.DOTALL)


def examples() -> list[tuple[str, str, Any, Any]]:
    """Each example of the page: its files' names, the text of one, the conf, and the rows."""
    found = []
    for part in DOCS.read_text(encoding="utf-8").split("<!-- example: ")[1:]:
        name, _, rest = part.partition(" -->")
        blocks: dict[str, str] = {}
        for kind, body in _BLOCK.findall(rest.split("\n#")[0] if "```text" not in rest else rest):
            blocks.setdefault(kind, body)
        found.append(
            (name, blocks.get("text", ""), yaml.safe_load(blocks["yaml"]), json.loads(blocks["json"]))
        )
    return found


@pytest.mark.parametrize("example", examples(), ids=lambda example: example[0])
def test_the_page_says_what_is_read(folder: Folder, example: tuple[str, str, Any, Any]) -> None:
    names, content, conf, rows = example
    for name in names.split(", "):
        folder.put(name, content if name not in _MADE else _MADE[name]())
    given = [
        {k: v if v is None or isinstance(v, int | str) else str(v) for k, v in row.items()}
        for row in folder.read(**conf)
    ]
    assert given == rows


def test_the_page_has_an_example_of_each_format() -> None:
    assert [name.rpartition(".")[2] for name, *_ in examples()] == [
        "csv", "json", "fwf", "xlsx", "avro", "arrow", "parquet",
    ]  # fmt: skip


# -- CSV -----------------------------------------------------------------------------------

A_B = [{"a": "1", "b": "x"}, {"a": "2", "b": None}]
READ: dict[str, tuple[str | bytes, dict[str, Any], Any]] = {
    "quote": ("a,b\n1,'x'\n2,\n", {"csv": {"quote": "'"}}, A_B),
    "no quote": ('a\tb\n"1\tx"\n', {"delimiter": "\t", "csv": {"quote": None}}, [{"a": '"1', "b": 'x"'}]),
    "escape": ('a,b\n1\\,1,"x\\"y"\n\\N,z\\\\\n', {"csv": {"escape": "\\", "nulls": ["\\N"]}},
               [{"a": "1,1", "b": 'x"y'}, {"a": None, "b": "z\\"}]),
    "an escaped line end": ("a,b\n1,x\\\ny\n", {"csv": {"escape": "\\"}}, [{"a": "1", "b": "x\ny"}]),
    "cp1252": ("a,b\n1,€\n".encode("cp1252"), {"csv": {"encoding": "cp1252"}}, [{"a": "1", "b": "€"}]),
    "utf-16": ("a,b\n1,é\n".encode("utf-16"), {"csv": {"encoding": "utf-16"}}, [{"a": "1", "b": "é"}]),
    "no header": ("1,x\n2,\n", {"csv": {"header": False}, "columns": columns("a", "b")}, A_B),
    "a header of numbers": ("1,2\n3,4\n", {"csv": {"header": True}}, [{"1": "3", "2": "4"}]),
    "nulls": ('a,b\nNA,x\n"NA",\n', {"csv": {"nulls": ["NA"]}}, [{"a": None, "b": "x"}, {"a": "NA",
              "b": ""}]),
    "ragged": ("a,b\n1,x\n2\n", {"csv": {"ragged": "pad"}}, A_B),
    "comment": ('# a "\na,b\n#\n1,x\n2,\n# end', {"csv": {"comment": "#"}}, A_B),
    "skip": ('\ufeffReport "March\n\na,b\n1,x\n2,\n', {"csv": {"skip": 2}}, A_B),
    "trailing": ("a,b,\n1,x,\n2,,\n", {"csv": {"trailing_delimiter": True}}, A_B),
    "sniffed": ('a;b\n1;"x;,"\n2;1,5\n', {"csv": {"sniff": True}}, [{"a": "1", "b": "x;,"}, {"a": "2",
                "b": "1,5"}]),
    "blank lines": ("a,b\r\n1,x\r\n\r\n2,\r\n", {"csv": {}}, A_B),
    "a blank line of one column": ("a\n1\n\n2\n", {"csv": {}}, [{"a": "1"}, {"a": None}, {"a": "2"}]),
    "no line end": ("a,b\n1,x\n2,", {"csv": {}}, A_B),
    "only a header": ("a,b\n", {"csv": {}}, []),
    "gzip": (gzip.compress(b"a,b\n1,x\n2,\n"), {"csv": {}}, A_B),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_csv_is_read_as_declared(folder: Folder, case: str) -> None:
    content, conf, rows = READ[case]
    folder.put("t.csv.gz" if case == "gzip" else "t.csv", content)
    assert folder.read(**conf) == rows


REFUSED: dict[str, tuple[str | bytes, dict[str, Any], str]] = {
    "too few fields": ("a,b\n1,x\n2\n", {"csv": {}}, "line 3 has 1 fields, not 2"),
    "too many, though padded": ("a,b\n1,x,y\n", {"csv": {"ragged": "pad"}}, "line 2 has 3 fields, not 2"),
    "an open quote": ('a,b\n1,"x\n2,y\n', {"csv": {}}, "record of line 2 is never closed"),
    "text behind a quote": ('a,b\n1,"x"y\n', {"csv": {}}, "line 2 something follows a closing quote"),
    "bare carriage return": ("a,b\n1,x\ry\n", {"csv": {}}, "line 2 holds a bare carriage return"),
    "a byte": ("a,b\n1,x\n2,é\n".encode("cp1252"), {"csv": {}},
               "line 3 is not UTF-8 text: byte 11 of the file"),
    "a byte of UTF-16": ("a,b\n1,x\n".encode("utf-16-le") + b"\x00\xd8\n\0",
                         {"csv": {"encoding": "utf-16-le"}},
                         "line 3 is not utf-16-le text: byte 17"),
    "undeclared, a byte": ("a,b\n1,x\n2,é\n".encode("cp1252"), {},
                           "line 3 is not UTF-8 text: byte 11 of the file"),
    "semicolons": ("a;b;c\n1;2;3\n", {"csv": {}}, "the header holds ';'"),
    "semicolons and commas": ("a;b, net;c\n1;2,5;3\n", {}, "the header also holds ';'"),
    "numbers as header": ("1,2\n3,4\n", {}, "numbers only"),
    "declared, numbers as header": ("1,2024-01-01\n3,4\n", {"csv": {}}, "numbers only"),
    "a column that is not there": ("a,b\n1,2\n", {"columns": columns("c int8")}, "declares 'c'"),
    "no names": ("1,2\n", {"csv": {"header": False}}, "write columns:"),
    "two delimiters would do": ("1,5;2\n3,4;5\n", {"csv": {"sniff": True, "header": True}},
                                "';' and ',' would do"),
    "no delimiter": ("abc\ndef\n", {"csv": {"sniff": True}}, "no delimiter can be told"),
    "hex is no number": ("a\n0x1F\n", {"columns": columns("a int32")}, "record 1: column a is no int32"),
    "too large": ("a\n1\n128\n", {"columns": columns("a int8")}, "record 2: column a is no int8"),
    "rounded": ("a\n1.005\n", {"columns": columns("a decimal(9,2)")},
                "record 1: column a is no decimal(9,2)"),
    "a comma is no mark": ("a;b\n1,5;x\n", {"delimiter": ";", "columns": columns("a decimal(9,2)")},
                           "record 1"),
    "a point is no mark": ("a;b\n1.5;x\n", {"delimiter": ";", "csv": {"decimal": ","},
                           "columns": columns("a float64")}, "record 1: column a is no float64"),
    "thousands elsewhere": ("a;b\n1.50;x\n", {"delimiter": ";", "csv": {"decimal": ",", "thousands": "."},
                            "columns": columns("a int64")}, "record 1"),
    "beyond a float": ("a\n1e400\n", {"columns": columns("a float64")}, "record 1"),
    "no day": ("a\n2024-02-30\n", {"columns": columns("a date")}, "record 1: column a is no date"),
    "finer than declared": ("a\n2024-01-01 10:00:00.1234567\n", {"columns": columns("a timestamp")},
                            "record 1"),
    "a zone too much": ("a\n2024-01-01 10:00:00Z\n", {"columns": columns("a timestamp")}, "record 1"),
    "a zone missing": ("a\n2024-01-01 10:00:00\n", {"columns": columns("a timestamptz")}, "record 1"),
    "a word": ("a\nmaybe\n", {"columns": columns("a boolean")}, "record 1"),
    "another format": ("a\n2024-01-31\n", {"columns": [{"name": "a", "type": "date", "format": "%d.%m.%Y"}]},
                       "no date, written %d.%m.%Y"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_csv_that_is_not_as_declared_is_refused_by_file_and_place(folder: Folder, case: str) -> None:
    content, conf, said = REFUSED[case]
    folder.put("t.csv", content)
    refusal = folder.refusal(**conf) if conf.get("csv") != {"header": False} else _at_once(folder, conf)
    assert said in refusal
    assert "/t.csv: " in refusal
    assert not re.search("1.005|0x1F|128|maybe|1e400", refusal)


def _at_once(folder: Folder, conf: dict[str, Any]) -> str:
    return folder.refusal(**conf)


TYPED: dict[str, tuple[str, list[Any]]] = {
    "int8": ("127;-128;+5;-0;007;", [127, -128, 5, 0, 7, None]),
    "int64": ("9223372036854775807;-9223372036854775808", [2**63 - 1, -(2**63)]),
    "decimal(38,2)": ("123456789012345678901234567890123456.78;-.5;5.;1e3",
                      [Decimal("123456789012345678901234567890123456.78"), Decimal("-0.50"), Decimal("5.00"),
                       Decimal("1000.00")]),
    "decimal(76,1)": (f"{'9' * 75}.9", [Decimal(f"{'9' * 75}.9")]),
    "float64": ("0.1;1e308;Infinity;-Infinity;-0.0", [0.1, 1e308, float("inf"), float("-inf"), -0.0]),
    "boolean": ("true;FALSE;1;0;", [True, False, True, False, None]),
    "date": ("0001-01-01;9999-12-31", [date(1, 1, 1), date(9999, 12, 31)]),
    "time": ("23:59:59.999999;00:00", [time(23, 59, 59, 999999), time(0, 0)]),
    "timestamp": ("0001-01-01 00:00:00;9999-12-31T23:59:59.999999",
                  [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)]),
    "timestamptz": ("2024-03-31 02:30:00+02:00;2024-03-31T00:30:00Z",
                    [datetime(2024, 3, 31, 0, 30, tzinfo=UTC)] * 2),
    "uuid": ("8C5A1D9E-0000-4000-8000-000000000001", ["8c5a1d9e-0000-4000-8000-000000000001"]),
    "json": ('{"a": 1.10}', ['{"a": 1.10}']),
    "binary": ("00fF;", [b"\x00\xff", None]),
}  # fmt: skip


@pytest.mark.parametrize("declared", TYPED)
def test_each_type_is_exact(folder: Folder, declared: str) -> None:
    given, values = TYPED[declared]
    folder.put("t.csv", "a|b\n" + "".join(f"{one}|x\n" for one in given.split(";")))
    rows = folder.read(delimiter="|", csv={"quote": None}, columns=columns(f"a {declared}"))
    assert [row["a"] for row in rows] == values


def test_values_may_be_written_in_other_ways(folder: Folder) -> None:
    folder.put("t.csv", "a|b|c|d\n1.234.567,50|N|31/12/99 23:59+0100|x\n12|Y|01/01/00 00:00+0000|9\n")
    rows = folder.read(
        delimiter="|",
        csv={"decimal": ",", "thousands": "."},
        columns=[
            {"name": "a", "type": "decimal(12,2)"},
            {"name": "b", "type": "boolean", "format": "Y/N"},
            {"name": "c", "type": "timestamptz", "format": "%d/%m/%y %H:%M%z"},
            {"name": "d", "type": "int8", "mismatch": "null"},
        ],
    )
    first = datetime(1999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=1)))
    assert [tuple(row.values()) for row in rows] == [
        (Decimal("1234567.50"), False, first, None),
        (Decimal("12.00"), True, datetime(2000, 1, 1, tzinfo=UTC), 9),
    ]


def test_declared_csv_is_read_in_pieces_from_every_store(anywhere: Folder) -> None:
    anywhere.put("t.dat", "".join(f'{n};"a\n{n}"\n' for n in range(50)).encode("cp1252"))
    rows = anywhere.read(
        pattern="*.dat",
        file_format="csv",
        delimiter=";",
        csv={"header": False, "encoding": "cp1252"},
        columns=columns("n int32", "t text"),
    )
    assert rows == [{"n": n, "t": f"a\n{n}"} for n in range(50)]


@pytest.mark.parametrize("name", ["t.csv", "t.fwf", "t.json"])
def test_a_file_is_cut_into_chunks_between_records(folder: Folder, tmp_path: Path, name: str) -> None:
    record = {"t.csv": '{0};"a\n{0}"\n', "t.fwf": "{0:04d}{0}\n", "t.json": '{{"n":{0},"t":"a"}}\n'}[name]
    folder.put(name, ("# \n" if name != "t.json" else "") + "".join(record.format(n) for n in range(25)))
    conf: dict[str, Any] = {"columns": columns("n int32", "t text")}
    if name == "t.csv":
        conf |= {"delimiter": ";", "csv": {"header": False, "skip": 1}}
    if name == "t.fwf":
        conf["fixed"] = {"skip": 1, "ragged": "pad"}
        conf["columns"] = [
            {"name": "n", "type": "int32", "start": 1, "length": 4}, {"name": "t", "start": 5, "length": 3},
        ]  # fmt: skip
    reader = FSChunkSource(FSChunkSource.Config(directory=str(tmp_path / "in"), chunk=10, **conf), name="in")
    table = reader.describe()
    chunks = list(reader.split(table, Window(), "job", None))
    got = [[r["n"] for b in reader.read(table, one).batches() for r in b.to_pylist()] for one in chunks]
    assert got == [list(range(10)), list(range(10, 20)), list(range(20, 25))]


def test_what_was_sniffed_is_said(folder: Folder) -> None:
    folder.put("t.csv", "a;b\n1;2\n")
    reader = folder.source(csv={"sniff": True})
    table = reader.describe()
    chunks = list(reader.split(table, Window(), "job", None))
    assert reader.notes(table, chunks) == ["csv: {sniff: true} found the delimiter ';'"]
    assert folder.source(delimiter=";").notes(table, chunks) == []
    assert folder.source(delimiter=";").describe().columns[0].comment is None


@pytest.mark.parametrize(
    "conf",
    [
        {"csv": {"decimal": ",", "thousands": ","}},
        {"csv": {"encoding": "no such"}},
        {"csv": {"quote": "''"}},
        {"csv": {"escape": '"'}},
        {"columns": []},
        {"columns": columns("a number")},
        {"columns": columns("a decimal(77,0)")},
        {"columns": columns("a decimal(3,4)")},
        {"columns": columns("a timestamp(10)")},
        {"columns": [{"name": "a", "start": 1}]},
        {"columns": [{"name": "a", "path": "b..c["}]},
        {"excel": {"range": "B3"}},
    ],
)
def test_a_wrong_declaration_is_refused(folder: Folder, conf: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        folder.source(**conf)


# -- JSON ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["[{0},{1}]", "{0}\n{1}\n", "[\n{0},\n{1}\n]"])
def test_nested_json_is_read_as_declared_columns(folder: Folder, shape: str) -> None:
    one = '{"id":"9007199254740993","a":{"b.c":[1.10,{"d":"x"}]},"ok":true,"more":[1]}'
    two = '{"id":9007199254740993,"a":{"b.c":[2,{"d":null}]},"ok":null}'
    folder.put("t.json", shape.replace("{0}", one).replace("{1}", two))
    rows = folder.read(
        columns=[
            {"name": "id", "type": "int64"},
            {"name": "n", "type": "decimal(9,2)", "path": 'a."b.c"[0]'},
            {"name": "d", "path": ["a", "b.c", 1, "d"]},
            {"name": "ok", "type": "boolean"},
            {"name": "more", "type": "json", "missing": "null"},
        ]
    )
    assert [tuple(row.values()) for row in rows] == [
        (2**53 + 1, Decimal("1.10"), "x", True, "[1]"),
        (2**53 + 1, Decimal("2.00"), None, None, None),
    ]


@pytest.mark.parametrize(
    ("second", "declared", "said"),
    [
        ('{"b":1}', "a int8", "record 2 has nothing for column a, at a"),
        ('{"a":"x"}', "a int8", "record 2: column a is no int8"),
        ('{"a":true}', "a int8", "record 2: column a is no int8"),
        ('{"a":1.5}', "a int8", "record 2: column a is no int8"),
        ('{"a":1e0}', "a int8", "record 2: column a is no int8"),
        ('{"a":7}', "a text", "record 1: column a is no text"),
        ('{"a":[1]}', "a int8", "record 2: column a is no int8"),
        ('{"a":1}', "a boolean", "record 1: column a is no boolean"),
        ('{"a":1,"a":2}', "a int8", "holds the key a twice"),
        ('{"a":1,"b":{"c":1,"c":2}}', "a int8", "holds the key c twice"),
    ],
)
def test_json_that_is_not_as_declared_is_refused(
    folder: Folder, second: str, declared: str, said: str
) -> None:
    folder.put("t.json", f'[{{"a":1}},\n{second}]')
    refusal = folder.refusal(columns=columns(declared))
    assert said in refusal and "/t.json: " in refusal


def test_json_of_another_type_may_be_null(folder: Folder) -> None:
    folder.put("t.json", '{"a":1}\n{"a":"x"}\n{"a":{}}\n{}\n')
    lenient = {"name": "a", "type": "int8", "missing": "null", "mismatch": "null"}
    assert [row["a"] for row in folder.read(columns=[lenient])] == [1, None, None, None]


# -- fixed width -----------------------------------------------------------------------------

FIXED = [
    {"name": "id", "start": 1, "length": 3, "type": "int32"},
    {"name": "t", "start": 5, "length": 4, "trim": "right"},
]


def test_fixed_width_counts_characters(anywhere: Folder) -> None:
    anywhere.put("t.fwf", "\ufeff001  é€ \r\n  2 🎈  x\r\n     \u00a0  ")
    assert anywhere.read(columns=FIXED) == [
        {"id": 1, "t": " é€"},
        {"id": 2, "t": "🎈  x"},
        {"id": None, "t": " \u00a0"},
    ]


@pytest.mark.parametrize(
    ("content", "changed", "said"),
    [
        ("001 abcd\n001 ab\n", {}, "line 2 has 6 characters, and the columns need 8"),
        ("001 abcd\n001xabcd\n", {}, "line 2 has text behind character 3"),
        ("001 abcdx\n", {}, "line 1 has text behind character 8"),
        ("001 abcd\n\n", {}, "line 2 has 0 characters"),
        ("001 abcd\n0x1 abcd\n", {}, "record 2: column id is no int32"),
        ("001 abcd\n001 \xe9bcd\n", {}, "line 2 is not UTF-8 text: byte 14"),
        (
            "001 abcd\n",
            {"columns": [FIXED[0], {**FIXED[1], "start": 3}]},
            "columns id and t share characters",
        ),
        ("001 abcd\n", {"columns": columns("id")}, "column id has no place"),
        ("001 abcd\n", {"columns": None}, "write columns: with start and length"),
    ],
)
def test_fixed_width_that_is_not_as_declared_is_refused(
    folder: Folder, content: str, changed: dict[str, Any], said: str
) -> None:
    folder.put("t.fwf", content.encode("latin-1"))
    refusal = folder.refusal(**{"columns": FIXED, **changed})
    assert said in refusal and "/t.fwf: " in refusal


# -- Excel ----------------------------------------------------------------------------------

CELLS = [
    ["id", "day", "price", "note", "ok"],
    [1, date(2024, 2, 29), 1.1, " é<&", True],
    [],
    [2, datetime(2024, 3, 1, 12, 30), Formula("C2*2", 2.2), None, None],
]


def test_a_sheet_is_a_table(anywhere: Folder) -> None:
    anywhere.put("t.xlsx", workbook(One=CELLS))
    assert anywhere.read() == [
        {"id": 1.0, "day": datetime(2024, 2, 29), "price": 1.1, "note": " é<&", "ok": True},
        {"id": 2.0, "day": datetime(2024, 3, 1, 12, 30), "price": 2.2, "note": None, "ok": None},
    ]
    declared = anywhere.read(columns=columns("id int32", "price decimal(9,2)", "ok text"))
    assert [(r["id"], r["price"], r["ok"]) for r in declared] == [
        (1, Decimal("1.10"), "true"),
        (2, Decimal("2.20"), None),
    ]


@pytest.mark.parametrize(
    ("cells", "conf", "said"),
    [
        ([["a"], [1], ["x"]], {}, "column a has cells of several types: float64 and text"),
        ([["a"], [1.5]], {"columns": columns("a int8")}, "record 1: column a is no int8"),
        (
            [["a"], [1], [1.005]],
            {"columns": columns("a decimal(9,2)")},
            "record 2: column a is no decimal(9,2)",
        ),
        ([["a"], [Error("#DIV/0!")]], {}, "cell A2 of sheet One holds an error"),
        (
            [["a"], [Formula("1/0", Error("#DIV/0!"))]],
            {"columns": columns("a float64")},
            "cell A2 of sheet One holds an error",
        ),
        ([["a", None], [1, 2]], {}, "column 2 of the header has no name"),
        ([["a", "a"], [1, 2]], {}, "columns of the same name"),
        ([[]], {}, "the sheet has no cells there"),
        ([["a"], [1]], {"excel": {"sheet": "Two"}}, "the workbook has no sheet Two: it has One"),
        ([["a"], [1]], {"excel": {"header": False}}, "write columns:"),
        ([["a"], [1]], {"columns": columns("b")}, "declares 'b'"),
    ],
)
def test_a_sheet_that_is_no_table_is_refused(
    folder: Folder, cells: list[list[Any]], conf: dict[str, Any], said: str
) -> None:
    folder.put("t.xlsx", workbook(One=cells))
    refusal = folder.refusal(**conf)
    assert said in refusal and "/t.xlsx: " in refusal


def test_which_sheet_is_said(folder: Folder) -> None:
    folder.put("t.xlsx", workbook(One=CELLS, Two=[[None, None], [None, 7]]))
    assert "several sheets: One, Two" in folder.refusal()
    conf = {"sheet": "Two", "header": False}
    assert folder.read(excel=conf, columns=columns("n int8")) == [{"n": 7}]
    assert folder.read(excel={"sheet": "One", "range": "$A1:A$3"}) == [{"id": 1.0}]
    assert "not readable as a workbook" in _broken(folder, "u.xlsx")


def _broken(folder: Folder, name: str) -> str:
    folder.put(name, b"PK\x03\x04 no")
    return folder.refusal(pattern=name, file_format=None)


# -- Avro ----------------------------------------------------------------------------------

LOGICAL: list[tuple[Any, Any, Any]] = [
    ("boolean", True, True),
    ("int", -(2**31), -(2**31)),
    ("long", 2**63 - 1, 2**63 - 1),
    ("float", 0.5, 0.5),
    ("double", 0.1, 0.1),
    ("bytes", b"\0\xff", b"\0\xff"),
    ("string", "é\0", "é\0"),
    (["null", "string"], None, None),
    ({"type": "enum", "name": "e", "symbols": ["A", "B"]}, "B", "B"),
    ({"type": "fixed", "name": "f", "size": 2}, b"ab", b"ab"),
    (
        {"type": "fixed", "name": "u", "size": 16, "logicalType": "uuid"},
        UUID(int=5).bytes,
        "00000000-0000-0000-0000-000000000005",
    ),
    ({"type": "int", "logicalType": "date"}, date(1, 1, 1), date(1, 1, 1)),
    ({"type": "int", "logicalType": "time-millis"}, time(1, 2, 3, 4000), time(1, 2, 3, 4000)),
    ({"type": "long", "logicalType": "time-micros"}, time(23, 59, 59, 999999), time(23, 59, 59, 999999)),
    (
        {"type": "long", "logicalType": "timestamp-micros"},
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ),
    ({"type": "long", "logicalType": "local-timestamp-millis"}, datetime(1, 1, 1), datetime(1, 1, 1)),
    (
        ["null", {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 10}],
        Decimal("-1234567890123456789012345678.0123456789"),
        Decimal("-1234567890123456789012345678.0123456789"),
    ),
    (
        {"type": "fixed", "name": "d", "size": 8, "logicalType": "decimal", "precision": 9, "scale": 2},
        Decimal("1.10"),
        Decimal("1.10"),
    ),
]


def test_avro_types_are_exact(anywhere: Folder) -> None:
    schema = [{"name": f"c{n}", "type": kind} for n, (kind, _, _) in enumerate(LOGICAL)]
    record = {f"c{n}": value for n, (_, value, _) in enumerate(LOGICAL)}
    for codec in ("null", "deflate", "snappy", "zstandard"):
        anywhere.put("t.avro", avro(schema, record, record, codec=codec))
        assert anywhere.read() == [{f"c{n}": want for n, (_, _, want) in enumerate(LOGICAL)}] * 2


def test_avro_nanoseconds_are_kept(folder: Folder) -> None:
    kind = {"type": "long", "logicalType": "timestamp-nanos"}
    folder.put("t.avro", avro([{"name": "at", "type": kind}], {"at": 1_700_000_000_123_456_789}))
    reader = folder.source()
    table = reader.describe()
    (chunk,) = reader.split(table, Window(), "job", None)
    (batch,) = reader.read(table, chunk).batches()
    assert batch.column(0).cast(pa.int64()).to_pylist() == [1_700_000_000_123_456_789]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ({"type": "array", "items": "int"}, [1]),
        (["int", "string"], 1),
        ({"type": "record", "name": "inner", "fields": []}, {}),
        ({"type": "map", "values": "int"}, {}),
    ],
)
def test_avro_types_that_no_column_has_are_refused(folder: Folder, kind: Any, value: Any) -> None:
    folder.put("t.avro", avro([{"name": "a", "type": kind}], {"a": value}))
    assert "/t.avro: column a has an Avro type" in folder.refusal()


def test_avro_that_breaks_its_own_schema_is_refused(folder: Folder) -> None:
    """A decimal of more digits than its precision: the library rounds it."""
    kind = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    whole = avro([{"name": "a", "type": kind}], {"a": Decimal("12345.67")}, codec="null")
    folder.put("t.avro", whole.replace(b'"precision": 9', b'"precision": 3'))
    assert "column a has a value that its own type does not hold" in folder.refusal()
    folder.put("t.avro", whole[:-5])
    assert "not readable as Avro" in folder.refusal()


# -- Arrow ---------------------------------------------------------------------------------

SOME = pa.table({
    "n": pa.array([1, 2, None], pa.uint8()), "t": pa.array(["a", None, "a"]).dictionary_encode(),
    "at": pa.array([0, 1000, 2000], pa.timestamp("ns", "Europe/Berlin")),
})  # fmt: skip


@pytest.mark.parametrize("stream", [True, False])
def test_arrow_is_read_as_file_and_as_stream(anywhere: Folder, stream: bool) -> None:
    whole = ipc(SOME, stream=stream)
    anywhere.put("t.arrow", whole)
    assert [(row["n"], row["t"]) for row in anywhere.read()] == [(1, "a"), (2, None), (None, "a")]
    anywhere.put("t.arrow", whole[:-8])
    assert "/t.arrow: " in anywhere.refusal()


# -- folders of files that differ --------------------------------------------------------------


def both(folder: Folder, first: dict[str, Any], second: dict[str, Any]) -> None:
    folder.put("t/1.parquet", parquet(pa.table(first)))
    folder.put("t/2.parquet", parquet(pa.table(second)))


def test_files_that_differ_are_united_or_refused(anywhere: Folder) -> None:
    both(anywhere, {"a": pa.array([1], pa.int32()), "b": ["x"]}, {"c": [True], "a": [2**40]})
    assert "/t/2.parquet: it lacks ['b'] and it also has ['c']" in anywhere.refusal()
    assert anywhere.read(schema_policy="evolve") == [
        {"a": 1, "b": "x", "c": None},
        {"a": 2**40, "b": None, "c": True},
    ]
    assert "/t/2.parquet: it lacks ['b']" in anywhere.refusal(schema_policy="discard")
    both(anywhere, {"a": [1]}, {"c": [True], "a": [2]})
    assert anywhere.read(schema_policy="discard") == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("first", "second", "want"),
    [
        (pa.array([1], pa.int8()), pa.array([2**40], pa.int64()), [1, 2**40]),
        (pa.array([0.5], pa.float32()), pa.array([0.1]), [0.5, 0.1]),
        (pa.array([2**31 - 1], pa.int32()), pa.array([0.1]), [2147483647.0, 0.1]),
        (pa.array([Decimal("1.5")]), pa.array([Decimal("123.25")]), [Decimal("1.50"), Decimal("123.25")]),
        (pa.array([2**63 - 1]), pa.array([Decimal("0.1")]), [Decimal(2**63 - 1), Decimal("0.1")]),
        (pa.array([1], pa.timestamp("s")), pa.array([1], pa.timestamp("us")),
         [datetime(1970, 1, 1, 0, 0, 1), datetime(1970, 1, 1, 0, 0, 0, 1)]),
        (pa.array([date(2024, 2, 29)]), pa.array([datetime(2024, 3, 1, 5)]),
         [datetime(2024, 2, 29), datetime(2024, 3, 1, 5)]),
        (pa.array([2**60]), pa.array([0.1]), None),
        (pa.array(["1"]), pa.array([1]), None),
        (pa.array([True]), pa.array([1]), None),
    ],
)  # fmt: skip
def test_types_are_widened_only_where_both_fit(folder: Folder, first: Any, second: Any, want: Any) -> None:
    both(folder, {"a": first}, {"a": second})
    if want is None:
        assert "/t/2.parquet: column a is" in folder.refusal(schema_policy="evolve")
    else:
        assert [row["a"] for row in folder.read(schema_policy="evolve")] == want


@pytest.mark.parametrize(
    ("first", "second", "want"),
    [
        (pa.array([1], pa.int32()), pa.array([2], pa.int64()), [1, 2]),
        (pa.array([0.5], pa.float32()), pa.array([0.25]), [0.5, 0.25]),
        (pa.array([0.5], pa.float32()), pa.array([float("nan")]), "NaN"),
        (pa.array([0.5], pa.float32()), pa.array([0.1]), None),
        (pa.array([Decimal("0.10")]), pa.array([0.125]), None),
        (pa.array([1.0]), pa.array([Decimal("1234567890123456789.1")]), None),
        (pa.array([date(2024, 1, 1)]), pa.array([datetime(2024, 1, 2)]), [None, date(2024, 1, 2)]),
        (pa.array([date(2024, 1, 1)]), pa.array([datetime(2024, 1, 1, 5)]), None),
        (pa.array([time(5)]), pa.array([datetime(2024, 1, 1, 5)]), None),
        (pa.array([S31]), pa.array([S31.replace(tzinfo=UTC)]), None),
        (pa.array([S31]), pa.array([5]), None),
        (pa.array([True]), pa.array([5]), None),
        (pa.array([5]), pa.array([True]), None),
        (pa.array(["5"]), pa.array([5]), None),
        (pa.array([5]), pa.array(["5"]), None),
        (pa.array(["a"]), pa.array([b"a"]), None),
    ],
)  # fmt: skip
def test_no_value_changes_to_fit_the_first_file(folder: Folder, first: Any, second: Any, want: Any) -> None:
    """Arrow calls a cast safe that rounds a float, drops the time of day, or makes 5 true."""
    both(folder, {"a": first}, {"a": second})
    if want is None:
        refusal = folder.refusal()
        assert "/t/2.parquet: " in refusal and "column a" in refusal
    else:
        assert [str(r["a"]) for r in folder.read()][1] == str(want[1]) if want != "NaN" else folder.read()


@pytest.mark.parametrize("name", ["t/{}.csv", "t/{}.json"])
def test_texts_that_differ_are_united_too(folder: Folder, name: str) -> None:
    folder.put(name.format(1), "a\nx\n" if "csv" in name else '{"a":"x"}\n')
    folder.put(name.format(2), "b,a\ny,z\n" if "csv" in name else '{"b":"y","a":"z"}\n')
    rows = folder.read(schema_policy="evolve")
    assert rows == [{"a": "x", "b": None}, {"a": "z", "b": "y"}]


# -- the rest ------------------------------------------------------------------------------


def test_nothing_to_read_is_an_error_unless_it_is_meant(anywhere: Folder) -> None:
    with pytest.raises(HdmError, match="finds nothing to read, as there are no files"):
        list(anywhere.source().tables())
    assert list(anywhere.source(allow_empty=True).tables()) == []


def test_what_says_its_columns_takes_none(folder: Folder) -> None:
    folder.put("t.parquet", parquet(pa.table({"a": [1]})))
    assert "columns: has no meaning for parquet files" in folder.refusal(columns=columns("a int8"))


@pytest.mark.parametrize(("name", "extra"), [("avro", "avro"), ("excel", "excel")])
def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch, name: str, extra: str) -> None:
    monkeypatch.setattr(builtin, "_is_installed", lambda module: False)
    with pytest.raises(MissingDriver) as refused:
        format_named(name)
    assert f"pip install 'hdm[{extra}]'" in str(refused.value.hint)


@pytest.mark.parametrize("name", ["avro", "excel", "fixed"])
def test_what_is_only_read_is_no_format_of_a_sink(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match="must be 'parquet' or 'csv' or 'jsonl' or 'arrow'"):
        FSSink.Config(directory=str(tmp_path), file_format=name)
