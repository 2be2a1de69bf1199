"""The keys that every SQL source takes in a manifest."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from hdm.components.settings import Settings
from hdm.config.deprecated import CHECKSUM, DATABASE
from hdm.dialects.native_type import is_type
from hdm.sql.cursor import WatermarkConf
from hdm.sql.table_name import TableNameLike


class ChunkConf(Settings):
    """Configuration of a chunk's size: rows, bytes (at the table's mean width), or the smaller of both."""

    rows: int | None = Field(None, gt=0)
    """About how many rows one chunk holds at most; left out, 250,000, unless the bytes allow fewer."""
    bytes: int | None = Field(None, gt=0)
    """About how many bytes one chunk holds at most, at the table's mean width of rows; left out, 256 MiB, or
    no bound where ``rows`` is given."""


class SqlSourceConfig(Settings):
    """Configuration of a SQL source: one table, or one query."""

    env: str | None = None
    """Names the connection in the profile; ``connection`` is another spelling. Ignored by a component that
    needs no connection.
    """
    table_name: TableNameLike | None = None
    """Names the table to read: ``schema.table``, a list of parts, or ``{schema, table}``. Give it or
    ``query``."""
    query: str | None = None
    """One SELECT that gives the rows, in the place of ``table_name``."""
    schema_name: str | None = Field(None, alias="schema")
    """Schema of a ``table_name`` without one; left out, the profile's, or the system's default."""
    watermark: WatermarkConf | None = None
    """Reads only what is new since the last run, by a column that grows; left out, the whole table is
    read."""
    on_missing: Literal["report", "ignore", "fail"] = "report"
    """With a watermark, what to do where rows below it are gone, came late or were changed: ``report`` says
    so, ``fail`` does not plan the table, ``ignore`` does not count them."""
    chunk: ChunkConf | None = None
    """How large one chunk may be, ``{rows, bytes}``; left out, 250,000 rows or 256 MiB, whichever is less."""
    columns: list[str] | None = None
    """Names the columns to read, in this order; left out, all of them."""
    where: str | None = None
    """One SQL condition, in the source's own words, that rows must fulfil; left out, all rows are read."""
    types: dict[str, str] = Field(default_factory=dict)
    """Native types of columns, ``column: type``, which come before the catalogue's, e.g. where it gives none;
    left out, the catalogue's."""
    checksum: Any = Field(None, deprecated=CHECKSUM)
    """Has no effect, and is taken so that older manifests still work: each run says so."""
    checksum_method: Any = Field(None, deprecated=CHECKSUM)
    """Has no effect, and is taken so that older manifests still work: each run says so."""
    database: str | None = Field(None, deprecated=DATABASE)
    """Has no effect, and is taken so that older manifests still work: each run says so."""
    params: Any = None
    """Older spelling of ``table_name`` and ``watermark``, as ``{table, watermark}``; what is written beside
    it comes first."""

    @model_validator(mode="before")
    @classmethod
    def _from_params(cls, values: Any) -> Any:
        """Take ``table`` and ``watermark`` from the older key ``params``."""
        params = values.get("params") if isinstance(values, dict) else None
        if not isinstance(params, dict):
            return values
        table = params.get("table", params.get("table_name"))
        old = {"table_name": table, "watermark": params.get("watermark")}
        return {**values, **{k: v for k, v in old.items() if v is not None and not values.get(k)}}

    @field_validator("types")
    @classmethod
    def _each_a_type(cls, types: dict[str, str]) -> dict[str, str]:
        wrong = next((name for name, text in types.items() if not is_type(text)), None)
        if wrong is not None:
            raise ValueError(f"{wrong}: {types[wrong]!r} is not the name of one type")
        return types

    @model_validator(mode="after")
    def _table_or_query(self) -> SqlSourceConfig:
        if (self.table_name is None) == (self.query is None):
            raise ValueError("give either table_name or query")
        return self
