"""Finds which of the rights in the grants script a user of Oracle has.

The views of the session show what is granted directly, by a role, and to PUBLIC
(https://docs.oracle.com/en/database/oracle/oracle-database/19/refrn/SESSION_PRIVS.html).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hdm.dialects import grants
from hdm.errors import ConnectionLost, HdmError, UsageError

if TYPE_CHECKING:
    from hdm.connectors.oracle.database import OracleDatabase

_FLASHBACK, _SCN = "FLASHBACK on the table", "the current SCN"
_TABLES, _QUOTA = "CREATE TABLE", "a quota on the tablespace"
_SYSTEM = "SELECT COUNT(*) FROM session_privs WHERE privilege IN (:1, :2)"
_QUOTAS = "SELECT COUNT(*) FROM user_ts_quotas WHERE max_bytes <> 0"


def has_right(database: OracleDatabase, connection: Any, path: Sequence[str], right: str) -> bool | None:
    """Return True if the user has a right of the script, else False; None if it cannot be told."""
    if right == grants.SELECT:
        return _reads(database, connection, path, "")
    if right in (_SCN, _FLASHBACK):
        scn = _scn(database, connection)
        if right == _SCN:
            return scn is not None
        return None if scn is None else _reads(database, connection, path, f" AS OF SCN {scn}")
    if right in (_TABLES, _QUOTA) and _is_own(database, connection, path):
        if right == _TABLES:
            return _counted(database, connection, _SYSTEM, ("CREATE TABLE", "CREATE ANY TABLE"))
        unlimited = ("UNLIMITED TABLESPACE", "UNLIMITED TABLESPACE")
        return _counted(database, connection, _SYSTEM, unlimited) or _counted(
            database, connection, _QUOTAS, ()
        )
    return None


def own_names(database: OracleDatabase, connection: Any) -> dict[str, str]:
    """Return the user's name and its default tablespace, quoted, by their names in the script."""
    user, place = database.run(connection, "SELECT username, default_tablespace FROM user_users")[0]
    return {"user": database.dialect.quote(user), "tablespace": database.dialect.quote(place)}


def _reads(database: OracleDatabase, connection: Any, path: Sequence[str], of: str) -> bool:
    """Try a SELECT without rows: to Oracle, a table that one may not read is as if it were missing."""
    try:
        database.run(connection, f"SELECT 1 FROM {database.dialect.qualify(path)}{of} WHERE 1 = 0")
    except ConnectionLost:
        raise
    except HdmError:
        return False
    return True


def _scn(database: OracleDatabase, connection: Any) -> str | None:
    try:
        return str(database.current_scn(connection)[0][0])
    except UsageError:
        return None


def _is_own(database: OracleDatabase, connection: Any, path: Sequence[str]) -> bool:
    return bool(path[-2:-1]) and str(database.run(connection, "SELECT USER FROM dual")[0][0]) == path[-2]


def _counted(database: OracleDatabase, connection: Any, sql: str, values: tuple[str, ...]) -> bool:
    return int(database.run(connection, sql, values)[0][0]) > 0
