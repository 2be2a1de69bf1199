"""Defines BigQuery's profile entry, and makes the client of Google's library from it."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from hdm.components.address import split_address
from hdm.components.settings import Settings
from hdm.config.secrets import Secret, remember
from hdm.config.tls import is_local
from hdm.errors import MissingDriver, UsageError

ENDPOINT = "https://bigquery.googleapis.com"
_SCOPES = (
    "https://www.googleapis.com/auth/bigquery",
    "https://www.googleapis.com/auth/devstorage.read_only",
)
"""Queries and loads, and the reading of files that a load takes from Cloud Storage."""
_REQUEST_SECONDS = 120.0


class BigQueryProfile(Settings):
    """Profile entry of a project of BigQuery: a service account, and the dataset of tables without one.

    Without a service account, Google's library looks for credentials itself (Application Default
    Credentials).
    """

    takes_url: ClassVar[bool] = False

    project: str = Field(min_length=1)
    """Id of the project that owns the datasets, and that is charged for jobs."""
    dataset: str | None = Field(None, min_length=1)
    """Dataset of tables that are named without one; it must exist. Left out, each table's name has one."""
    location: str | None = None
    """Location of the datasets and of the jobs, such as ``EU`` or ``europe-west4``; left out, ``US``."""
    credentials_file: str | None = None
    """File with the JSON key of a service account; left out, ``credentials_json``, or what Google's library
    finds."""
    credentials_json: Secret | None = None
    """Text of a service account's JSON key; write a reference such as ``env:NAME``."""
    emulator: str | None = None
    """Address of an emulator on this machine, such as ``http://127.0.0.1:9050``; no credentials are sent.
    Left out, Google's own service."""

    @classmethod
    def from_address(cls, rest: str) -> tuple[dict[str, Any], str]:
        """Return the profile entry and the table of an address: ``//project/dataset.table``.

        Raises ``UsageError`` if it cannot be read.
        """
        found = split_address(rest)
        if found.user or found.password or found.port:
            raise UsageError(
                "an address of BigQuery is bigquery://project/dataset.table",
                hint="write credentials and the location in the profile",
            )
        table = ".".join(part for part in (found.path, found.object) if part)
        return {"project": found.host, **found.options}, table

    @model_validator(mode="after")
    def _is_whole(self) -> BigQueryProfile:
        if self.credentials_file is not None and self.credentials_json is not None:
            raise ValueError("give credentials_file or credentials_json, not both")
        if self.emulator is None:
            return self
        split = urlsplit(self.emulator)
        if split.username or split.password or split.query:
            raise ValueError("emulator must not hold credentials")
        if split.scheme not in ("http", "https") or not split.hostname or not is_local(split.hostname):
            raise ValueError("emulator is an address on this machine, such as http://127.0.0.1:9050")
        if self.credentials_file or self.credentials_json:
            raise ValueError("an emulator is sent no credentials: leave them out")
        return self


def credentials(profile: BigQueryProfile) -> Any:
    """Return the credentials of a profile; raise ``UsageError`` if its key cannot be used."""
    try:
        import google.auth
        from google.auth.credentials import AnonymousCredentials
        from google.oauth2.service_account import Credentials
    except ImportError:
        raise _no_driver() from None
    if profile.emulator is not None:
        return AnonymousCredentials()
    if profile.credentials_json is not None:
        return _of_key(Credentials, profile.credentials_json.reveal(), "credentials_json")
    if profile.credentials_file is not None:
        try:
            with open(profile.credentials_file, encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeError) as error:
            raise UsageError(
                f"credentials_file {profile.credentials_file} cannot be read: {type(error).__name__}",
                hint="name the JSON key file of a service account that this user may read",
            ) from None
        return _of_key(Credentials, text, "credentials_file")
    found, _ = google.auth.default(scopes=list(_SCOPES))
    return found


def client(profile: BigQueryProfile, known: Any) -> Any:
    """Return a client with the credentials ``known``; each of its requests ends after two minutes.

    Makes no request.
    """
    try:
        from google.api_core.client_info import ClientInfo
        from google.auth.transport.requests import AuthorizedSession
        from google.cloud.bigquery import Client
        from requests.adapters import HTTPAdapter
    except ImportError:
        raise _no_driver() from None

    class Patient(HTTPAdapter):
        """Transport that waits two minutes for an answer where the library would wait for ever."""

        def send(self, request: Any, **more: Any) -> Any:  # type: ignore[override]
            """Send a request, with a time-out if none is given."""
            if more.get("timeout") is None:
                more["timeout"] = _REQUEST_SECONDS
            return super().send(request, **more)

    session = AuthorizedSession(known, refresh_timeout=_REQUEST_SECONDS)
    for scheme in ("https://", "http://"):
        session.mount(scheme, Patient())
    return Client(
        project=profile.project,
        credentials=known,
        location=profile.location or "US",
        _http=session,
        # Named here even if it is Google's own, or BIGQUERY_EMULATOR_HOST would decide it.
        client_options={"api_endpoint": profile.emulator or ENDPOINT},
        client_info=ClientInfo(user_agent="hdm"),
    )


def _of_key(kind: Any, text: str, field: str) -> Any:
    """Return the credentials of a service account's JSON key; ``field`` is where the text comes from."""
    try:
        key = json.loads(text)
        remember(key["private_key"])
        return kind.from_service_account_info(key, scopes=list(_SCOPES))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{field} holds no JSON key of a service account",
            hint="give the file that `gcloud iam service-accounts keys create` writes",
        ) from None


def _no_driver() -> MissingDriver:
    return MissingDriver("google-cloud-bigquery is not installed", hint="pip install 'hdm[bigquery]'")
