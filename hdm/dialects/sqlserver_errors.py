"""Error classes for SQL Server's and Azure SQL's error numbers, written as ``E1205``.

Sources: https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors,
https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues, and the transient
errors of Microsoft's own client
(https://learn.microsoft.com/dotnet/api/microsoft.data.sqlclient.sqlconfigurableretryfactory).
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
    MissingParent,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    SnapshotLost,
    Throttled,
    TransientError,
    UnknownPlace,
    UsageError,
)

_NUMBERS: Final[Mapping[str, type[HdmError]]] = by_code(
    (Deadlock, "1205 1222 3960 3961 41301 41302 41305 41325 41839"),
    (SnapshotLost, "3958 3966 3967"),
    (Throttled, "10928 10929 10936 40501 49918 49919 49920"),
    # a database or server that is starting, failing over, restored, scaled or moved
    (
        ConnectionLost,
        "20 64 121 233 596 921 922 924 926 927 976 978 982 983 997 4221 6005 9001 10053 10054 10060 10061"
        " 17142 17197 17830 18401 18451 40143 40166 40197 40540 40613 42108 42109",
    ),
    (UnknownPlace, "4060 11001"),
    # 3902, 3903: the server has ended the transaction already; 40549 to 40553: Azure ended the session, whose
    # transaction was too long, or had too many locks or too much log, temporary space or memory
    (
        TransientError,
        "601 615 669 701 802 844 845 1101 1105 1203 1204 1221 3902 3903 5245 8628 8645 8651 8657 9002 40549"
        " 40550 40551 40552 40553 41823 41840",
    ),
    (MissingParent, "547-FK"),
    (
        RejectedRows,
        "220 232 241 242 244 245 248 515 517 535 547 1505 1946 2601 2627 2628 8114 8115 8134 8152 9420 13535",
    ),
    (SchemaDrift, "207 208 213 4902 4924"),
    (
        UsageError,
        "229 230 262 297 300 544 916 1088 3906 3951 3952 3957 4064 8101 15247 18452 18456 18486 18487 18488"
        " 40532 40544 40615 40914 41332 47073",
    ),
    (PermanentError, "102 156 195 206 209 260 334 402 468 1750 1776 1902 1919 2714 3609 3616 3726 50000"),
)
ERRORS: Final[Mapping[str, type[HdmError]]] = {f"E{number}": kind for number, kind in _NUMBERS.items()}
PASSING: Final = frozenset(
    number
    for number, kind in _NUMBERS.items()
    if issubclass(kind, TransientError) and kind is not MissingParent
)
"""Numbers of errors that may pass: deadlocks, time-outs, and a database that fails over or is overloaded."""
HINTS: Final[Mapping[str, str]] = {
    "E3952": "ALTER DATABASE ... SET ALLOW_SNAPSHOT_ISOLATION ON; hdm never reads with NOLOCK",
    "E229": DENIED,
    "E18456": "correct user and password in the profile",
    "E40615": "let this machine's address through the server's firewall",
    "E544": "grant ALTER on the table, so that its identity column can be given values",
    "E1088": "grant ALTER on the table, so that its identity column can be given values",
    "E547-FK": "load the table that the key refers to first, then: hdm retry",
    "E4060": "if it does not come back: correct database: in the profile, or make the user in it",
    "E41332": "read the memory-optimised table with ODBCSource, which does not ask for SNAPSHOT",
    "E9002": "back up the transaction log, or give it room",
    "IM002": "install the ODBC driver, or correct driver: in the profile",
}
