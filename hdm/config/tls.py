"""Where a connection may do without verified TLS: on this machine, and where the user says so.

One rule for every connector and for the state database. A host is local if it cannot be another's: a
loopback address, ``localhost`` itself, or a Unix socket. A name is never taken for what it resolves to.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import Any


def is_local(*hosts: str | None) -> bool:
    """Whether all of them are on this machine. Each may be a list, with commas; none at all is a socket."""
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
    """libpq's settings beside those ``named`` already: https://www.postgresql.org/docs/current/libpq-ssl.html.
    ``service`` names hosts that are not known here."""
    known = set(named)
    if "sslmode" in known or insecure or ("service" not in known and is_local(*hosts)):
        return {}
    return {"sslmode": "verify-full", **({} if "sslrootcert" in known else {"sslrootcert": "system"})}


def mysql_arguments(
    host: str | None, ca: str | None, cert: str | None, key: str | None, *, insecure: bool
) -> dict[str, Any]:
    """PyMySQL's arguments: certificate and name are verified beyond this machine, or if a file is named.
    ``insecure`` goes without TLS, or with ``ca`` does not compare the name."""
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
