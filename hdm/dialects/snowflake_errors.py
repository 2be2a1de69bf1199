"""Error classes for Snowflake's error codes and SQLSTATEs."""

from __future__ import annotations

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

ERRORS: dict[str, type[HdmError]] = {
    # https://community.snowflake.com/s/article/Snowflake-error-codes and the connector's errorcode.py
    # 000625: more than 20 statements wait for one lock, and the next one is refused at once
    "000625": Throttled, "000603": TransientError, "000604": TransientError, "000606": UsageError,
    "000607": UsageError, "000615": Deadlock, "000630": TransientError, "000601": TransientError,
    "001003": PermanentError, "000904": SchemaDrift, "002002": SchemaDrift, "002003": SchemaDrift,
    "002043": SchemaDrift, "002019": PermanentError, "002025": PermanentError,
    "003001": UsageError, "003041": UsageError, "003540": UsageError,
    "000707": SnapshotLost, "000709": SnapshotLost, "090105": UsageError, "090106": UsageError,
    "100038": RejectedRows, "100035": RejectedRows, "100037": RejectedRows, "100039": RejectedRows,
    "100040": RejectedRows, "100046": RejectedRows, "100051": RejectedRows, "100069": RejectedRows,
    "100071": RejectedRows, "100072": RejectedRows, "100078": RejectedRows, "100080": RejectedRows,
    "100082": RejectedRows, "100132": RejectedRows, "100145": RejectedRows, "100192": RejectedRows,
    "100016": RejectedRows, "100065": RejectedRows, "100067": RejectedRows, "100068": RejectedRows,
    "100183": UsageError, "100161": TransientError,
    "250001": ConnectionLost, "250002": ConnectionLost, "250003": ConnectionLost, "250006": UsageError,
    "251001": UsageError, "251005": UsageError, "251006": UsageError, "250011": ConnectionLost,
    "253001": TransientError, "253002": TransientError, "253003": TransientError,
    "253006": PermanentError, "253007": PermanentError,
    "255001": TransientError, "255004": TransientError, "390100": UsageError, "390101": UsageError,
    "390102": UsageError, "390103": UsageError, "390111": ConnectionLost, "390112": ConnectionLost,
    "390114": ConnectionLost, "390144": UsageError, "390189": UsageError, "390201": UsageError,
    "390303": UsageError, "390318": UsageError, "390422": UsageError, "3943": UsageError,
    "000008": ConnectionLost, "290": ConnectionLost, "290429": Throttled, "290503": Throttled,
    "290404": UsageError, "290403": UsageError,
}  # fmt: skip

STATES: dict[str, type[HdmError]] = {
    # https://docs.snowflake.com/en/developer-guide/snowflake-scripting/exceptions; SQL:2003, table 32
    "02": PermanentError, "08": ConnectionLost, "0A": PermanentError, "22": RejectedRows,
    "23": RejectedRows, "28": UsageError, "42501": UsageError, "42": PermanentError,
    "57": TransientError,
}  # fmt: skip
"""Error classes by SQLSTATE, for numbers that are not in ``ERRORS``."""
