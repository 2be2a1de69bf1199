"""How a Snowflake session is reached, and what hdm keeps with it."""

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
    """``account`` and ``user``, then ``private_key_path``, ``token`` or ``password``.

    A ``token`` is an OAuth access token; with ``authenticator: programmatic_access_token`` it is one of
    Snowflake's own. ``network_timeout`` is how many seconds a request may go unanswered by the network; how
    long a statement may work is the warehouse's STATEMENT_TIMEOUT_IN_SECONDS alone.

    ``host``, ``port`` and ``protocol`` are for private endpoints. Names in lower case are folded
    to upper case, as Snowflake does; write ``'"name"'`` for one that is really in lower case.
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
    """A connection with what hdm knows of it. Closing it rolls back what is open."""

    def __init__(self, raw: Any, label: str) -> None:
        self.raw = raw
        self.label = label
        self.stage = ""
        self.transaction = ""
        self.left: list[str] = []
        """Folders of the user's stage to be removed in the end."""

    def cursor(self) -> Any:
        """The driver's cursor."""
        return self.raw.cursor()

    def close(self) -> None:
        """Also ends an open transaction; idempotent."""
        if self.transaction == "open" and not self.raw.is_closed():
            self.transaction = ""
            with contextlib.suppress(Exception):  # the server rolls back when the session ends
                self.raw.cursor().execute("ROLLBACK")
        if self.left and not self.raw.is_closed():
            for folder in self.left:
                with contextlib.suppress(Exception):  # what stays is on the user's own stage
                    self.raw.cursor().execute(f"REMOVE {folder}/")
            self.left = []
        self.raw.close()


@cache
def patient() -> type[Any]:
    """The driver's connection, with two clocks instead of one: ``network_timeout`` bounds requests, and
    statements may work as long as the server lets them. The driver's own takes the first for both."""
    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor

    class Cursor(SnowflakeCursor):
        """Gives statements the time that the server can give at most."""

        def execute(self, *args: Any, **more: Any) -> Any:
            """As the driver's."""
            more.setdefault("timeout", STATEMENT_SECONDS)
            return super().execute(*args, **more)

    class Connection(SnowflakeConnection):
        """Bounds each request by itself."""

        def cursor(self, cursor_class: Any = Cursor) -> Any:
            """As the driver's."""
            return super().cursor(cursor_class)

        def cmd_query(self, *args: Any, **more: Any) -> Any:
            """As the driver's."""
            more["timeout"] = self.network_timeout
            return super().cmd_query(*args, **more)

    return Connection


def arguments(profile: SnowflakeProfile, label: str, *, write: bool = False) -> dict[str, Any]:
    """What the connector is given; holds the secrets. ``write``: rows without a transaction of hdm's own
    are to be rolled back, should the server end one by itself."""
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
            "autocommit": not write,  # whatever the account's or the user's default is
            "application": "hdm",
            "arrow_number_to_decimal": True,  # or NUMBER(p,s) would arrive as a float
            "network_timeout": profile.network_timeout,
            "login_timeout": 60,
            "socket_timeout": 300,  # a query that takes longer is asked after again and again
            "client_session_keep_alive": True,
            "validate_default_parameters": False,
            "platform_detection_timeout_seconds": 0.0,  # ask no cloud's metadata service where this runs
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
    """A session's label as the name of its transaction."""
    return re.sub(r"[^a-z0-9]", "_", label.lower())


def folded(name: str) -> str:
    """A plain name in upper case, a quoted one as it stands inside its quotes."""
    if len(name) > 2 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name.upper() if _PLAIN.match(name) else name
