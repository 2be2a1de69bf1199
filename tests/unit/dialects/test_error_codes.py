"""What hdm does after each error of the systems that no test machine has: tried again, dead, or ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace

import pytest

from hdm.dialects import dialect
from hdm.dialects.odbc import through_odbc
from hdm.dialects.sqlstates import STATES
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    MissingDriver,
    MissingParent,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    SnapshotLost,
    Throttled,
    TransientError,
    UnknownPlace,
    UnrepresentableValue,
    UsageError,
)
from hdm.state.db import database

Codes = Mapping[type[HdmError], str]
Made = Callable[[str], BaseException]


class OperationalError(Exception):
    """A driver's word for what is not the statement's fault (PEP 249)."""


class ProgrammingError(Exception):
    """A driver's word for what is."""


def oracle(code: str, more: str = "", *, recoverable: bool = False) -> BaseException:
    """As python-oracledb raises it."""
    told = SimpleNamespace(full_code=code, message=f"{code}: said\n{more}", isrecoverable=recoverable)
    return ProgrammingError(told)


def sqlserver(number: str, state: str = "42000", text: str = "x") -> BaseException:
    return ProgrammingError(
        state, f"[{state}] [Microsoft][ODBC Driver 18] {text} ({number}) (SQLExecDirectW)"
    )


def snowflake(number: str, state: str | None = None) -> BaseException:
    from snowflake.connector import errors

    return errors.ProgrammingError(msg="x", errno=int(number), sqlstate=state)


ORACLE: Codes = {
    RejectedRows: "ORA-00001 ORA-01400 ORA-01438 ORA-01722 ORA-02290 ORA-02292 ORA-12899 ORA-14400 ORA-14402"
    " ORA-30926 DPY-4016 DPY-8000",
    MissingParent: "ORA-02291",
    Deadlock: "ORA-00054 ORA-00060 ORA-04021 ORA-08177 ORA-14411 ORA-30006",
    SnapshotLost: "ORA-01466 ORA-01555 ORA-08103 ORA-08176 ORA-08180 ORA-08181 ORA-22924",
    SchemaDrift: "ORA-00904 ORA-00942 ORA-04043",
    UsageError: "ORA-01017 ORA-01031 ORA-01456 ORA-28000 ORA-28001 ORA-32795 DPY-2019 DPY-3015 DPY-3010"
    " DPY-6002",
    UnknownPlace: "ORA-12514 ORA-12505 ORA-12545 DPY-6001 DPY-6003",
    Throttled: "ORA-00018 ORA-00020 ORA-02391 ORA-12516 ORA-12519 ORA-12520",
    ConnectionLost: "ORA-00028 ORA-01033 ORA-01089 ORA-01109 ORA-03113 ORA-03135 ORA-12170 ORA-12528"
    " ORA-12537"
    " ORA-12541 ORA-12571 ORA-16456 ORA-25402 ORA-25408 ORA-27101 DPY-1001 DPY-4011 DPY-4033 DPY-5006"
    " DPY-6005",
    TransientError: "ORA-00257 ORA-00376 ORA-00604 ORA-01000 ORA-01013 ORA-01110 ORA-01115 ORA-01652"
    " ORA-04031"
    " ORA-04068 ORA-30036 DPY-4024 DPI-1067",
    UnrepresentableValue: "DPY-3030 DPY-3031 DPY-4003 DPY-4004 DPY-4036 DPY-4039 DPY-4042",
    PermanentError: "ORA-00932 ORA-02329 ORA-02449 ORA-04091 ORA-04098 ORA-20000 ORA-20999 ORA-22848"
    " ORA-24816"
    " ORA-38104 DPY-2007 DPY-3003 DPY-4009",
    MissingDriver: "DPI-1047",
}
SQLSERVER: Codes = {
    Deadlock: "1205 1222 3960 3961 41302 41305 41325 41839",
    SnapshotLost: "3958 3966 3967",
    Throttled: "10928 10929 10936 40501 49918 49919 49920",
    UnknownPlace: "4060",
    ConnectionLost: "976 978 983 922 926 4221 18401 40197 40613 40143 40540 42108 42109 10054 10060 233 64",
    TransientError: "615 1204 701 1105 8645 9002 40549 40550 40551 40552 40553",
    RejectedRows: "515 547 2601 2627 2628 8115 8152",
    SchemaDrift: "207 208 213 4902",
    UsageError: "229 544 3906 3952 18456 40615 41332",
    PermanentError: "102 156 3726 50000",
}
SNOWFLAKE: Codes = {
    Throttled: "000625 290429 290503",
    Deadlock: "000615",
    TransientError: "000603 000604 000630 252010 252013 253003 255005 300002",
    ConnectionLost: "250001 250003 251011 290502 390111 390112 390114",
    SnapshotLost: "000707 000709",
    SchemaDrift: "000904 002002 002003 002043",
    RejectedRows: "100035 100038 100072 100080 100090",
    UsageError: "000606 003001 003041 090073 090105 090106 100183 251005 251006 290403 390100 390303 390318"
    " 390422 394301 394306",
    UnrepresentableValue: "255001",
    MissingDriver: "255004",
    PermanentError: "001003 002019 002025 253006",
}
NETEZZA: dict[type[HdmError], list[str]] = {
    UsageError: [
        "Password authentication failed", "permission denied on \"T\"", "Record size 76846 exceeds"
        " internal limit",
        "Attempt to update a distribution column",
    ],
    SchemaDrift: ["relation does not exist DB.ADMIN.T", "Attribute 'X' not found"],
    Throttled: [
        "could not serialize - transaction aborted.", "Concurrent update or delete of same row",
        "limit of concurrent read/write transactions reached", "too many clients",
    ],
    RejectedRows: [
        "numeric overflow", "Bad timestamp external representation 'x'", "cannot contain NULL values",
        "External Table : count of bad input rows reached maximum error limit",
    ],
    ConnectionLost: [
        "Transaction rolled back due to restart or failover", "system is paused", "Session was aborted",
        "system is not online",
    ],
    TransientError: [
        "Disk temporary work space is full", "Could not communicate with SPU 1003", "memory allocation"
        " failed",
        "query was cancelled", "Query exceeded its timeout", "resource temporarily not there",
    ],
    PermanentError: [
        "parse error", "This form of correlated query is not supported", "relation already exists",
        "a thing of which nobody has heard",
    ],
}  # fmt: skip


