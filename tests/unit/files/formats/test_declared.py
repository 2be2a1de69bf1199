"""Whatever a program writes in a declared grammar is read back, however it is cut into blocks."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hdm.errors import CorruptFile
from hdm.files.formats import RowOffsets, encodings, format_named, typed
from hdm.files.formats import text as text_format
from hdm.files.formats.csv_declared import DeclaredCsv
from hdm.files.formats.csv_tokens import Grammar
from hdm.files.formats.declared import CsvOptions, Declared, DeclaredColumn
from hdm.model import Dataset

HERE = Dataset("file", "t")
NUMBERS = st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False, places=4)
FOREIGN = st.sampled_from(["utf-16-le", "cp1252", "shift_jis"])
CELLS = st.one_of(st.none(), st.text(st.sampled_from("a\";,'\\\n\r\t #N\x00é🎈"), max_size=9))
ROWS = st.lists(st.tuples(CELLS, CELLS), max_size=25)
GRAMMARS = st.sampled_from([
    (";", '"', None, "utf-8"), (",", "'", None, "utf-16"),
    ("\t", '"', "\\", "utf-8"), ("|", "'", "\\", "utf-32-le"),
])  # fmt: skip


def spelled(value: str | None, quote: str, escape: str | None) -> str:
    if value is None:
        return "\\N"
    if value.isalnum():
        return value
    if escape is not None and len(value) % 2:
        return quote + value.replace(escape, escape * 2).replace(quote, escape + quote) + quote
    if escape is not None:
        value = value.replace(escape, escape * 2)
    return quote + value.replace(quote, quote * 2) + quote


@settings(max_examples=80, deadline=None)
@given(
    rows=ROWS, grammar=GRAMMARS, block=st.integers(1, 40), first=st.integers(0, 27), count=st.integers(0, 27)
)
@example(rows=[("\\", None)], grammar=("\t", '"', "\\", "utf-8"), block=1, first=0, count=0)
@pytest.mark.slow
def test_what_is_written_is_read(rows, grammar, block, first, count):
    mark, quote, escape, encoding = grammar
    lines = [
        "# it's \" a comment",
        f"a{mark}b",
        *(mark.join(spelled(v, quote, escape) for v in r) for r in rows),
    ]
    raw = "".join(line + "\n" for line in lines).encode(encoding)
    options = CsvOptions(quote=quote, escape=escape, encoding=encoding, comment="# it", nulls=["\\N"])
    form, old, marks = DeclaredCsv(mark, options, None), text_format.BLOCK, RowOffsets()
    described = form.describe(io.BytesIO(raw), "none", HERE, ("t",))
    text_format.BLOCK = block
    try:
        assert form.rows(io.BytesIO(raw), "none") == len(rows)
        for start, size in ((0, None), (first, count), (first, count)):
            parts = form.read(io.BytesIO(raw), described, "none", start, size, marks)
            back = [tuple(row.values()) for part in parts for row in part.to_pylist()]
            assert back == rows[start : None if size is None else start + size]
    finally:
        text_format.BLOCK = old


@settings(max_examples=60, deadline=None)
@given(numbers=st.lists(NUMBERS))
@pytest.mark.slow
def test_decimals_with_marks_are_exact(numbers):
    declared = DeclaredColumn(name="n", type="decimal(20,4)")
    texts = [f"{number:,.4f}".replace(",", "'").replace(".", ",") for number in numbers]
    made = typed.values(pa.array(texts, pa.string()), declared, 1, typed.Notation(",", "'"))
    assert made.to_pylist() == [number.quantize(Decimal("0.0001")) for number in numbers]


@settings(max_examples=60, deadline=None)
@given(
    raw=st.binary(max_size=60),
    size=st.integers(1, 9),
    encoding=st.sampled_from(["utf-16-le", "cp1252", "shift_jis"]),
)
def test_any_encoding_is_read_whole_or_refused(raw, size, encoding):
    read = encodings.as_utf8(io.BytesIO(raw).read, encoding)
    try:
        want = raw.decode(encoding)
    except UnicodeDecodeError as error:
        with pytest.raises(CorruptFile, match=f"byte {error.start + 1} of the file"):
            while read(size):
                pass
    else:
        assert b"".join(iter(lambda: read(size), b"")).decode() == want


def test_an_open_quote_is_found_in_one_pass():
    """A quadratic search would not come back."""
    grammar = Grammar(CsvOptions(), ",")
    with pytest.raises(CorruptFile, match="line 1 is never closed"):
        list(grammar.records(b'"' + b'""x,\n' * 400_000, 1))


def test_a_mistake_is_named_before_the_rest_of_the_file_is_read():
    class Stops(io.BytesIO):
        def read(self, size=-1):
            assert self.tell() < 10 * text_format.BLOCK
            return super().read(size)

    raw = b'a,b\n1,"x"y\n' + b"1,2\n" * (4 * text_format.BLOCK)
    with pytest.raises(CorruptFile, match="line 2 something follows a closing quote"):
        DeclaredCsv(",", CsvOptions(), None).rows(Stops(raw), "none")


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(VALUES, max_size=8), array=st.booleans())
@pytest.mark.slow
def test_any_json_value_is_kept_by_its_path(values, array):
    records = [{"x": {"a.b": [0, value]}} for value in values]
    raw = json.dumps(records) if array else "".join(json.dumps(one) + "\n" for one in records)
    column = DeclaredColumn(name="v", type="json", path='x."a.b"[1]')
    form = format_named("jsonl").declared(Declared(columns=(column,)))
    described = form.describe(io.BytesIO(raw.encode()), "none", HERE, ("t",))
    parts = form.read(io.BytesIO(raw.encode()), described, "none")
    back = [row["v"] for part in parts for row in part.to_pylist()]
    assert [None if one is None else json.loads(one) for one in back] == values
