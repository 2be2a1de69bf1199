"""Classifies errors of Netezza's servers and drivers by their words, with hints.

nzpy gives no codes, only the server's own words. They are from IBM's documentation and support pages
(https://www.ibm.com/docs/en/netezza, https://www.ibm.com/support/pages/) and from nzpy 1.17.8.
"""

from __future__ import annotations

import re

from hdm.dialects.user_input import DENIED, WRITES
from hdm.errors import (
    ConnectionLost,
    HdmError,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    Throttled,
    TransientError,
    UsageError,
)

_STATE = re.compile(
    r"\[([0-9A-Z]{5})\]|State: ([0-9A-Z]{5})\b|\b(08[0-9A-Z]{3}|HYT0\d|40001|28000|IM\d{3})\b"
)
WORDS: tuple[tuple[str, str], ...] = (
    # the first match counts, so narrower words come before wider ones
    ("password authentication failed", "AUTH"),
    ("password expired", "AUTH"),
    ("account is locked", "AUTH"),
    ("user is not authorized", "AUTH"),
    ("certificate", "TLS"),
    ("secured session", "TLS"),
    ("limit of concurrent read/write transactions", "FULL"),
    ("too many concurrent transactions", "FULL"),
    ("too many clients", "FULL"),
    ("too many connections", "FULL"),
    ("sessions limit", "FULL"),
    ("job limit", "FULL"),
    ("permission denied", "DENIED"),
    ("read-only session", "READS"),
    ("concurrent update or delete", "SERIAL"),
    ("could not serialize", "SERIAL"),
    ("serialization", "SERIAL"),
    ("deadlock", "SERIAL"),
    ("exceeds internal limit", "WIDE"),
    ("record size", "WIDE"),
    ("distribution", "PLACED"),
    ("correlated", "SYNTAX"),
    ("external representation", "VALUE"),
    ("overflow", "VALUE"),
    ("can't parse", "VALUE"),
    ("cannot contain null", "VALUE"),
    ("cannot insert null", "VALUE"),
    ("null value in not null", "VALUE"),
    ("value too large", "VALUE"),
    ("too long for", "VALUE"),
    ("string too long", "VALUE"),
    ("out of range", "VALUE"),
    ("divide by", "VALUE"),
    ("reached maximum error limit", "VALUE"),
    ("bad external", "VALUE"),
    ("transaction rolled back", "LOST"),
    ("session was aborted", "LOST"),
    ("session aborted", "LOST"),
    ("closed the connection", "LOST"),
    ("connection lost", "LOST"),
    ("connection is closed", "LOST"),
    ("communication error", "LOST"),
    ("communication link failure", "LOST"),
    ("connection refused", "LOST"),
    ("connection reset", "LOST"),
    ("broken pipe", "LOST"),
    ("timed out", "LOST"),
    ("not online", "PAUSED"),
    ("is paused", "PAUSED"),
    ("is offline", "PAUSED"),
    ("shutting down", "PAUSED"),
    ("temporary work space is full", "SPACE"),
    ("disk full", "SPACE"),
    ("disk space", "SPACE"),
    ("no space", "SPACE"),
    ("parse error", "SYNTAX"),
    ("syntax error", "SYNTAX"),
    ("unable to identify an operator", "SYNTAX"),
    ("not supported", "SYNTAX"),
    ("does not exist", "MISSING"),
    ("not found", "MISSING"),
    ("already exists", "EXISTS"),
    ("error in handshake", "LOGIN"),
    # what servers say of themselves, not of the statement
    ("spu ", "PASSING"),
    ("s-blade", "PASSING"),
    ("dataslice", "PASSING"),
    ("failover", "PASSING"),
    ("restart", "PASSING"),
    ("hardware", "PASSING"),
    ("memory", "PASSING"),
    ("resource", "PASSING"),
    ("unavailable", "PASSING"),
    ("not available", "PASSING"),
    ("temporarily", "PASSING"),
    ("try again", "PASSING"),
    ("in use", "PASSING"),
    ("busy", "PASSING"),
    ("lock", "PASSING"),
    ("timeout", "PASSING"),
    ("time out", "PASSING"),
    ("cancel", "PASSING"),
    ("abort", "PASSING"),
    ("reset", "PASSING"),
)
"""Words of a message, in small letters -> hdm's own code."""
ERRORS: dict[str, type[HdmError]] = {
    "AUTH": UsageError, "TLS": UsageError, "LOGIN": UsageError, "DENIED": UsageError,
    "READS": UsageError,
    "MISSING": SchemaDrift, "EXISTS": PermanentError, "SYNTAX": PermanentError, "WIDE": UsageError,
    "PLACED": UsageError, "SERIAL": Throttled, "VALUE": RejectedRows, "LOST": ConnectionLost,
    "PAUSED": ConnectionLost, "FULL": Throttled, "SPACE": TransientError, "PASSING": TransientError,
}  # fmt: skip
"""hdm's codes -> error class. ``ERROR``, for words of a server that are not known, is missing on purpose."""
HINTS: dict[str, str] = {
    "READS": WRITES,
    "AUTH": "correct user and password in the profile",
    "TLS": "name the authority's certificate as ca_certs, or write insecure: true",
    "LOGIN": "look at user, password, database and TLS in the profile: the server gave no reason",
    "DENIED": DENIED,
    "PAUSED": "bring the system online: nzstart, or nzsystem resume",
    "SERIAL": "another transaction wrote the same rows first; it is tried again, and costs no attempt",
    "FULL": "63 transactions may write at a time: run fewer workers, or wait",
    "WIDE": "a row has 65,535 bytes at most, four for each character of NVARCHAR: create the table with "
    "shorter columns, or choose fewer with columns:",
    "PLACED": "distribute the table on its key or at random: an UPDATE cannot set a column of distribution",
}


def code_of(error: BaseException) -> str | None:
    """Return hdm's own code for the server's words, else an error's SQLSTATE from ODBC.

    ``ERROR`` for a server's words that are not known; None if the error is not a server's.
    """
    text = " ".join(str(part) for part in error.args) or str(error)
    low = text.lower()
    for words, code in WORDS:
        if words in low:
            return code
    found = state_of(error)
    return found or ("ERROR" if "error:" in low else None)


def state_of(error: BaseException) -> str | None:
    """Return the SQLSTATE in an error of the ODBC driver; None if there is none."""
    first = error.args[0] if error.args else None
    if isinstance(first, str) and re.fullmatch(r"[0-9A-Z]{5}", first):
        return first
    found = _STATE.search(" ".join(str(part) for part in error.args))
    return next(filter(None, found.groups())) if found else None
