"""The rows that one reading of a job covers, and what came up while they were split into chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Findings:
    """Facts about the source that came up while its rows were split into chunks.

    ``differs`` says where the source no longer matches what the state recorded as moved, ``notes`` what
    else people should know about this reading, ``limits`` which changes no reading of this table can
    notice. ``kept`` is handed to the next reading as ``Window.last``.
    """

    differs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Window:
    """The range of rows that a job's next reading covers, and what is known from earlier readings.

    Where it begins: rows whose value of ``column`` is at most ``after`` are committed already (text,
    rendered by the source; None: no row is). ``ties`` and ``nulls`` count the committed rows at ``after``
    and those with a NULL cursor; ``ties_counted`` and ``nulls_counted`` say that only the number is known,
    not the rows. ``snapshot`` is the token under which ``after`` was frozen, for sources that can find rows
    by it that were committed late.

    How it is read: ``lag``, ``offset``, ``rows_per_chunk`` and ``bytes_per_chunk`` are the source's
    settings. ``again``: rows may be read again, because they are merged. ``top``: greater values of the
    cursor have no place in its order. ``utc``: all database sessions stamp rows in UTC. ``on_missing``:
    what to do where the source differs from what was moved.

    Known of earlier readings: ``recall`` returns the row tokens kept of the rows at ``after`` (``point``)
    or without a place in the order (``null``); without it only their number is compared. ``moved`` is the
    number of rows below ``after`` that were moved, None where it is not known. ``exact``: the last reading
    read exactly the rows that it had planned. ``last`` is the ``Findings.kept`` of the last split.
    ``reshaped``: the table's columns have changed since. ``unclear``: parts of earlier readings were, or
    will be, read after the rest, so that they may include a row that appeared below ``after``.

    The split fills in ``findings``.
    """

    column: str | None = None
    after: str | None = None
    ties: int = 0
    nulls: int = 0
    snapshot: str | None = None
    lag: str | None = None
    offset: str | None = None
    rows_per_chunk: int | None = None
    bytes_per_chunk: int | None = None
    ties_counted: bool = False
    nulls_counted: bool = False
    again: bool = False
    recall: Callable[[str], Mapping[str, int]] | None = None
    moved: int | None = None
    exact: bool = False
    last: Mapping[str, Any] = field(default_factory=dict)
    on_missing: str = "report"
    top: str | None = None
    reshaped: bool = False
    utc: bool = False
    unclear: bool = False
    findings: Findings = field(default_factory=Findings, compare=False)
