"""Defines Snowflake's profile entry, the driver's arguments, and a database session."""

from __future__ import annotations

import contextlib
import re
from functools import cache
from typing import Any

from pydantic import Field, model_validator

from hdm.components.settings import PathText, Settings
from hdm.config.secrets import Secret
from hdm.config.tls import is_local
from hdm.dialects import dialect as dialect_named

STATEMENT_SECONDS = 604_800
"""The greatest STATEMENT_TIMEOUT_IN_SECONDS: https://docs.snowflake.com/en/sql-reference/parameters."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*\Z")


class SnowflakeProfile(Settings):
    """Profile entry of a Snowflake account: with ``private_key_path``, ``token`` or ``password``.

    A ``token`` is an OAuth access token or, with ``authenticator: programmatic_access_token``, a programmatic
    access token of Snowflake. ``network_timeout`` is how many seconds hdm waits for the answer to a network
    request; how long a statement may run is limited only by the warehouse's STATEMENT_TIMEOUT_IN_SECONDS.

    ``host``, ``port`` and ``protocol`` are for private endpoints. Names of the warehouse, role, database and
    schema are folded to upper case, as Snowflake does; write ``'"name"'`` for one in lower case.
    """

    account: str
    """Account identifier, e.g. ``organisation-account``."""
    user: str
    """Name of the user to log in as."""
    password: Secret | None = None
    """Password of the user, where neither key nor token is used; write a reference such as ``env:NAME``."""
    private_key_path: PathText | None = None
    """File of the private key (PEM) for key-pair authentication; it comes before ``password``."""
    private_key_passphrase: Secret | None = None
    """Passphrase of the private key; left out, the key is not encrypted."""
    token: Secret | None = None
    """OAuth token, with ``authenticator: oauth``; write a reference such as ``env:NAME``."""
    authenticator: str = "snowflake"
    """The connector's authenticator, e.g. ``oauth``; ``snowflake`` means password or, with a key's path, key
    pair."""
    role: str | None = None
    """Role to work in; left out, the user's default role."""
    warehouse: str | None = None
    """Warehouse that runs the queries; left out, the user's default one."""
    database: str | None = None
    """Database of names that are written without one; left out, the user's default one."""
    schema_name: str | None = Field(None, alias="schema")
    """Schema of names that are written without one; left out, the user's default one."""
    host: str | None = None
    """Host name of a private endpoint; left out, the one that the account's identifier gives."""
    port: int | None = None
    """TCP port of a private endpoint; left out, the connector's default, 443."""
    protocol: str | None = None
    """``https``, or ``http`` for an emulator on this machine; left out, ``https``."""
    network_timeout: int = 600
    """Seconds for which the connector repeats a request that fails on the way."""

    @model_validator(mode="after")
    def _is_encrypted(self) -> SnowflakeProfile:
        if (self.protocol or "https") != "https" and not is_local(self.host or "?"):
            raise ValueError("protocol must be https beyond this machine")
        return self


class Session:
    """One Snowflake connection of hdm; closing it rolls back an open transaction.

    ``label`` is what the queries are tagged with, ``stage`` the temporary stage that was made for the
    session. ``transaction`` is ``wanted`` or ``open``, and '' if there is none.
    """

    def __init__(self, raw: Any, label: str) -> None:
        self.raw = raw
        self.label = label
        self.stage = ""
        self.transaction = ""
        self.left: list[str] = []
        """Folders on the user's own stage that ``close`` removes."""

    def cursor(self) -> Any:
        """Return a cursor of the driver."""
        return self.raw.cursor()

    def close(self) -> None:
        """Roll back an open transaction, remove the stage folders in ``left``, and close; may be repeated."""
        if self.transaction == "open" and not self.raw.is_closed():
            self.transaction = ""
            with contextlib.suppress(Exception):  # the server rolls back when the session ends
                self.raw.cursor().execute("ROLLBACK")
        if self.left and not self.raw.is_closed():
            for folder in self.left:
                with contextlib.suppress(Exception):  # a folder that remains is on the user's own stage
                    self.raw.cursor().execute(f"REMOVE {folder}/")
            self.left = []
        self.raw.close()


