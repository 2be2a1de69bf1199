"""Error classes for Snowflake's error codes and its connector's.

Server: https://community.snowflake.com/s/article/Snowflake-error-codes. Connector: ``errorcode.py`` and
``network.py`` of snowflake-connector-python 4.8. Beginnings of codes stand for their whole range.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hdm.dialects.sqlstates import by_code
from hdm.dialects.user_input import DENIED
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    MissingDriver,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    SnapshotLost,
    Throttled,
    TransientError,
    UnrepresentableValue,
    UsageError,
)

ERRORS: Final[Mapping[str, type[HdmError]]] = by_code(
    # 000625: more than 20 statements wait for one lock, and the next one is refused at once
    (Throttled, "000625 290429 290503"),
    (Deadlock, "000615"),
    # 000604: cancelled, also by the client's timer; 000630: STATEMENT_TIMEOUT_IN_SECONDS
    (
        TransientError,
        "000601 000603 000604 000630 100161 251012 252 253001 253002 253003 253009 254 255005 300",
    ),
    (ConnectionLost, "000008 250 251011 252006 252007 290 390111 390112 390113 390114 390115"),
    (SnapshotLost, "000707 000709"),
    (SchemaDrift, "000904 002002 002003 002043"),
    (RejectedRows, "100"),
    (UnrepresentableValue, "252005 255001"),
    (MissingDriver, "255002 255004 255006"),
    # 09007x: a resource monitor's quota is used up; 390420, 390422: the network policy
    (UsageError, "000606 000607 003 09007 090105 090106 100183 250004 250006 250007 250008 250009 250012"),
    (UsageError, "251 254005 254006 254007 290403 290404 390 3943 3944"),
    (
        PermanentError,
        "001 002 252001 252003 252004 252008 252009 252011 252012 253004 253005 253006 253007 253008",
    ),
)
_TRAVEL = (
    "write time_travel: false on the source, whose table keeps no history (retention 0, external, shared)"
)
HINTS: Final[Mapping[str, str]] = {
    "250001": "check account (and host), the network, and the proxy",
    "000707": _TRAVEL,
    "000709": _TRAVEL,
    "000606": "set warehouse: in the profile, and grant USAGE on it",
    "003001": DENIED,
    "000625": "fewer workers, or tables in several schemas: 20 statements may wait for one lock",
    "390303": "give a new token in the profile",
    "390318": "give a new token in the profile: this one has expired",
    "390100": "correct user and password in the profile",
    "390144": "register the public key with ALTER USER ... SET RSA_PUBLIC_KEY",
    "002003": "create the object, or grant USAGE on its database and schema",
}
