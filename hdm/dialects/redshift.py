"""Types and DDL of Amazon Redshift, for schemas to be created there; hdm has no connector for it.

https://docs.aws.amazon.com/redshift/latest/dg/c_Supported_data_types.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hdm.dialects.base import Dialect
from hdm.dialects.traits import NONE, Traits
from hdm.dialects.types import Fidelity, Stored
from hdm.model import Column, Kind

_TEXT = (Fidelity.APPROXIMATED, "kept as text")
_KINDS = {
    "BOOLEAN": Kind.BOOLEAN, "SMALLINT": Kind.INT16, "INTEGER": Kind.INT32, "BIGINT": Kind.INT64,
    "REAL": Kind.FLOAT32, "DOUBLE PRECISION": Kind.FLOAT64, "DECIMAL": Kind.DECIMAL, "NUMERIC": Kind.DECIMAL,
    "DATE": Kind.DATE, "TIME": Kind.TIME, "TIMETZ": Kind.TIMETZ, "TIMESTAMP": Kind.TIMESTAMP,
    "TIMESTAMPTZ": Kind.TIMESTAMPTZ, "VARCHAR": Kind.TEXT, "CHAR": Kind.TEXT, "VARBYTE": Kind.BINARY,
    "SUPER": Kind.JSON,
}  # fmt: skip
_FIXED: dict[Kind, Stored] = {
    Kind.BOOLEAN: Stored("BOOLEAN"), Kind.INT8: Stored("SMALLINT"), Kind.INT16: Stored("SMALLINT"),
    Kind.INT32: Stored("INTEGER"), Kind.INT64: Stored("BIGINT"), Kind.FLOAT32: Stored("REAL"),
    Kind.FLOAT64: Stored("DOUBLE PRECISION"), Kind.DATE: Stored("DATE"),
    Kind.UUID: Stored("VARCHAR(36)", *_TEXT), Kind.JSON: Stored("SUPER", Fidelity.APPROXIMATED, "re-parsed"),
    Kind.INTERVAL: Stored("VARCHAR(128)", *_TEXT), Kind.TIMETZ: Stored("TIMETZ"),
    Kind.ENUM: Stored("VARCHAR(1024)", Fidelity.APPROXIMATED, "its labels are not enforced"),
}  # fmt: skip
_MAX_BYTES = 65_535


class RedshiftDialect(Dialect):
    """The SQL of Redshift, which folds names to lower case; VARCHAR counts bytes, at most 65,535."""

    name = "redshift"
    sqlglot = "redshift"
    ignores_case = "ascii"  # https://docs.aws.amazon.com/redshift/latest/dg/r_names.html
    max_identifier = 127
    enforces_keys = False
    kinds: ClassVar[Mapping[str, Kind]] = _KINDS
    text_type = "VARCHAR(65535)"
    # https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_NEW.html
    traits = Traits(
        fk="declared", keys_enforced=False, check=False, index=False, generated=NONE, sequences=False,
        actions=NONE, update_actions=False, distribution="kept", identity_integer=True,
        indexes_by_schema=True, keys_are_indexes=True,
    )  # fmt: skip
    default_schema = "public"
    widen_clause = "ALTER COLUMN {name} TYPE {type}"

    def native(self, column: Column) -> Stored:
        """Return Redshift's type for another system's column.

        Lengths of text are multiplied by four, the bytes that a character of UTF-8 may need.
        """
        kind = column.kind
        if kind in _FIXED:
            return _FIXED[kind]
        if kind is Kind.DECIMAL:
            precision, scale = column.precision, column.scale or 0
            if precision is not None and precision <= 38 and 0 <= scale <= min(precision, 37):
                return Stored(f"DECIMAL({precision},{scale})")
            return Stored("VARCHAR(65535)", Fidelity.APPROXIMATED, "beyond 38 digits: kept as text")
        if kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            name = {Kind.TIME: "TIME", Kind.TIMESTAMP: "TIMESTAMP"}.get(kind, "TIMESTAMPTZ")
            lossy = (column.precision or 0) > 6
            return Stored(name, Fidelity.LOSSY, "it keeps microseconds") if lossy else Stored(name)
        if kind is Kind.TEXT:
            return _sized("VARCHAR", (column.length or _MAX_BYTES) * 4, bounded=column.length is not None)
        if kind is Kind.BINARY:
            return _sized("VARBYTE", column.length or _MAX_BYTES, bounded=column.length is not None)
        return Stored("VARCHAR(65535)", *_TEXT)


def _sized(name: str, size: int, *, bounded: bool) -> Stored:
    if bounded and size <= _MAX_BYTES:
        return Stored(f"{name}({size})")
    return Stored(
        f"{name}({_MAX_BYTES})", Fidelity.APPROXIMATED, f"longer values than {_MAX_BYTES} bytes fail"
    )
