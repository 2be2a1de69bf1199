"""Defines facts about a system's ODBC driver, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class OdbcFacts:
    """One system's ODBC driver: how to connect, which values it damages, which settings it needs."""

    driver: str | None = None
    """The name under which the driver is usually installed."""
    keywords: tuple[str, str, str, str, str] = ("Server", "Port", "Database", "UID", "PWD")
    """Keywords of the connection string for host, port, database, user, password; '' if there is none."""
    host_with_port: str | None = None
    """Format of the host's value when it includes the port; None: the port has a keyword of its own."""
    database_with_host: str | None = None
    """Format of the database's value when it includes host and port; None: each has its own keyword."""
    default_port: int | None = None
    always: Mapping[str, str] = field(default_factory=dict)
    """Keywords and values of every connection."""
    verified: Mapping[str, str] = field(default_factory=dict)
    """Keywords that make the driver verify the server's identity, unless the server is this machine."""
    unverified: Mapping[str, str] = field(default_factory=dict)
    """Keywords for a profile that says ``insecure: true``."""
    bare_names: Literal["schema", "database", "user", "none"] = "schema"
    """Where unqualified names lie: the system's default schema, the database, the user's schema, or none."""
    is_file: bool = False
    """Whether the database is a file, without a server."""
    octets: str = "4 * CHAR_LENGTH({})"
    """Expression for the bytes of a value ``{}`` as UTF-8, or slightly more."""
    octets_of_binary: str | None = None
    """Expression for the bytes of a binary value ``{}``; None: ``octets`` serves for binary values too."""
    own_codes: bool = False
    """Whether the dialect's ``code`` reads ODBC errors itself."""
    words: tuple[tuple[str, str], ...] = ()
    """Parts of messages, each with the code that it stands for, if the driver gives no code."""
    exact_temporals: bool = False
    """Whether dates and timestamps arrive undamaged, so that they need not be read as text."""
    inexact_decimals: bool = False
    """Whether the driver turns decimals into floats."""
    converts_text: bool = False
    """Whether text columns may hold values of other types, so that they must be cast to text."""
    text_suffix: str = ""
    """SQL after the text of a temporal or a UUID that bounds its length, for a small driver buffer."""
    casts: bool = False
    """Whether a bound text must be cast to the column's type."""
    fast_inserts: bool = False
    """Whether the driver supports pyodbc's ``fast_executemany`` (MariaDB's driver runs out of memory)."""
    types_every_mark: bool = False
    """Whether hdm gives the type of every bound value, because the driver's question for it is a statement
    that can fail, and a failed statement can end the transaction."""
    one_write: bool = False
    """Whether long values must be sent in one piece, because the driver's SQLPutData corrupts texts."""
    bulk_breaks_on_binary: bool = False
    """Whether a bulk read of binary values crashes the process."""
    wide_text: bool = False
    """Whether texts are read in UTF-16, because narrow ones arrive in the locale's encoding."""
    told_width: bool = False
    """Whether the driver is told the widest value and the number of rows to buffer (``Fetch``)."""
    writes: str | None = None
    """Class (``module:name``) through which a database is written that would alter or refuse values; None:
    ODBC serves as it is."""
