"""Turns on TLS for the state database: verified, unless the server is local or the profile says otherwise."""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import URL

from hdm.config import tls

HINT = (
    "its TLS cannot be verified: write sslrootcert: (PostgreSQL) or ssl_ca: (MySQL) with the CA's file in "
    "the profile of the state_manager, or insecure: true"
)


def postgres(url: URL) -> dict[str, Any]:
    """Return the TLS settings of libpq for a PostgreSQL server, without those that its URL contains."""
    hosts = [url.host or os.environ.get("PGHOST"), *_all(url, "host"), *_all(url, "hostaddr")]
    return dict(tls.postgres_defaults(hosts, url.query, insecure=False))


def mysql(url: URL) -> dict[str, Any]:
    """Return PyMySQL's TLS arguments for a URL, in place of those that SQLAlchemy would make.

    They follow the URL's ``ssl_...`` settings. Empty, so without TLS, if TLS is disabled, or if the server is
    local and no ``ssl_ca`` is set.
    """
    if "ssl_disabled" in url.query or (tls.is_local(url.host) and "ssl_ca" not in url.query):
        return {}
    ca, cert, key = (next(iter(_all(url, name)), None) for name in ("ssl_ca", "ssl_cert", "ssl_key"))
    loose = _all(url, "ssl_check_hostname") == ["false"]
    return tls.mysql_arguments(url.host, ca, cert, key, insecure=loose)


def of_odbc(url: URL) -> URL:
    """Return a SQL Server URL with encryption switched on, unless it has a setting or the server is local."""
    if url.get_backend_name() != "mssql" or tls.is_local(url.host or "?"):
        return url
    named = {name.lower() for name in url.query}
    return url if named & {"encrypt", "odbc_connect"} else url.update_query_dict({"Encrypt": "yes"})


def _all(url: URL, name: str) -> list[str]:
    value = url.query.get(name, ())
    return [value] if isinstance(value, str) else list(value)
