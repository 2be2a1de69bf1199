"""Defines Snowflake's profile entry, the driver's arguments, and a database session."""

from __future__ import annotations

import contextlib
import re
from functools import cache
from typing import Any

from pydantic import Field, model_validator

from hdm.components.address import split_address
from hdm.components.settings import PathText, Settings
from hdm.config.secrets import Secret
from hdm.config.tls import is_local
from hdm.dialects import dialect as dialect_named
from hdm.errors import UsageError

STATEMENT_SECONDS = 604_800
"""The greatest STATEMENT_TIMEOUT_IN_SECONDS: https://docs.snowflake.com/en/sql-reference/parameters."""
_GIVEN = (
    "account", "user", "role", "warehouse", "database", "host", "port", "protocol", "password", "passcode",
    "token", "oauth_client_id", "oauth_client_secret", "oauth_token_request_url", "oauth_authorization_url",
    "oauth_scope", "workload_identity_entra_resource", "secondary_roles",
)  # fmt: skip
"""Keys of the profile that the connector has by the same name."""
_ASKS_A_PERSON = ("externalbrowser", "username_password_mfa", "oauth_authorization_code")
"""Authenticators that ask a person: the connector then keeps the token, else each session would ask anew."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*\Z")


class SnowflakeProfile(Settings):
    """Profile entry of a Snowflake account: with a key, a token, a client of OAuth or a password.

    A ``token`` is an OAuth access token or, with ``authenticator: programmatic_access_token``, a programmatic
    access token of Snowflake. ``authenticator: externalbrowser`` logs in through a browser on this machine,
    ``workload_identity`` by the identity that a cloud gives this machine.

    ``network_timeout`` is how many seconds hdm waits for the answer to a network request; how long a
    statement may run is limited only by the warehouse's STATEMENT_TIMEOUT_IN_SECONDS.

    ``host``, ``port`` and ``protocol`` are for private endpoints. Names of the warehouse, role, database and
    schema are folded to upper case, as Snowflake does; write ``'"name"'`` for one in lower case.
    """

    account: str
    """Account identifier, e.g. ``organisation-account``."""
    user: str | None = None
    """Name of the user to log in as; only workload identity and OAuth client credentials need none."""
    password: Secret | None = None
    """Password of the user, where neither key nor token is used; write a reference such as ``env:NAME``."""
    passcode: Secret | None = None
    """Code that a second factor (MFA) shows now, beside ``password``; each new session needs another one,
    unless ``authenticator: username_password_mfa`` and the account's caching of tokens."""
    private_key_path: PathText | None = None
    """File of the private key (PEM) for key-pair authentication; it comes before ``password``."""
    private_key: Secret | None = None
    """Text of the private key (PEM), in the place of its file; write a reference such as ``env:NAME``."""
    private_key_passphrase: Secret | None = None
    """Passphrase of the private key; left out, the key is not encrypted."""
    token: Secret | None = None
    """OAuth token, with ``authenticator: oauth``; write a reference such as ``env:NAME``."""
    oauth_client_id: str | None = None
    """Client id for OAuth: with ``authenticator: oauth_client_credentials`` (the default then), or with
    ``oauth_authorization_code``, which asks a browser."""
    oauth_client_secret: Secret | None = None
    """Secret that belongs to ``oauth_client_id``; write a reference such as ``env:NAME``."""
    oauth_token_request_url: str | None = None
    """URL at which the identity provider gives tokens; left out, Snowflake's own."""
    oauth_authorization_url: str | None = None
    """URL at which the identity provider asks the person; left out, Snowflake's own."""
    oauth_scope: str | None = None
    """Scope to ask the identity provider for; left out, the one that ``role`` gives."""
    workload_identity_provider: str | None = Field(None, pattern="^(?i:aws|azure|gcp|oidc)$")
    """Who vouches for this machine: ``aws``, ``azure``, ``gcp``, or ``oidc`` with a ``token``; it makes
    ``workload_identity`` the authenticator."""
    workload_identity_entra_resource: str | None = None
    """Application id of Entra ID for ``azure``; left out, Snowflake's own."""
    authenticator: str = "snowflake"
    """The connector's authenticator, e.g. ``oauth``; ``snowflake`` means the one that the other keys imply:
    key pair, workload identity, OAuth, else a password."""
    secondary_roles: str | None = Field(None, pattern="^(?i:all|none)$")
    """``none`` works with ``role`` alone, ``all`` with all of the user's; left out, as the user is set."""
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

    @classmethod
    def from_address(cls, rest: str) -> tuple[dict[str, Any], str]:
        """Return the profile entry and the table of ``//user@account/database.schema.table?warehouse=...``.

        Raises ``UsageError`` if it cannot be read.
        """
        found = split_address(rest)
        return found.entry(host="account"), found.object

    @model_validator(mode="after")
    def _can_log_in(self) -> SnowflakeProfile:
        if self.private_key is not None and self.private_key_path is not None:
            raise ValueError("give private_key_path or private_key, not both")
        if self.user is None and self.way not in ("workload_identity", "oauth_client_credentials"):
            raise ValueError("user is missing: whom to log in as")
        return self

    @property
    def way(self) -> str:
        """The connector's authenticator that the profile asks for, in lower case."""
        given = self.authenticator.lower()
        if given != "snowflake":
            return given
        if self.private_key_path or self.private_key is not None:
            return "snowflake_jwt"
        if self.workload_identity_provider:
            return "workload_identity"
        if self.oauth_client_id:
            return "oauth_client_credentials"
        return "oauth" if self.token is not None else "snowflake"

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
    made: dict[str, Any] = {name: getattr(profile, name) for name in _GIVEN}
    made["schema"] = profile.schema_name
    made["private_key_file"] = profile.private_key_path
    phrase = profile.private_key_passphrase
    if profile.private_key is not None:
        made["private_key"] = _key_bytes(profile.private_key, phrase)
    else:
        made["private_key_file_pwd"] = phrase
    made = {key: value for key, value in made.items() if value is not None}
    made = {key: value.reveal() if isinstance(value, Secret) else value for key, value in made.items()}
    if profile.workload_identity_provider:
        made["workload_identity_provider"] = profile.workload_identity_provider.upper()
    if profile.authenticator.lower() != "snowflake":
        made["authenticator"] = profile.authenticator
    elif profile.way != "snowflake":
        made["authenticator"] = "SNOWFLAKE_JWT" if profile.way == "snowflake_jwt" else profile.way
    if profile.way in _ASKS_A_PERSON:
        made |= {"client_store_temporary_credential": True, "client_request_mfa_token": True}
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


def _key_bytes(key: Secret, phrase: Secret | None) -> bytes:
    """Return a private key (PEM) in the form that the connector takes: DER, PKCS #8, not encrypted.

    Raises ``UsageError`` if the text is no such key, or the passphrase is another.
    """
    from cryptography.hazmat.primitives import serialization

    try:
        read: Any = serialization.load_pem_private_key(
            key.reveal().encode(), phrase.reveal().encode() if phrase else None
        )
    except (TypeError, ValueError):
        raise UsageError(
            "private_key is not the text of a private key, or private_key_passphrase does not open it",
            hint="give the whole PEM text, from -----BEGIN to -----END",
        ) from None
    der = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return bytes(read.private_bytes(*der))


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
