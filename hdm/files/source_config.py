"""Defines the configuration keys that sources of files accept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hdm.components.settings import Settings
from hdm.files.formats import FormatName
from hdm.files.formats.declared import CsvOptions, DeclaredColumn, ExcelOptions, FixedOptions
from hdm.files.layout import Split


def _one_delimiter(value: str) -> str:
    if len(value) != 1 or not value.isascii() or value in '"\r\n\0':
        raise ValueError("must be one ASCII character, and neither a quote nor a line end")
    return value


class FileSourceConfig(Settings):
    """Configuration keys that every file source accepts."""

    env: str | None = None
    """Names the connection in the profile; ``connection`` is another spelling. Ignored by a component that
    needs no connection.
    """
    file_format: FormatName | None = None
    """Reads only files of this format: ``parquet``, ``csv``, ``jsonl``, ``arrow``, ``avro``, ``excel``,
    ``fixed``, or the name of one that a plugin brings. Left out, of every format that is known. With
    ``pattern``, the files that match are of this format, whatever their names end with."""
    table_name: str | None = None
    """Reads only the dataset of this name; with ``pattern``, names the dataset of all matching files. Left
    out, all datasets are read.
    """
    pattern: str | None = None
    """Glob over names relative to the root, of files that hdm did not stage: all that match are one table.
    Left out, each folder is one."""
    delimiter: Annotated[str, AfterValidator(_one_delimiter)] | None = None
    """One ASCII character between the fields of CSV files that hdm did not stage; left out, a comma."""
    columns: Annotated[tuple[DeclaredColumn, ...], Field(min_length=1)] | None = None
    """The columns' names and types, for files that do not say them: of CSV and Excel those that are not text,
    of JSON and fixed width all that are read."""
    csv: CsvOptions | None = None
    """How CSV files that hdm did not stage are written, where they are not as RFC 4180 says."""
    fixed: FixedOptions | None = None
    """How files of fixed width are written."""
    excel: ExcelOptions | None = None
    """Which cells of a workbook are the table."""
    schema_policy: Literal["fail", "evolve", "discard"] = "fail"
    """What is done where the files of one table have different columns (the link's own key is for changes
    between runs): ``fail``, refuse the file by name; ``evolve``, read all columns that any file has, as types
    that hold the values of all, and NULL where a file lacks one; ``discard``, read the first file's columns
    only."""
    partitions: Literal["columns", "ignore"] = "columns"
    """Whether folders like ``dt=2024-01-01`` give a column ``dt`` (``columns``) or are folders like others
    (``ignore``)."""
    allow_empty: bool = False
    """Accepts that nothing is there to be read."""
    others_delete: bool = False
    """Says that others delete staged files: those which are gone are left out, and no error is raised."""


class FileChunkConfig(FileSourceConfig):
    """Configuration of a source that cuts files into chunks."""

    chunk: Annotated[int, Field(gt=0)] | Split = 1_000_000
    """Most rows that one chunk holds, or ``{rows, bytes}``."""