@cache
def patient() -> type[Any]:
    """Return the driver's connection class, changed to have two timeouts instead of one.

    ``network_timeout`` limits each request, and statements may run as long as the server lets them; the
    driver's own class takes ``network_timeout`` for both.
    """
    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor

    class Cursor(SnowflakeCursor):
        """Cursor whose statements may run for the longest time that the server can allow."""

        def execute(self, *args: Any, **more: Any) -> Any:
            """Execute a statement as the driver does, by default with that longest time."""
            more.setdefault("timeout", STATEMENT_SECONDS)
            return super().execute(*args, **more)

    class Connection(SnowflakeConnection):
        """Connection that applies ``network_timeout`` to each request by itself."""

        def cursor(self, cursor_class: Any = Cursor) -> Any:
            """Return a cursor; by default one whose statements have the longest time."""
            return super().cursor(cursor_class)

        def cmd_query(self, *args: Any, **more: Any) -> Any:
            """Send a query as the driver does, with ``network_timeout`` as the limit of the request."""
            more["timeout"] = self.network_timeout
            return super().cmd_query(*args, **more)

    return Connection


def arguments(profile: SnowflakeProfile, label: str, *, write: bool = False) -> dict[str, Any]:
    """Return the arguments for the driver, among them the secrets: never log them.

    With ``write``, autocommit is off: if the server ends a transaction of hdm's by itself, rows that come
    after it are rolled back, too.
    """
    secrets = ("password", "token", "private_key_passphrase")
    names = ("account", "user", "role", "warehouse", "database", "host", "port", "protocol")
    made: dict[str, Any] = {name: getattr(profile, name) for name in names}
    made["schema"] = profile.schema_name
    made["private_key_file"] = profile.private_key_path
    made["private_key_file_pwd"] = profile.private_key_passphrase
    made |= {name: getattr(profile, name) for name in secrets[:2]}
    made = {key: value for key, value in made.items() if value is not None}
    made = {key: value.reveal() if isinstance(value, Secret) else value for key, value in made.items()}
    if profile.authenticator.lower() != "snowflake" or profile.private_key_path:
        key_pair = profile.authenticator.lower() == "snowflake"
        made["authenticator"] = "SNOWFLAKE_JWT" if key_pair else profile.authenticator
    elif profile.token is not None:
        made["authenticator"] = "oauth"
    return (
        made
        | {
            "paramstyle": "qmark",
            "autocommit": not write,  # overrides the default of the account and of the user
            "application": "hdm",
            "arrow_number_to_decimal": True,  # otherwise NUMBER(p,s) would arrive as a float
            "network_timeout": profile.network_timeout,
            "login_timeout": 60,
            "socket_timeout": 300,  # the connector polls again for a query that takes longer
            "client_session_keep_alive": True,
            "validate_default_parameters": False,
            "platform_detection_timeout_seconds": 0.0,  # do not query a cloud's metadata service
            "session_parameters": {
                "QUERY_TAG": label[:2000],
                "LOCK_TIMEOUT": 900,
                "ABORT_DETACHED_QUERY": True,
                **{name: _typed(text) for name, text in dialect_named("snowflake").session_settings.items()},
                "ERROR_ON_NONDETERMINISTIC_MERGE": True,
                "CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False,
                "CLIENT_TELEMETRY_ENABLED": False,
            },
        }
    )


def _typed(text: str) -> str | int | bool:
    return int(text) if text.isdecimal() else {"true": True, "false": False}.get(text, text)


def transaction_name(label: str) -> str:
    """Return the name of a session's transaction: its label in lower-case letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]", "_", label.lower())


def folded(name: str) -> str:
    """Return a plain name in upper case, a quoted one as it stands inside its quotes, any other as it is."""
    if len(name) > 2 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name.upper() if _PLAIN.match(name) else name
