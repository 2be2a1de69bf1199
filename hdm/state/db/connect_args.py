"""Driver arguments and session settings, with their time-outs, for connections to the state database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Engine, event

from hdm.components.silence import KEEPALIVE_COUNT, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, USER_TIMEOUT, patience
from hdm.state.db import encryption

_PG_OPTIONS = (
    "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off "
    "-c idle_in_transaction_session_timeout=10s -c lock_timeout=20s"
)
"""Settings of a PostgreSQL session.

Every statement uses an index, and planning it again each time would cost more than running it. The time-outs
keep a process that was stopped inside a transaction from blocking others for long.
"""
_MYSQL_INIT = (
    "SET time_zone = '+00:00', innodb_lock_wait_timeout = 20 /*M!100300 , idle_transaction_timeout = 10 */"
)
"""Settings of a MySQL session, for the same reasons; only MariaDB can end an idle transaction.

https://mariadb.com/docs/server/server-management/variables-and-modes/server-system-variables
"""

_MSSQL_INIT = "SET XACT_ABORT ON; SET LOCK_TIMEOUT 20000"
"""Settings of a SQL Server session; LOCK_TIMEOUT is in milliseconds.

Without XACT_ABORT some errors leave a transaction open with half of its work
(https://learn.microsoft.com/sql/t-sql/statements/set-xact-abort-transact-sql).
"""


def settle(engine: Engine) -> None:
    """Let an engine for SQL Server set up each new session; leave any other engine as it is.

    SQL Server's driver has no connection arguments for these settings.
    """
    if engine.dialect.name == "mssql":
        event.listen(engine, "connect", settle_session)


def settle_session(connection: Any, record: Any) -> None:
    """Set up a new session of SQL Server the same way whatever its database's defaults are."""
    cursor = connection.cursor()
    cursor.execute(_MSSQL_INIT)
    cursor.close()


def connect_args(dialect: str, url: URL) -> dict[str, Any]:
    """Return the driver's connection arguments for the server at ``url``, including TLS; not for SQLite.

    ``dialect`` is SQLAlchemy's name for the system, such as ``mysql``.
    """
    if dialect == "mysql":
        quiet = max(1, int(patience()))
        common: dict[str, Any] = {
            "connect_timeout": 10, "read_timeout": quiet, "write_timeout": quiet,
            "charset": "utf8mb4", "init_command": _MYSQL_INIT,
        }  # fmt: skip
        return common | encryption.mysql(url)
    if dialect == "postgresql":
        own = {
            "connect_timeout": 10,
            "keepalives_idle": KEEPALIVE_IDLE,
            "keepalives_interval": KEEPALIVE_INTERVAL,
            "keepalives_count": KEEPALIVE_COUNT,
            "tcp_user_timeout": USER_TIMEOUT,
            "options": _PG_OPTIONS,
            "prepare_threshold": None,
        }
        return {**own, **encryption.postgres(url)}
    return {"timeout": 10}
