"""Decides which connections verify TLS: all except those to this machine and those that the user exempts.

This one rule holds for every connector and for the state database. A host is local only if it cannot be
another machine: a loopback address, ``localhost`` itself, or a Unix socket. Names are not resolved to find
out.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import Any


def is_local(*hosts: str | None) -> bool:
    """Return True if every host is this machine; a missing host means a Unix socket, which is.

    An argument may have several hosts, separated by commas.
    """
    return all(_is_loopback(one.strip()) for host in hosts for one in (host or "").split(","))


def _is_loopback(host: str) -> bool:
    if not host or host.startswith(("/", "@")) or host.lower() == "localhost":
        return True
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def postgres_defaults(hosts: Iterable[str | None], named: Iterable[str], *, insecure: bool) -> dict[str, str]:
    """Return the TLS settings to add to a PostgreSQL connection: verify server and host name.

    Empty for a local host, with ``insecure``, or if ``named``, the settings that the connection has, include
    ``sslmode``. A ``service`` may name hosts that are not known here, so it counts as remote. Settings:
    https://www.postgresql.org/docs/current/libpq-ssl.html
    """
    known = set(named)
    if "sslmode" in known or insecure or ("service" not in known and is_local(*hosts)):
        return {}
    return {"sslmode": "verify-full", **({} if "sslrootcert" in known else {"sslrootcert": "system"})}


def mysql_arguments(
    host: str | None, ca: str | None, cert: str | None, key: str | None, *, insecure: bool
) -> dict[str, Any]:
    """Return the TLS arguments to pass to PyMySQL for a host.

    Certificate and host name are verified for a remote host, and for any host if ``ca`` or ``cert`` is given.
    With ``insecure`` and neither file, TLS is used if the server offers it, and nothing is verified; with a
    file, only the host name is not compared. A local host without a file gets no TLS.
    """
    if not (ca or cert):
        if is_local(host):
            return {"ssl_disabled": True}
        if insecure:
            return {}
    context = ssl.create_default_context(cafile=ca)
    if cert:
        context.load_cert_chain(cert, key)
    context.check_hostname = not insecure
    return {"ssl": context}
