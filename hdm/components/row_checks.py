"""The built-in checks of single rows: NotNull, Range, Length, Pattern, AcceptedValues and InFile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hdm.components.check import RowCheck
from hdm.components.settings import PathText
from hdm.errors import UsageError
from hdm.model import Column, Kind, Table

MOST_VALUES = 1_000_000
"""Most different values of a file that ``InFile`` keeps in memory; more belong into a table."""
_TEXTS = frozenset({Kind.TEXT, Kind.UUID})


class NotNull(RowCheck):
    """Check that a column contains no NULL."""

    class Config(RowCheck.Config):
        """Configuration of ``NotNull``: ``column`` is the column that must not be NULL."""

        column: str
        """Names the column that must not hold NULL."""

    def broken(self, batch: pa.RecordBatch) -> pa.Array:
        """Mark the rows in which the column is NULL."""
        return pc.is_null(batch.column(self.config.column))

    def words(self) -> str:
        """Return the verdict's name for broken rows: NULLs in the column."""
        return f"NULLs in {self.config.column}"


class Range(RowCheck):
    """Check that values lie between ``min`` and ``max``, both included; NULLs pass, NaN does not."""

    class Config(RowCheck.Config):
        """Configuration of ``Range``: ``column``, and at least one of ``min`` and ``max``."""

        column: str
        """Names the column whose values must lie within the bounds; NULLs pass, NaN does not."""
        min: float | int | str | None = None
        """Least value that is allowed, a number or the text of one of the column's type; left out, none. One
        bound is needed."""
        max: float | int | str | None = None
        """Greatest value that is allowed, written as ``min`` is; left out, none."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        column = table.column(config.column)
        pairs = ((config.min, pc.greater_equal), (config.max, pc.less_equal))
        if config.min is None and config.max is None:
            raise UsageError(f"check Range of {config.column} has no bound", hint="write min or max")
        if pa.types.is_string(column.type) and column.kind not in _TEXTS:
            raise self.refused(
                f"{column.name} is {column.kind.value} and travels as text, which has another order",
                "cast it in the link's transform, or write an Expression",
            )
        self.limits = [
            (_of_type(self, bound, column), compare) for bound, compare in pairs if bound is not None
        ]
        if len(self.limits) == 2 and pc.greater(self.limits[0][0], self.limits[1][0]).as_py():
            raise self.refused(f"min is greater than max for {column.name}", "exchange them")

    def broken(self, batch: pa.RecordBatch) -> pa.Array:
        """Mark the rows whose value lies beyond a bound, or cannot be compared, as NaN."""
        values = batch.column(self.config.column)
        within = [compare(values, limit) for limit, compare in self.limits]
        return pc.invert(within[0] if len(within) == 1 else pc.and_kleene(*within))

    def words(self) -> str:
        """Return the verdict's name for broken rows: values out of range."""
        return f"values of {self.config.column} out of range"


class Length(RowCheck):
    """Check that texts have ``min`` to ``max`` characters, and byte strings bytes; NULLs pass."""

    class Config(RowCheck.Config):
        """Configuration of ``Length``: ``column``, and at least one of ``min`` and ``max``."""

        column: str
        """Names the column of texts or byte strings whose lengths are compared; NULLs pass."""
        min: Annotated[int, Field(ge=0)] = 0
        """Least length, in characters of a text or bytes of a byte string; left out, 0."""
        max: Annotated[int, Field(ge=0)] | None = None
        """Greatest length, in characters of a text or bytes of a byte string; left out, any. One bound is
        needed."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        column = table.column(config.column)
        if not config.min and config.max is None:
            raise self.refused(f"{column.name} has no bound", "write min or max")
        if config.max is not None and config.min > config.max:
            raise self.refused(f"min is greater than max for {column.name}", "exchange them")
        self._bytes = _is_binary(column)
        if not self._bytes:
            _must_be_text(self, column)

    def broken(self, batch: pa.RecordBatch) -> pa.Array:
        """Mark the rows whose value is too short or too long."""
        measure = pc.binary_length if self._bytes else pc.utf8_length
        lengths = measure(batch.column(self.config.column))
        short = pc.less(lengths, self.config.min)
        return short if self.config.max is None else pc.or_(short, pc.greater(lengths, self.config.max))

    def words(self) -> str:
        """Return the verdict's name for broken rows: values of another length."""
        return f"values of {self.config.column} of another length"


class Pattern(RowCheck):
    """Check that a regular expression matches the whole of each text in a column; NULLs pass."""

    class Config(RowCheck.Config):
        """Configuration of ``Pattern``: ``column`` and ``matches``."""

        column: str
        """Names the column of texts that must match; NULLs pass."""
        matches: Annotated[str, Field(min_length=1)]
        r"""Regular expression in the syntax of RE2 (https://github.com/google/re2/wiki/Syntax) that must
        match the whole text, such as ``[A-Z]{2}\d{4}``."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        _must_be_text(self, table.column(config.column))
        self._whole = rf"\A(?:{config.matches})\z"
        try:
            for text in (
                config.matches,
                self._whole,
            ):  # by itself, so that brackets close; then as it is used
                pc.match_substring_regex(pa.array([""]), text)
        except pa.ArrowInvalid as wrong:
            raise self.refused(str(wrong).splitlines()[0], "write it in the syntax of RE2") from None

    def broken(self, batch: pa.RecordBatch) -> pa.Array:
        """Mark the rows whose text does not match."""
        return pc.invert(pc.match_substring_regex(batch.column(self.config.column), self._whole))

    def words(self) -> str:
        """Return the verdict's name for broken rows: values that do not match."""
        return f"values of {self.config.column} that do not match"


