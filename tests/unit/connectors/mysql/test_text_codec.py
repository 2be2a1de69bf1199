"""MySQL's text forms: lines that Arrow parses, LOAD DATA's escapes, literals; no server needed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest

from hdm.connectors.mysql.text_codec import Layout, insert_rows, load_lines, to_texts
from hdm.errors import UnrepresentableValue
from hdm.model import Column, Kind


def column(name: str, kind: Kind, carrier: pa.DataType, **more) -> Column:
    return Column(name, kind, carrier, **more)


ID = column("id", Kind.INT64, pa.int64())
NAME = column("na`me", Kind.TEXT, pa.string(), length=50)
NOTE = column("note", Kind.TEXT, pa.string())
DAY = column("day", Kind.DATE, pa.date32())
AT = column("at", Kind.TIMESTAMPTZ, pa.timestamp("us", "UTC"))
CLOCK = column("clock", Kind.TIME, pa.time64("us"))
SUM = column("sum", Kind.DECIMAL, pa.decimal256(60, 30))


def quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def test_short_columns_share_a_line_and_long_ones_travel_beside():
    layout = Layout([ID, NAME, NOTE, DAY])
    assert [c.name for c in layout.inline] == ["id", "na`me", "day"]
    assert [c.name for c in layout.beside] == ["note"]
    assert layout.has_line
    assert layout.select(quote) == (
        "CONCAT_WS(',', IFNULL(`id`, ''), IF(`na``me` IS NULL, '', CONCAT('\"', REPLACE(CONVERT(`na``me` "
        "USING utf8mb4), '\"', '\"\"'), '\"')), IFNULL(`day`, '')), `note`"
    )


def test_columns_beyond_the_room_of_a_line_travel_beside():
    wide = [column(f"c{n}", Kind.TEXT, pa.string(), length=4000) for n in range(140)]
    layout = Layout(wide)
    assert (len(layout.inline), len(layout.beside)) == (131, 9)


def test_lines_become_a_batch_that_tells_null_from_empty():
    layout = Layout([ID, NAME, NOTE, DAY, AT, CLOCK, SUM])
    lines = [
        b'1,"say ""hi"", two\nlines",2020-02-29,2020-01-02 03:04:05.000006,23:59:59.5,'
        b"-1.000000000000000000000000000001",
        b'2,"",,,,',
        b"3,,0001-01-01,1000-01-01 00:00:00,00:00:00,0",
    ]
    batch, gone = layout.batch(lines, [[b"x", None, b""]], 3)
    assert gone == {}
    assert batch.schema.types == [ID.type, NAME.type, NOTE.type, DAY.type, AT.type, CLOCK.type, SUM.type]
    first, second, third = (tuple(row.values()) for row in batch.to_pylist())
    assert first == (
        1,
        'say "hi", two\nlines',
        "x",
        date(2020, 2, 29),
        datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        time(23, 59, 59, 500000),
        Decimal("-1.000000000000000000000000000001"),
    )
    assert second == (2, "", None, None, None, None, None)
    assert third[1] is None


def test_impossible_days_are_null_and_counted_where_that_was_asked():
    layout = Layout([ID, DAY, AT], zero_dates="null")
    assert "IF(`day` IS NULL OR (MONTH(`day`) = 0" in layout.select(quote)
    batch, gone = layout.batch([b"1,,2020-01-01 00:00:00,1,0", b"2,2020-01-01,,0,0"], [], 2)
    assert gone == {"day": 1}
    assert batch.column(1).to_pylist() == [None, date(2020, 1, 1)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"1,0000-00-00,,", "column day: 1 zero dates in one batch of 1 rows"),
        (b"1,2021-02-30,,", "column day: days that no month has"),
        (b"1,,-01:00:00,", "column clock: a TIME that is no time of day"),
        (b"1,,838:59:59,", "column clock: a TIME that is no time of day"),
    ],
)
def test_what_has_no_place_in_arrow_names_its_column_and_the_cure(line, said):
    layout = Layout([ID, DAY, CLOCK, SUM])
    with pytest.raises(UnrepresentableValue, match=said) as wrong:
        layout.batch([line], [], 1)
    assert "in the source's conf" in wrong.value.hint


def test_rows_that_fall_apart_are_found():
    layout = Layout([ID])
    with pytest.raises(UnrepresentableValue, match="fell apart"):
        layout.batch([b"1", b"2"], [], 3)


@pytest.mark.parametrize(
    ("array", "native", "texts"),
    [
        (pa.array([True, None, False]), "tinyint(1)", ["1", None, "0"]),
        (pa.array([0.1, None], pa.float32()), "float", ["0.10000000149011612", None]),
        (pa.array([5, None], pa.int16()), "year(4)", ["0005", None]),
        (pa.array([date(1, 1, 1)]), "date", ["0001-01-01"]),
        (pa.array([b"\x00\xff", None, b""]), "blob", ["00ff", None, ""]),
        (pa.array([3_723_000_001_000], pa.time64("ns")), "time(6)", ["01:02:03.000001"]),
        (pa.array([1_999], pa.timestamp("ns")), "datetime(6)", ["1970-01-01 00:00:00.000001"]),
        (pa.array([-1], pa.timestamp("us", "UTC")), "timestamp(6)", ["1969-12-31 23:59:59.999999"]),
    ],
)
def test_a_column_is_the_text_that_mysql_reads_back(array, native, texts):
    assert to_texts(array, ID, native).to_pylist() == texts


def test_a_part_of_an_array_is_only_that_part():
    whole = pa.array([b"\x01", b"\x02\x03", None, b"\x04"])
    assert to_texts(whole.slice(1, 2), ID, "blob").to_pylist() == ["0203", None]
    assert bytes(load_lines([pa.array(["a", "b", "c"]).slice(1, 1)])) == b"b\n"


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (pa.array([float("nan")]), "NaN or infinity"),
        (pa.array([float("-inf")]), "NaN or infinity"),
        (pa.array([-719_529], pa.date32()), "outside the years 0 to 9999"),
        (pa.array([2_932_897], pa.date32()), "outside the years 0 to 9999"),
        (pa.array([2**62], pa.timestamp("us")), "outside the years 0 to 9999"),
    ],
)
def test_what_mysql_has_no_place_for_is_refused(array, said):
    with pytest.raises(UnrepresentableValue, match=said):
        to_texts(array, ID, "x")


def test_load_lines_escape_what_would_end_a_field():
    texts = [pa.array(["a\tb", None, ""]), pa.array(["\\N", "x\ny\r", "\0'\""])]
    assert bytes(load_lines(texts)) == b"a\\tb\t\\\\N\n\\N\tx\\ny\\r\n\t\\0'\"\n"


def test_one_column_may_be_null_in_a_line():
    assert bytes(load_lines([pa.array(["a", None])])) == b"a\n\\N\n"
    assert bytes(load_lines([pa.array([], pa.string())])) == b""


def test_literals_of_each_form():
    texts = [pa.array(["it's \\", None]), pa.array(["00ff", ""]), pa.array(["101", None])]
    assert insert_rows(texts, ["", "x", "b"]) == ["('it''s \\\\', x'00ff', b'101')", "(NULL, x'', NULL)"]
