"""A table of values that tools like to damage, for the tests of formats and connectors."""

from decimal import Decimal

import pyarrow as pa

from hdm.model import Column, Dataset, Kind, Table

BIG, BIGGER = Decimal("9" * 38), Decimal("9" * 76)
LAST, FIRST = 2**63 - 1, -(2**63 - 1)
DAY_LAST, DAY_FIRST = 2**31 - 1, -(2**31 - 1)
YEAR_ONE = (-62_135_596_800_000_001, -62_135_596_800_000_000)
YEAR_10K = (253_402_300_799_999_999, 253_402_300_800_000_000)
NOON = 12 * 3600 * 10**6


def _times(values, kind):
    wide = pa.int32() if kind.bit_width == 32 else pa.int64()
    return pa.array(values, wide).cast(kind)


TEXTS = [
    None, "", "NULL", "NA", "007", "1e5", "nan", " ", "a'b", 'say "hi"', '"', '""', "a,b", "a;b\tc",
    "two\nlines", "two\r\nlines", "\r", "\n", '"\n"', "\\", "\\n", "\\N", "{}", "[1]", "null", "true",
    "nul \x00 byte", "\x01\x1f\x7f", "é", "日本語", "🎈👩‍👩‍👧", "\u2028", "\ufeff", "=1+1", "@12", "-",
    "é" * 500,
]  # fmt: skip
N = len(TEXTS)


def _spread(values):
    return (values * (N // len(values) + 1))[:N]


COLUMNS = [
    (Column("id", Kind.INT64, pa.int64(), False, "bigint", "postgres"), list(range(N))),
    (Column("text", Kind.TEXT, pa.string(), True, "varchar(2000)", "postgres", length=2000), TEXTS),
    (Column("wide text", Kind.TEXT, pa.large_string()), TEXTS[::-1]),
    (Column('"quoted", name', Kind.TEXT, pa.string(), comment="a 'comment'"), TEXTS),
    (Column("flag", Kind.BOOLEAN, pa.bool_()), _spread([True, None, False])),
    (Column("i8", Kind.INT8, pa.int8()), _spread([127, None, -128, 0])),
    (Column("i16", Kind.INT16, pa.int16()), _spread([32767, None, -32768])),
    (Column("i32", Kind.INT32, pa.int32()), _spread([2**31 - 1, None, -(2**31)])),
    (
        Column("i64", Kind.INT64, pa.int64()),
        _spread([2**63 - 1, None, -(2**63), 2**53 + 1, 2**53, -(2**53) - 1]),
    ),
    (Column("f32", Kind.FLOAT32, pa.float32()), _spread([0.1, None, -0.0, float("inf"), float("nan")])),
    (
        Column("f64", Kind.FLOAT64, pa.float64()),
        _spread([0.1, None, -0.0, float("inf"), float("-inf"), float("nan"), 5e-324, 1.7976931348623157e308]),
    ),
    (
        Column("d9", Kind.DECIMAL, pa.decimal128(9, 4), precision=9, scale=4),
        _spread([Decimal("12345.6789"), None, Decimal("-0.0001"), Decimal("0.0000")]),
    ),
    (
        Column("d38", Kind.DECIMAL, pa.decimal128(38, 0), precision=38, scale=0),
        _spread([BIG, None, BIG.copy_negate(), Decimal(0)]),
    ),
    (
        Column("d38s", Kind.DECIMAL, pa.decimal128(38, 30), precision=38, scale=30),
        _spread([Decimal("1E-30"), None, Decimal("99999999." + "9" * 30)]),
    ),
    (
        Column("d76", Kind.DECIMAL, pa.decimal256(76, 0), precision=76, scale=0),
        _spread([BIGGER, None, BIGGER.copy_negate()]),
    ),
    (Column("bytes", Kind.BINARY, pa.binary()), _spread([b"", None, b"\x00", bytes(range(256)), b'"\n,'])),
    (Column("wide bytes", Kind.BINARY, pa.large_binary()), _spread([None, b"", b"\xff\xfe"])),
    (
        Column("day", Kind.DATE, pa.date32()),
        ("date", _spread([0, None, DAY_LAST, DAY_FIRST, -719162, 2932896, -719163, 2932897])),
    ),
    (Column("time", Kind.TIME, pa.time64("us")), ("t", _spread([0, None, NOON + 1, 86_400 * 10**6 - 1]))),
    (Column("time ns", Kind.TIME, pa.time64("ns")), ("t", _spread([None, 86_400 * 10**9 - 1]))),
    (
        Column("moment", Kind.TIMESTAMP, pa.timestamp("us")),
        ("t", _spread([0, None, LAST, FIRST, 1, -1, *YEAR_ONE, *YEAR_10K])),
    ),
    (
        Column("moment utc", Kind.TIMESTAMPTZ, pa.timestamp("us", "UTC")),
        ("t", _spread([0, None, LAST, FIRST, 951_782_400_000_001])),
    ),
    (
        Column("moment ns", Kind.TIMESTAMP, pa.timestamp("ns")),
        ("t", _spread([None, LAST, FIRST, 1, -1, 10**18 + 1])),
    ),
    (Column("moment ns utc", Kind.TIMESTAMPTZ, pa.timestamp("ns", "UTC")), ("t", _spread([LAST, None, 7]))),
    (Column("json", Kind.JSON, pa.string(), True, "jsonb", "postgres"), _spread(['{"a":1e4}', None, "null"])),
]  # fmt: skip

TABLE = Table(
    Dataset("postgres://h:5432", "shop.public.awkward"),
    ("shop", "public", "awkward"),
    tuple(column for column, _ in COLUMNS),
    key=("id",),
    cursor="id",
)


def batch() -> pa.RecordBatch:
    """All awkward rows at once."""
    arrays = []
    for column, values in COLUMNS:
        if isinstance(values, tuple):
            arrays.append(_times(values[1], column.type))
        else:
            arrays.append(pa.array(values, column.type))
    return pa.RecordBatch.from_arrays(arrays, schema=TABLE.schema)
