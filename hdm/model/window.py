"""What an epoch is to read, and what was found besides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Findings:
    """What a split found besides its chunks, for whoever asked for it.

    ``differs`` says where the source is not as the state says it was moved, ``notes`` what else is to be
    said of this reading, ``limits`` what no reading of this table would notice. ``kept`` is to be given
    to the next one as ``Window.last``.
    """

    differs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Window:
    """What a job's new epoch is to read.

    ``after``: rows with a cursor value up to and including this are committed already (text,
    rendered by the source); None: nothing is. ``ties``/``nulls`` are how many rows at
    ``after`` / with a NULL cursor are committed already; ``..._counted``: only their number is
    known. ``again``: rows may come again, they are merged. ``snapshot`` is the token under which
    ``after`` was frozen, for sources that can name late commits by it.

    ``recall`` gives what is kept of the rows at ``after`` ("point") or without a place in the order
    ("null"); without it only their number is compared. ``moved`` is how many rows below ``after`` were
    moved, None where that is not known; ``exact``: the last reading read just what it had planned.
    ``last`` is what its split kept. ``on_missing``: what to do where the source differs. ``top``: greater
    values have no place in the order. ``reshaped``: the columns have changed since. ``utc``: all
    sessions stamp in UTC. ``unclear``: parts of the last readings were, or will be, read later: a row that
    came below ``after`` may be among them. ``findings`` is filled by the split.
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
