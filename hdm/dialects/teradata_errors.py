"""Classifies Teradata's error numbers, with hints.

Numbers: Teradata Vantage Database Messages, B035-1096 (https://docs.teradata.com); what may be tried again:
Teradata CLI, B035-2418, "Responding to Error and Failure Parcels". The driver writes them into its text as
``[Teradata Database] [Error 3807]``, and its own as ``[Teradata SQL Driver] [Error 444] [SQLState 08001]``
(https://github.com/Teradata/python-driver).
"""

from __future__ import annotations

import re

from hdm.dialects.sqlstates import by_code
from hdm.dialects.user_input import DENIED
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    Throttled,
    TransientError,
    UsageError,
)

_NUMBER = re.compile(r"\[Teradata Database\] \[Error (\d+)\]")
_STATE = re.compile(r"\[Teradata SQL Driver\].*?\[SQLState (\w{5})\]")
ERRORS: dict[str, type[HdmError]] = by_code(
    (Deadlock, "2631 2639"),
    (TransientError, "2641 3111 3120 3598 2652 2644 2646 2667 3130 3609 5991"),
    (ConnectionLost, "2825 2826 2828 2835 3897 8024 8053 8055"),
    (Throttled, "3134 3151 3149 3155"),
    (UsageError, "3523 3524 8017 3002 3003 3032 5788 3802 9719 3695"),
    (SchemaDrift, "3807 3810 5628 3822 3653"),
    (
        RejectedRows,
        "2616 2617 2618 2619 2620 2621 2622 2665 2666 2675 2679 2801 2802 2803 2804 3520 5317 5407 6706 6760"
        " 7452 7453 7454",
    ),
    (PermanentError, "3706 3707 3704 3708 3709 3710 3722 3932 3504 3813 3532 5315 3782 3790 3803"),
)
"""Error number -> error class."""
HINTS: dict[str, str] = {
    "3523": DENIED,
    "3524": DENIED,
    "8017": "correct user, password and logmech in the profile",
    "3003": "the password has expired: give the user a new one",
    "3802": "correct database in the profile or the table's name",
    "9719": "a view's columns need QVCI (Queryable View Column Information), which a DBA turns on; or read "
    "the tables below it",
    "2644": "no more room in the database: give it perm space",
    "2646": "no more spool space: give the user more, or cut smaller chunks",
    "6706": "a column of LATIN holds a character that cannot be shown; read it with query: and TRANSLATE",
    "2652": "a load of the table has not ended: end it, or drop the table that it left",
}


def number_of(error: BaseException) -> str | None:
    """Return the database's number in an error; None if the error is the driver's own."""
    found = _NUMBER.search(str(error))
    return found[1] if found else None


def state_of(error: BaseException) -> str | None:
    """Return the SQLSTATE of an error that is the driver's own; None for one of the database."""
    found = _STATE.search(str(error))
    return found[1] if found else None
