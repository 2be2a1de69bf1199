"""Error classes for SQL Server's error codes."""

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
    UnknownPlace,
    UsageError,
)

ERRORS: dict[str, type[HdmError]] = {
    # https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
    "E1205": Deadlock, "E1222": Deadlock, "E3960": Deadlock, "E3961": Deadlock, "E41302": Deadlock,
    "E41305": Deadlock, "E41325": Deadlock, "E41301": Deadlock,
    "E3902": TransientError, "E3903": TransientError,  # the server has ended the transaction already
    "E3952": UsageError, "E3951": UsageError, "E3957": UsageError,
    "E3958": SnapshotLost, "E3966": SnapshotLost, "E3967": SnapshotLost,
    "E2627": RejectedRows, "E2601": RejectedRows, "E547": RejectedRows, "E515": RejectedRows,
    "E8152": RejectedRows, "E2628": RejectedRows, "E8115": RejectedRows, "E220": RejectedRows,
    "E245": RejectedRows, "E241": RejectedRows, "E242": RejectedRows, "E8114": RejectedRows,
    "E213": SchemaDrift, "E207": SchemaDrift, "E208": SchemaDrift, "E4902": SchemaDrift,
    "E229": UsageError, "E230": UsageError, "E262": UsageError, "E916": UsageError,
    "E18456": UsageError, "E18452": UsageError, "E18486": UsageError, "E18487": UsageError,
    "E40615": UsageError, "E3906": UsageError,
    # https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues
    "E10928": Throttled, "E10929": Throttled, "E40501": Throttled, "E40544": UsageError,
    "E49918": Throttled, "E49919": Throttled, "E49920": Throttled, "E40197": ConnectionLost,
    "E40613": ConnectionLost, "E40143": ConnectionLost, "E10053": ConnectionLost,
    "E10054": ConnectionLost, "E10060": ConnectionLost, "E10061": ConnectionLost, "E233": ConnectionLost,
    "E64": ConnectionLost, "E20": ConnectionLost, "E596": ConnectionLost, "E6005": ConnectionLost,
    # a database that is starting, failing over, restored or moved
    "E4060": UnknownPlace, "E976": ConnectionLost, "E978": ConnectionLost, "E983": ConnectionLost,
    "E922": ConnectionLost, "E926": ConnectionLost, "E4221": ConnectionLost, "E18401": ConnectionLost,
    "E42108": ConnectionLost, "E42109": ConnectionLost, "E615": TransientError, "E1204": TransientError,
    "E41332": UsageError, "E544": UsageError, "E1088": UsageError, "E1946": RejectedRows,
    "E1105": TransientError, "E9002": TransientError, "E701": TransientError, "E8645": TransientError,
    "08": ConnectionLost, "HYT": ConnectionLost, "40001": Deadlock, "28": UsageError, "IM": UsageError,
    "22": RejectedRows, "23": RejectedRows, "42S": SchemaDrift, "42": PermanentError,
}  # fmt: skip
