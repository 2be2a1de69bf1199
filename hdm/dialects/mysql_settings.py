"""Settings with which every session of MySQL and MariaDB starts, whatever the server's own are."""

from __future__ import annotations

from collections.abc import Mapping

STRICT_MODE = (
    "STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)
"""The sql_mode, which refuses values that do not fit, and keeps 0 in AUTO_INCREMENT columns and dates."""
SETTINGS: Mapping[str, str] = {
    "time_zone": "'+00:00'",
    "sql_mode": f"'{STRICT_MODE}'",
    "sql_select_limit": "18446744073709551615",
    "max_join_size": "18446744073709551615",
    "sql_big_selects": "1",
    "group_concat_max_len": "4294967295",
    "max_sort_length": "8192",  # a key of at most 3,072 bytes is sorted by all of its bytes
    "sql_auto_is_null": "0",
    "sql_safe_updates": "0",
    "div_precision_increment": "4",
    "default_week_format": "0",
    "lc_time_names": "'en_US'",
    "completion_type": "'NO_CHAIN'",
    "innodb_lock_wait_timeout": "5",
    "net_write_timeout": "3600",
    "net_read_timeout": "3600",
}
"""Settings of both servers.

https://mariadb.com/kb/en/server-system-variables/ and
https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html.
"""
OWN_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "M!100101": {"max_statement_time": "0"},
    "!80000": {"max_execution_time": "0", "information_schema_stats_expiry": "0"},
}
"""Settings of only one of the servers, keyed by the mark of a comment that only this server executes."""


def assigned(settings: Mapping[str, str]) -> str:
    """Return settings as the assignments of a SET statement."""
    return ", ".join(f"SESSION {name} = {value}" for name, value in settings.items())
