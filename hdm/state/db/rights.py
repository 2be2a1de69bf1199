"""Tells for ``hdm doctor`` which rights the user of a state database lacks, by the system's grants script."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from hdm.dialects import grants
from hdm.state.db.database import Database

_SCRIPTS = {"postgresql": "postgres", "mysql": "mysql", "mssql": "sqlserver"}
_ROWS = ("SELECT", "INSERT", "UPDATE")
"""What is needed of tables that are there; who made them may have kept the rest."""
_ON_TABLES = """SELECT COUNT(*) FROM pg_class WHERE relnamespace = to_regnamespace(current_schema())
AND relkind = 'r' AND relname LIKE 'hdm\\_%' AND NOT has_table_privilege(oid, :word)"""
_NAMES = {
    "postgresql": "SELECT quote_ident(current_user), quote_ident(current_database()), "
    "quote_ident(current_schema())",
    "mysql": "SELECT CURRENT_USER(), CONCAT('`', DATABASE(), '`'), ''",
    "mssql": "SELECT QUOTENAME(USER_NAME()), QUOTENAME(DB_NAME()), QUOTENAME(SCHEMA_NAME())",
}
_OF_MYSQL = """SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = :me UNION
SELECT PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES
WHERE GRANTEE = :me AND DATABASE() LIKE TABLE_SCHEMA"""


def missing_grants(db: Database, *, made: bool) -> list[str] | None:
    """Return a line for each missing right, with the statement that gives it; None if that cannot be told.

    ``made``: the tables are there, so only their rows are looked at. Raises ``StateError`` if the database
    cannot be reached.
    """
    script = _SCRIPTS.get(db.dialect)
    return (
        None if script is None else db.read(lambda conn: _missing_grants(conn, db.dialect, script, made=made))
    )


def _missing_grants(conn: Connection, dialect: str, script: str, *, made: bool) -> list[str] | None:
    user, database, schema = conn.execute(text(_NAMES[dialect])).one()
    if dialect == "mysql":
        name, _, host = str(user).rpartition("@")
        user = f"'{name}'@'{host}'"
    if made and dialect == "postgresql":
        lost = [word for word in _ROWS if conn.execute(text(_ON_TABLES), {"word": word}).scalar()]
        return [
            f"lacks {word} on hdm's tables: GRANT {word} ON ALL TABLES IN SCHEMA {schema} TO {user};"
            for word in lost
        ]
    rights = grants.rights(script, "state")
    if made:
        rights = [right for right in rights if right.partition(" ")[0] in _ROWS]
    known = _granted(conn, str(user)) if dialect == "mysql" else None
    if dialect == "mysql" and known is None:
        return None
    names = {"user": user, "database": database, "schema": schema}
    given = {name: str(value) for name, value in names.items() if value}
    return [
        f"lacks {right}: {grants.statement(script, 'state', right, given)}"
        for right in rights
        if not (right.partition(" on the ")[0] in known if known is not None else _has(conn, dialect, right))
    ]


def _has(conn: Connection, dialect: str, right: str) -> bool:
    word, _, of = right.partition(" on the ")
    if dialect == "postgresql":
        asked = f"has_{of}_privilege(current_{of}(), :word)"
    else:
        named = "DB_NAME(), 'DATABASE'" if of == "database" else "QUOTENAME(SCHEMA_NAME()), 'SCHEMA'"
        asked = f"HAS_PERMS_BY_NAME({named}, :word)"
    return bool(conn.execute(text(f"SELECT {asked}"), {"word": word}).scalar())


def _granted(conn: Connection, user: str) -> Sequence[str] | None:
    """Return MySQL's rights of the user; None if a role is active, which not every version lets it see."""
    with suppress(DBAPIError):  # MySQL 5.7 has no roles
        if str(conn.execute(text("SELECT CURRENT_ROLE()")).scalar() or "NONE") != "NONE":
            return None
    return [str(word) for (word,) in conn.execute(text(_OF_MYSQL), {"me": user}).all()]
