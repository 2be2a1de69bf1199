"""What is special about a system behind an ODBC driver, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class OdbcFacts:
    """One system's driver: how it is reached, what it damages, what it must be told."""

    driver: str | None = None
    """The name under which the driver is usually installed."""
    keywords: tuple[str, str, str, str, str] = ("Server", "Port", "Database", "UID", "PWD")
    """Of the connection string: host, port, database, user, password; an empty one has no place."""
    host_with_port: str | None = None
    """How host and port stand together as the host; None: the port has a keyword of its own."""
    database_with_host: str | None = None
    """How host, port and database stand together as the database."""
    default_port: int | None = None
    always: Mapping[str, str] = field(default_factory=dict)
    """Keywords of every connection."""
    verified: Mapping[str, str] = field(default_factory=dict)
    """Keywords that make the driver prove who the server is, unless it is this machine."""
    unverified: Mapping[str, str] = field(default_factory=dict)
    """Keywords of a profile that says ``insecure: true``."""
    bare_names: Literal["schema", "database", "user", "none"] = "schema"
    """Where unqualified names lie: the system's default schema, the database, the user's, or nowhere."""
    is_file: bool = False
    """Whether the database is a file, not a server."""
    octets: str = "4 * CHAR_LENGTH({})"
    """How many bytes a value has as UTF-8, or a little more."""
    octets_of_binary: str | None = None
    """The same for binary values; None: as for all."""
    own_codes: bool = False
    """Whether the dialect's ``code`` reads ODBC errors itself."""
    words: tuple[tuple[str, str], ...] = ()
    """Parts of messages, and the code that each stands for, where the driver gives no code."""
    exact_temporals: bool = False
    """Whether dates and timestamps arrive undamaged, so that they need not travel as text."""
    inexact_decimals: bool = False
    """Whether the driver turns decimals into floats."""
    converts_text: bool = False
    """Whether columns of text hold other values too, which must be asked for as text."""
    text_suffix: str = ""
    """What follows the text of a temporal or a UUID, so that the driver binds a narrow buffer."""
    casts: bool = False
    """Whether the system must be told the type of a bound text."""
    fast_inserts: bool = False
    """Whether the driver stands pyodbc's ``fast_executemany`` (MariaDB's runs out of memory)."""
    one_write: bool = False
    """Whether long values must not be sent in pieces: the driver's SQLPutData corrupts texts."""
    bulk_breaks_on_binary: bool = False
    """Whether a bulk read of binary values ends the whole process."""
    wide_text: bool = False
    """Whether texts are asked for in UTF-16, as narrow ones come in the locale of the process."""
    told_width: bool = False
    """Whether the driver is told the widest value, and how many rows to keep (``Fetch``)."""
