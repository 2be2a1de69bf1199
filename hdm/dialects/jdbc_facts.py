"""Defines facts about a system's JDBC driver, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hdm.model import Kind


@dataclass(frozen=True, slots=True)
class JdbcFacts:
    """One system's JDBC driver: how to connect, and what it needs to read and write exactly."""

    driver: str | None = None
    """The driver's class name; None: the profile must name it."""
    label: str | None = None
    """The connection property by which the server shows a session's name; None if there is none."""
    always: Mapping[str, str] = field(default_factory=dict)
    """Connection properties of every session; those of the profile come before them."""
    verified: Mapping[str, str] = field(default_factory=dict)
    """Properties that make the driver verify the server's identity, unless the server is this machine."""
    unverified: Mapping[str, str] = field(default_factory=dict)
    """Properties for a profile that says ``insecure: true``."""
    fetch_size: int | None = None
    """The fetch size without which the driver keeps a whole result in memory; None: any size will do."""
    exact_temporals: bool = False
    """Whether ``getString`` is known to give dates and times undamaged; else the server renders their text.

    MariaDB's driver sends them through Java's calendar, which moves a DATETIME before 1582 by days.
    """
    casts: bool = False
    """Whether a bound text must be cast to the column's type, since the server takes it for text only."""
    numbers_rows: bool = True
    """Whether ROW_NUMBER() OVER (ORDER BY ...) exists; without it, the values of a key are read to cut
    chunks."""
    unbounded: Mapping[Kind, str] = field(default_factory=dict)
    """Types of texts and bytes without a bound, where the driver's own name of them needs a length."""
    code: str = "{}"
    """Format of the vendor's number as the dialect's ``errors`` write it."""
    own_codes: bool = False
    """Whether the dialect's ``code`` reads the words of an error, because its numbers say too little."""
