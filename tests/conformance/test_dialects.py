"""The dialects of systems that have no server here, against the suite. The others: test_<system>.py."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hdm.dialects import dialect
from hdm.dialects.base import Dialect
from hdm.errors import Recovery
from hdm.testing import DialectConformance
from tests.conformance.relational import UNKNOWN_TO_SQLGLOT

ABORT, BURY, RETRY = Recovery.ABORT, Recovery.BURY, Recovery.RETRY
_ODBC = [
    (Exception("08S01", "[08S01] Communication link failure"), RETRY),
    (Exception("40001", "[40001] deadlock victim"), RETRY),
    (Exception("28000", "[28000] Login failed"), ABORT),
]
_SQLSERVER = [
    *_ODBC,
    (Exception("40001", "[40001] ... (1205) (SQLExecDirectW)"), RETRY),
    (Exception("42000", "[42000] ... (40501) (SQLDriverConnect)"), RETRY),
    (Exception("22001", "[22001] ... (2628) (SQLExecDirectW)"), BURY),
    (Exception("42S02", "[42S02] ... (208) (SQLExecDirectW)"), BURY),
    (Exception("42000", "[42000] ... (229) (SQLExecDirectW)"), ABORT),
]
ERRORS: dict[str, list[tuple[Exception, Recovery]]] = {
    "oracle": [
        (Exception("ORA-00060: deadlock detected"), RETRY),
        (Exception("ORA-03113: end-of-file on communication channel"), RETRY),
        (Exception("DPY-4011: the database or network closed the connection"), RETRY),
        (Exception("ORA-12899: value too large for column"), BURY),
        (Exception("ORA-01555: snapshot too old"), BURY),
        (Exception("ORA-01017: invalid username/password; logon denied"), ABORT),
    ],
    "sqlserver": _SQLSERVER,
    "synapse": _SQLSERVER,
    "netezza": _ODBC,
    "hana": [
        (Exception(133, "transaction rolled back by detected deadlock"), RETRY),
        (Exception(-10806, "socket closed by peer"), RETRY),
        (Exception(274, "inserted value too large for column"), BURY),
        (Exception(10, "authentication failed"), ABORT),
    ],
    "teradata": [
        (Exception("[Teradata Database] [Error 2631] Transaction ABORTed due to deadlock"), RETRY),
        (Exception("[Teradata Database] [Error 2616] Numeric overflow"), BURY),
        (Exception("[Teradata Database] [Error 8017] The UserId or Password is invalid"), ABORT),
    ],
    "snowflake": [
        (Exception("000625 (57014): Statement has locked table in another transaction"), RETRY),
        (Exception("100038 (22018): Numeric value is not recognized"), BURY),
        (Exception("002003 (02000): Object does not exist or not authorized"), BURY),
        (Exception("003001 (42501): Insufficient privileges to operate"), ABORT),
    ],
}


@pytest.mark.parametrize("name", ERRORS)
class TestElsewhere(DialectConformance):
    @pytest.fixture
    def subject(self, name: str) -> Dialect:
        return dialect(name)

    @pytest.fixture
    def errors(self, name: str) -> Sequence[tuple[Exception, Recovery]]:
        return ERRORS[name]

    @pytest.fixture
    def unknown(self, name: str) -> Sequence[tuple[str, str]]:
        return UNKNOWN_TO_SQLGLOT.get(name, [])
