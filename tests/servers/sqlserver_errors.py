"""PostgreSQL's errors by SQL Server's numbers, and what the server says of a statement's parameters."""

from __future__ import annotations

import re
from typing import Any

from tests.servers import sqlserver_wire as wire
from tests.servers.sqlserver_sql import Look, suggested
from tests.servers.sqlserver_types import Refused, native

_STATES = {
    "23502": 515, "23503": 547, "22001": 2628, "22003": 8115, "22P02": 245, "22007": 241, "22008": 242,
    "22012": 8134, "42P01": 208, "42703": 207, "42P07": 2714, "42701": 2705, "42601": 102, "42883": 195,
    "42501": 229, "40P01": 1205, "40001": 3960, "55P03": 1222, "3F000": 2760, "42P21": 468, "42P22": 468,
    "42846": 529, "428C9": 271, "2BP01": 3726, "42725": 209, "42702": 209, "42P06": 2759, "42804": 206,
}  # fmt: skip
_DIGITS = {"bigint": 19, "int": 10, "smallint": 5, "tinyint": 3, "float": 53, "real": 24}
_COLUMNS = (
    "ordinal int, name, type_id int, type_name, max_length smallint, precision tinyint, scale tinyint, "
    "user_type_id int, user_type_database, user_type_schema, user_type_name, assembly, xml_id int, "
    "xml_database, xml_schema, xml_name, is_xml bit, is_case_sensitive bit, is_clr bit, is_input bit, "
    "is_output bit, formal_name, tds_type_id int, tds_length int"
)
"""Of the result of sp_describe_undeclared_parameters, which drivers read by place."""


def described_marks(behind: Any, look: Look, text: str) -> bytes:
    """The answer of sp_describe_undeclared_parameters."""
    ids = dict(behind.execute(b"SELECT name, id FROM ms.types").fetchall())
    names = (name.partition(" ") for name in _COLUMNS.split(", "))
    columns = [native(kind or "nvarchar(256)").sent(f"suggested_{name}") for name, _, kind in names]
    rows = []
    for number, (name, of) in enumerate(suggested(text, look), 1):
        wide = "char" in of.name or "binary" in of.name
        octets = max((2 if of.name[0] == "n" else 1) * of.size, -1) if wide else 8
        digits = max(_DIGITS.get(of.name, of.size), 0) % 256
        rows.append(
            [number, "@" + name, ids[of.name], of.text, octets, digits, of.scale]
            + [None] * 9
            + [0, 0, 0, 1, 0, None, ids[of.name], octets]
        )
    return wire.rows(columns, rows)


def refused(failure: Exception) -> Refused:
    """The error that SQL Server would give."""
    state = getattr(failure, "sqlstate", None) or ""
    shown = str(failure).splitlines()[0] if str(failure) else "failed"
    if state == "23505":
        diag: Any = getattr(failure, "diag", None)
        said = f"Violation of constraint '{diag.constraint_name}'. Cannot insert duplicate key in object."
        return Refused(2627, f"{said} The duplicate key value is {diag.message_detail}", state)
    if state == "23514":
        name = getattr(getattr(failure, "diag", None), "constraint_name", "") or ""
        number = int(name[1:]) if re.fullmatch(r"E\d+", name) else 547
        return Refused(
            number, f"String or binary data would be truncated, or a value is refused: {name}.", state
        )
    if state.startswith("T"):
        return Refused(int(state[1:]), shown, state)
    return Refused(_STATES.get(state, 50000), f"{shown} ({state})", state)
