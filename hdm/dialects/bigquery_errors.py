"""Error classes for the reasons of BigQuery's errors.

https://cloud.google.com/bigquery/docs/error-messages. A reason says more than the status of HTTP: 403 may be
``accessDenied``, ``quotaExceeded`` or ``rateLimitExceeded``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from hdm.dialects.sqlstates import by_code
from hdm.dialects.user_input import DENIED
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    SnapshotLost,
    Throttled,
    TransientError,
    UsageError,
)

CONFLICT: Final = "concurrentUpdate"
"""The code of a transaction that was cancelled since another one changed the same table.

BigQuery gives it the reason ``invalidQuery`` (https://cloud.google.com/bigquery/docs/transactions).
"""
_SAID: Final = {
    CONFLICT: re.compile(r"aborted due to concurrent|could not serialize access", re.IGNORECASE),
    "snapshotTime": re.compile(r"invalid (snapshot )?time|time travel|before.{0,40}allowed", re.IGNORECASE),
    "sessionLost": re.compile(r"session .{0,200}(not found|expired|terminated|invalid)", re.IGNORECASE),
}
"""Codes of hdm's own for what only an error's text tells, of the reasons ``invalidQuery``, ``invalid`` and
``notFound``."""
_VAGUE: Final = ("invalidQuery", "invalid", "notFound", "resourceInUse")

ERRORS: Final[Mapping[str, type[HdmError]]] = by_code(
    (Deadlock, CONFLICT),
    (SnapshotLost, "snapshotTime"),
    (TransientError, "sessionLost"),
    (TransientError, "backendError internalError jobBackendError jobInternalError tableUnavailable stopped"),
    (Throttled, "rateLimitExceeded jobRateLimitExceeded 429"),
    (ConnectionLost, "500 502 503 504 timeout TransportError"),
    (SchemaDrift, "notFound 404"),
    (RejectedRows, "invalid"),
    # quotaExceeded: for a day, and not for a moment as rateLimitExceeded
    (UsageError, "accessDenied billingNotEnabled blocked quotaExceeded 401 403 authError required"),
    (UsageError, "RefreshError DefaultCredentialsError MalformedError invalidUser responseTooLarge"),
    (PermanentError, "invalidQuery resourcesExceeded duplicate notImplemented resourceInUse 400 409 412"),
)
HINTS: Final[Mapping[str, str]] = {
    "accessDenied": DENIED,
    "403": DENIED,
    "quotaExceeded": "wait until the quota renews, or have it raised",
    "billingNotEnabled": "have billing enabled for the project",
    "RefreshError": "give another key of the service account: Google does not take this one",
    "DefaultCredentialsError": "write credentials_file: or credentials_json: in the profile",
    "401": "give another key of the service account: Google does not take this one",
    "notFound": "create the dataset or table, or correct its name, the project and the location",
    "snapshotTime": "plan again: the table's time travel window (7 days, or as set) has passed",
}


def code(error: BaseException) -> str | None:
    """Return an error's reason, or hdm's own word for one that only its text tells; else status or class."""
    told = getattr(error, "errors", None)
    first = told[0] if isinstance(told, list | tuple) and told else None
    reason = first.get("reason") if isinstance(first, dict) else None
    if reason in _VAGUE or reason is None:
        said = str(getattr(error, "message", "") or error)
        for own, words in _SAID.items():
            if words.search(said):
                return own
    if reason:
        return str(reason)
    status = getattr(error, "code", None)
    if status is not None and str(int(status) if isinstance(status, int) else status).isdigit():
        return str(int(status))
    name, module = type(error).__name__, type(error).__module__
    if module.startswith(("requests", "urllib3")) or name in ("TransportError", "RetryError"):
        return "TransportError"
    return name if module.startswith("google.auth") else None
