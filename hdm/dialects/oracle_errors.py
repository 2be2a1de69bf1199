"""Oracle's error codes, each with what is to be done about it."""

from __future__ import annotations

from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    MissingParent,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    SnapshotLost,
    Throttled,
    TransientError,
    UnrepresentableValue,
    UsageError,
)

ERRORS: dict[str, type[HdmError]] = {
    # https://docs.oracle.com/en/error-help/db/
    "ORA-00001": RejectedRows, "ORA-01400": RejectedRows, "ORA-01407": RejectedRows,
    "ORA-02290": RejectedRows, "ORA-02291": MissingParent, "ORA-02292": RejectedRows,
    "ORA-12899": RejectedRows, "ORA-01438": RejectedRows, "ORA-01426": RejectedRows,
    "ORA-01722": RejectedRows, "ORA-01461": RejectedRows, "ORA-01843": RejectedRows,
    "ORA-00060": Deadlock, "ORA-08177": Deadlock, "ORA-00054": Deadlock, "ORA-30006": Deadlock,
    "ORA-01555": SnapshotLost, "ORA-08181": SnapshotLost, "ORA-01466": SnapshotLost,
    "ORA-22924": SnapshotLost, "ORA-08180": SnapshotLost,
    "ORA-00942": SchemaDrift, "ORA-00904": SchemaDrift, "ORA-04043": SchemaDrift,
    "ORA-01017": UsageError, "ORA-01031": UsageError, "ORA-28000": UsageError, "ORA-28001": UsageError,
    "ORA-01045": UsageError, "ORA-01950": UsageError, "ORA-12514": UsageError, "ORA-12505": UsageError,
    "ORA-12154": UsageError, "ORA-16000": UsageError, "ORA-01536": UsageError,
    "ORA-00018": Throttled, "ORA-00020": Throttled, "ORA-02391": Throttled, "ORA-12516": Throttled,
    "ORA-12519": Throttled, "ORA-12520": Throttled, "ORA-10388": Throttled,
    "ORA-00028": ConnectionLost, "ORA-01012": ConnectionLost, "ORA-01033": ConnectionLost,
    "ORA-01034": ConnectionLost, "ORA-01089": ConnectionLost, "ORA-01092": ConnectionLost,
    "ORA-03113": ConnectionLost, "ORA-03114": ConnectionLost, "ORA-03135": ConnectionLost,
    "ORA-02396": ConnectionLost, "ORA-12170": ConnectionLost, "ORA-12528": ConnectionLost,
    "ORA-12537": ConnectionLost, "ORA-12541": ConnectionLost, "ORA-12543": ConnectionLost,
    "ORA-12547": ConnectionLost, "ORA-12571": ConnectionLost, "ORA-25402": ConnectionLost,
    "ORA-25408": ConnectionLost,
    "ORA-01652": TransientError, "ORA-01653": TransientError, "ORA-01654": TransientError,
    "ORA-01688": TransientError, "ORA-30036": TransientError, "ORA-04068": TransientError,
    "ORA-04031": TransientError, "ORA-01013": TransientError,
    "ORA-00": PermanentError, "ORA-01": PermanentError,
    # https://python-oracledb.readthedocs.io/en/latest/user_guide/exception_handling.html
    "DPY-4011": ConnectionLost, "DPY-6005": ConnectionLost, "DPY-1001": ConnectionLost,
    "DPY-4024": ConnectionLost, "DPI-1080": ConnectionLost, "DPI-1010": ConnectionLost,
    "DPY-6001": UsageError, "DPY-6000": UsageError, "DPY-4000": UsageError, "DPY-3010": UsageError,
    "DPY-3001": UsageError, "DPI-1047": UsageError,
    "DPY-4036": UnrepresentableValue, "DPY-4037": UnrepresentableValue, "DPY-4038": UnrepresentableValue,
}  # fmt: skip
HINTS: dict[str, str] = {
    "ORA-01555": "raise UNDO_RETENTION, or make chunks smaller; then run again",
    "ORA-08181": "the SCN is too old: plan again",
    "ORA-01466": "the table was altered after the snapshot: plan again",
    "ORA-01031": "grant SELECT and FLASHBACK on the table",
    "ORA-01017": "correct user and password in the profile",
    "ORA-12514": "correct service_name in the profile",
    "DPY-3010": "set thick: true in the profile (the server is older than 12.1)",
    "DPY-3001": "set thick: true in the profile (the server asks for native encryption)",
    "DPI-1047": "install Oracle Instant Client, or remove thick: true",
}