def cases(system: str, codes: Codes, made: Made) -> Iterator[tuple[str, BaseException, type[HdmError]]]:
    for kind, listed in codes.items():
        for code in listed.split():
            yield f"{system}-{code}", made(code), kind


ALL = [
    *cases("oracle", ORACLE, oracle), *cases("sqlserver", SQLSERVER, sqlserver),
    *cases("snowflake", SNOWFLAKE, snowflake),
    *((f"netezza-{words[:20]}", ProgrammingError(f"ERROR:  {words}"), kind)
      for kind, said in NETEZZA.items() for words in said),
]  # fmt: skip


@pytest.mark.parametrize(("error", "kind"), [case[1:] for case in ALL], ids=[case[0] for case in ALL])
def test_each_code_has_its_class(error, kind, request):
    name = request.node.callspec.id.split("-")[0]
    spoken = dialect(name) if name in ("oracle", "snowflake", "netezza") else through_odbc(name)
    assert type(spoken.classify(error)) is kind


# -- what nobody has listed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("oracle", oracle("ORA-00907")), ("oracle", oracle("ORA-99999")), ("snowflake", snowflake("99999")),
        ("snowflake", snowflake("99999", "42601")), ("snowflake", snowflake("99999", "ZZ000")),
        ("netezza", ProgrammingError("ERROR:  nobody has heard of this")),
        ("sqlserver", sqlserver("99999", "ZZ000")), ("sqlserver", sqlserver("99999", "42000")),
    ],
)  # fmt: skip
def test_a_code_of_which_nothing_is_known_is_not_tried_again(name, error):
    spoken = through_odbc(name) if name == "sqlserver" else dialect(name)
    found = spoken.classify(error)
    assert type(found) is PermanentError
    assert "99999" not in str(found) or name != "sqlserver", "an unknown number may be a value"


@pytest.mark.parametrize("name", ["oracle", "snowflake", "netezza", "sqlserver"])
@pytest.mark.parametrize("said", ["", "something without a code"])
def test_what_has_no_code_is_tried_again(name, said):
    for spoken in (dialect(name), through_odbc(name)):
        assert type(spoken.classify(RuntimeError(said))) is TransientError
        assert type(spoken.classify(ConnectionResetError())) is ConnectionLost


