"""How a Snowflake session is reached, and what hdm keeps with it."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from pydantic import Field

from hdm.components.settings import PathText, Settings
from hdm.config.secrets import Secret

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*\Z")


class SnowflakeProfile(Settings):
    """``account`` and ``user``, then ``private_key_path``, ``token`` (OAuth) or ``password``.

    ``host``, ``port`` and ``protocol`` are for private endpoints. Names in lower case are folded
    to upper case, as Snowflake does; write ``'"name"'`` for one that is really in lower case.
    """

    account: str
    user: str
    password: Secret | None = None
    private_key_path: PathText | None = None
    private_key_passphrase: Secret | None = None
    token: Secret | None = None
    authenticator: str = "snowflake"
    role: str | None = None
    warehouse: str | None = None
    database: str | None = None
    schema_name: str | None = Field(None, alias="schema")
    host: str | None = None
    port: int | None = None
    protocol: str | None = None
    network_timeout: int = 600


class Session:
    """A connection with what hdm knows of it. Closing it rolls back what is open."""

    def __init__(self, raw: Any, label: str) -> None:
        self.raw = raw
        self.label = label
        self.stage = ""
        self.transaction = ""

    def cursor(self) -> Any:
        """The driver's cursor."""
        return self.raw.cursor()

    def close(self) -> None:
        """Also ends an open transaction; idempotent."""
        if self.transaction == "open" and not self.raw.is_closed():
            self.transaction = ""
            with contextlib.suppress(Exception):  # the server rolls back when the session ends
                self.raw.cursor().execute("ROLLBACK")
        self.raw.close()


def arguments(profile: SnowflakeProfile, label: str) -> dict[str, Any]:
    """What the connector is given; holds the secrets."""
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
    return (
        made
        | {
            "paramstyle": "qmark",
            "autocommit": True,  # whatever the account's or the user's default is
            "application": "hdm",
            "arrow_number_to_decimal": True,  # or NUMBER(p,s) would arrive as a float
            "network_timeout": profile.network_timeout,
            "login_timeout": 60,
            "client_session_keep_alive": True,
            "validate_default_parameters": False,
            "platform_detection_timeout_seconds": 0.0,  # ask no cloud's metadata service where this runs
            "session_parameters": {
                "QUERY_TAG": label[:2000],
                "LOCK_TIMEOUT": 900,
                "TIMEZONE": "UTC",
                "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
                "ERROR_ON_NONDETERMINISTIC_MERGE": True,
                "CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False,
                "CLIENT_TELEMETRY_ENABLED": False,
            },
        }
    )


def transaction_name(label: str) -> str:
    """A session's label as the name of its transaction."""
    return re.sub(r"[^a-z0-9]", "_", label.lower())


def folded(name: str) -> str:
    """A plain name in upper case, a quoted one as it stands inside its quotes."""
    if len(name) > 2 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name.upper() if _PLAIN.match(name) else name