class AcceptedValues(RowCheck):
    """Check that every value of a column is one of a list; NULLs pass."""

    class Config(RowCheck.Config):
        """Configuration of ``AcceptedValues``: ``column`` and ``values``."""

        column: str
        """Names the column whose values must stand in the list; NULLs pass."""
        values: Annotated[list[bool | int | float | str], Field(min_length=1)]
        """The values that are accepted, each a number or the text of one of the column's type."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        column = table.column(config.column)
        self._values = pa.array([_of_type(self, one, column).as_py() for one in config.values], column.type)

    def broken(self, batch: pa.RecordBatch) -> pa.Array:
        """Mark the rows whose value is not in the list."""
        return _not_among(batch.column(self.config.column), self._values)

    def words(self) -> str:
        """Return the verdict's name for broken rows: values that are not accepted."""
        return f"values of {self.config.column} that are not accepted"


class InFile(RowCheck):
    """Check that every value of a column is in a column of a CSV or Parquet file; NULLs pass."""

    class Config(RowCheck.Config):
        """Configuration of ``InFile``: ``column``, ``file`` and ``field``."""

        column: str
        """Names the column whose values must stand in the file; NULLs pass."""
        file: Annotated[PathText, Field(min_length=1)]
        """Path of a ``.csv`` file with a header, or of a ``.parquet`` file, with at most 1,000,000 different
        values; relative to the folder in which hdm runs."""
        field: str | None = None
        """Names the file's column; left out, it has the name of ``column``."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        column, path = table.column(config.column), Path(config.file).expanduser()
        try:
            seen = path.stat()
        except OSError as error:
            raise self.refused(f"{path} cannot be read: {error.strerror}", "correct the path") from None
        name = config.field or config.column
        found = _values_of(str(path), name, seen.st_mtime_ns, seen.st_size)
        if isinstance(found, str):
            raise self.refused(found, "name a .csv or .parquet file, and its column as field:")
        if len(found) > MOST_VALUES:
            raise self.refused(
                f"{path} has {len(found):,} different values of {name}, more than {MOST_VALUES:,}",
                "load it into a table of the target, and write InTable",
            )
        try:
            self._values = found.cast(column.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise self.refused(
                f"{name} of {path} holds what is no value of column {column.name} ({column.type})",
                "name another field, or cast the column in the link's transform",
            ) from None

    def broken(self, batch: pa.RecordBatch) -> pa.Array:
        """Mark the rows whose value the file does not have."""
        values = batch.column(self.config.column)
        # The file's values are looked up among the batch's, which are few, so that no table of all is made.
        known = self._values.filter(pc.is_in(self._values, value_set=values.drop_null()))
        return _not_among(values, known)

    def words(self) -> str:
        """Return the verdict's name for broken rows: values that the file does not have."""
        return f"values of {self.config.column} that are not in the file"


@lru_cache(maxsize=16)
def _values_of(path: str, name: str, changed: int, size: int) -> pa.Array | str:
    """Return the different values of a file's column, without NULL; a text if it cannot be read."""
    from pyarrow import csv, parquet

    try:
        if path.endswith(".parquet"):
            table = parquet.read_table(path, columns=[name])
        elif path.endswith(".csv"):
            kinds = csv.ConvertOptions(
                include_columns=[name], column_types={name: pa.string()}, null_values=[""],
                strings_can_be_null=True, quoted_strings_can_be_null=False,
            )  # fmt: skip
            table = csv.read_csv(path, convert_options=kinds)
        else:
            return f"{path} is neither .csv nor .parquet"
    except (pa.ArrowInvalid, KeyError) as wrong:
        return f"{path}: {str(wrong).splitlines()[0]}"
    if name not in table.column_names:
        return f"{path} has no column {name!r}"
    return pc.unique(table.column(name)).drop_null()


def _not_among(values: pa.Array, known: pa.Array) -> pa.Array:
    return pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, value_set=known)))


def _of_type(check: RowCheck, bound: Any, column: Column) -> pa.Scalar:
    """Return a value of the manifest as one of the column's type; raise ``UsageError`` if it is none."""
    text = str(bound).lower() if isinstance(bound, bool) else str(bound)
    try:
        made = pa.scalar(text).cast(column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise check.refused(
            f"{bound!r} is no value of column {column.name} ({column.type})",
            "write a bound of the column's type",
        ) from None
    if pa.types.is_floating(column.type) and math.isnan(made.as_py()):
        raise check.refused(f"NaN is no bound for {column.name}", "write a number")
    return made


def _is_binary(column: Column) -> bool:
    return bool(pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type))


def _must_be_text(check: RowCheck, column: Column) -> None:
    kinds: Sequence[Any] = (pa.types.is_string, pa.types.is_large_string)
    if not any(is_kind(column.type) for is_kind in kinds):
        raise check.refused(
            f"{column.name} ({column.type}) holds no texts", "name a column of texts, or write an Expression"
        )