def test_the_drivers_own_word_counts_where_the_code_is_unknown():
    spoken = dialect("oracle")
    assert type(spoken.classify(oracle("ORA-12757", recoverable=True))) is ConnectionLost
    assert type(spoken.classify(oracle("ORA-99999", recoverable=True))) is TransientError
    told = SimpleNamespace(full_code="ORA-99999", message="ORA-99999: x", isrecoverable=False)
    assert type(spoken.classify(OperationalError(told))) is TransientError


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("08S01", ConnectionLost), ("HYT00", ConnectionLost), ("40001", Deadlock), ("40002", RejectedRows),
        ("53200", TransientError), ("57014", TransientError), ("HY000", TransientError),
        ("28000", UsageError), ("42501", UsageError), ("22003", RejectedRows), ("23505", RejectedRows),
        ("42S02", SchemaDrift), ("42601", PermanentError), ("0A000", PermanentError), ("HYC00",
        PermanentError),
    ],
)  # fmt: skip
def test_the_class_of_an_sqlstate_is_looked_at(state, kind):
    assert type(dialect("snowflake").classify(snowflake("999999", state))) is kind
    for name in ("sqlserver", "netezza"):
        error = ProgrammingError(state, f"[{state}] [Vendor] x (99999) (SQLExecDirectW)")
        assert type(through_odbc(name).classify(error)) is kind


@pytest.mark.parametrize(
    ("system", "code"),
    [("postgres", "42501"), ("mysql", "1142"), ("sqlserver", "E229"), ("oracle", "ORA-01031"),
     ("netezza", "DENIED"), ("snowflake", "003001")],
)  # fmt: skip
def test_a_right_that_is_missing_leads_to_the_doctor(system, code):
    """It knows what the server's message does not say: which right, and the statement that gives it."""
    assert "hdm doctor names each right" in (dialect(system).hint(code) or "")


def test_every_state_has_a_class():
    assert all(issubclass(kind, HdmError) for kind in STATES.values()) and len(STATES) > 50


# -- errors around others -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "within", "kind"),
    [
        ("ORA-12801", "ORA-01555: snapshot too old", SnapshotLost),
        ("ORA-12801", "", PermanentError),
        ("ORA-00604", "ORA-01000: maximum open cursors exceeded", TransientError),
        ("ORA-00604", "ORA-20001: not on Sundays", PermanentError),
        ("DPY-6005", "DPY-6001: Service \"X\" is not registered with the listener (Similar to ORA-12514)",
         UnknownPlace),
        ("DPY-6005", "DPY-6000: Listener refused connection. (Similar to ORA-12516)", Throttled),
        ("DPY-6005", "DPY-3010: connections to this database server version are not supported", UsageError),
        ("DPY-6005", "[Errno 111] Connection refused", ConnectionLost),
        ("DPY-4011", "ORA-00600: internal error code", ConnectionLost),
    ],
)  # fmt: skip
def test_an_error_around_another_is_what_the_other_is(code, within, kind):
    """A parallel server, recursive SQL and a login report the cause inside: it decides."""
    assert type(dialect("oracle").classify(oracle(code, within))) is kind


def test_a_missing_parent_may_come_and_a_broken_check_may_not():
    spoken = through_odbc("sqlserver")
    for text, kind in {
        'The INSERT statement conflicted with the FOREIGN KEY constraint "fk"': MissingParent,
        'The INSERT statement conflicted with the CHECK constraint "ck"': RejectedRows,
        'The DELETE statement conflicted with the REFERENCE constraint "fk"': RejectedRows,
    }.items():
        assert type(spoken.classify(sqlserver("547", "23000", text))) is kind


def test_a_state_store_on_sql_server_takes_the_same_errors_for_passing():
    passing = {*" ".join(SQLSERVER[kind] for kind in (Deadlock, Throttled, UnknownPlace)).split()}
    passing |= {*SQLSERVER[ConnectionLost].split(), *SQLSERVER[TransientError].split()}
    assert passing <= database.PASSING
    assert database.PASSING.isdisjoint({"547-FK", "2627", "102", "18456"})
