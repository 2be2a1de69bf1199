"""Finds out from any driver's error why a system cannot be reached, and at which address.

Each driver words this in its own way, often in nested errors. The reason is one of: an unknown host name,
nothing that listens on the port, no answer, no trusted TLS, a refused login, or a connection that was cut.
The driver's text itself is not shown, since it may contain data that was sent.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator

from hdm.errors import ConnectionLost, UnknownPlace

DNS = "DNS: the name cannot be resolved"
REFUSED = "refused: nothing listens there"
TIMEOUT = "time-out: no answer"
ROUTE = "no route to it"
TLS = "TLS: no trusted connection"
LOGIN = "login refused"
CUT = "the connection was cut"

AWAY = (DNS, REFUSED, TIMEOUT, ROUTE)
"""Causes that may be gone at the next try."""

_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLError, TLS),
    (socket.gaierror, DNS),
    (ConnectionRefusedError, REFUSED),
    (ConnectionError, CUT),
    (TimeoutError, TIMEOUT),
)
_TEXTS: tuple[tuple[str, str], ...] = (
    (
        r"authentication failed|access denied for user|login failed|no password|invalid username|"
        r"no pg_hba.conf entry",
        LOGIN,
    ),
    (
        r"certificate|\bSSL\b(?! connection has been closed)|\bTLS\b|SSLError|SSL:|ssl handshake|"
        r"wrong version number",
        TLS,
    ),
    (
        r"translate host name|failed to resolve|name or service not known|nodename nor servname|"
        r"name resolution|getaddrinfo|no address associated|could not resolve|0x2af9|0x2afc|"
        r"unknown (mysql )?(server )?host",
        DNS,
    ),
    (r"connection refused|actively refused|errno 111|\(111\)|0x274d|0x2749", REFUSED),
    (r"timed? ?out|timeout|HYT0", TIMEOUT),
    (r"no route to host|network is unreachable", ROUTE),
    (
        r"closed the connection|connection has been closed|connection reset|went away|lost connection|"
        r"gone away|broken pipe|terminating connection|consuming input failed|connection is lost",
        CUT,
    ),
)
_MOST = 12
_LOOK = 5.0
"""Seconds within which hdm's own test connection must be opened."""


def reason(error: BaseException) -> str | None:
    """Return in a few words why a connection failed; None if neither the error nor one nested in it tells."""
    chain = list(_chain(error))
    for kind, word in _KINDS:
        if any(isinstance(one, kind) for one in chain):
            return word
    text = " ".join(f"{type(one).__name__} {one}" for one in chain)
    return next((word for pattern, word in _TEXTS if re.search(pattern, text, re.IGNORECASE)), None)


def looked(address: str) -> str | None:
    """Try to connect to ``host:port`` and return why that failed; None if it succeeded.

    None, too, if ``address`` has no host and port. For drivers whose errors do not tell the
    reason.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return None
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_LOOK).close()
    except OSError as error:
        return reason(error)
    return None


def is_known(host: str) -> bool:
    """Return False if a host name cannot be resolved to an address, else True."""
    try:
        socket.getaddrinfo(host.strip("[]"), None)
    except socket.gaierror:
        return False
    except (OSError, UnicodeError):
        return True
    return True


def failed(error: BaseException, message: str, *, hint: str | None = None) -> ConnectionLost:
    """Return the ``ConnectionLost`` for an HTTP driver's error: ``message``, the address and the reason.

    Its class is ``UnknownPlace`` if the host name is unknown.
    """
    kind = UnknownPlace if reason(error) == DNS else ConnectionLost
    return kind(message + at(error), hint=hint)


def endpoint(error: BaseException) -> str | None:
    """Return the address in an HTTP driver's error, ``host:port`` or a URL; None if it contains none."""
    for one in _chain(error):
        named = getattr(one, "kwargs", None)
        if isinstance(named, dict) and isinstance(named.get("endpoint_url"), str):
            return re.sub(r"^(\w+://[^/?]*).*", r"\1", named["endpoint_url"])
        for part in (getattr(one, name, None) for name in ("conn", "pool")):
            host, port = getattr(part, "host", None), getattr(part, "port", None)
            if isinstance(host, str):
                return f"{host}:{port}" if port else host
    return None


def at(error: BaseException) -> str:
    """Return ``: ADDRESS: reason`` to append to a message; without the address if it is not known."""
    found = [one for one in (endpoint(error), reason(error) or type(error).__name__) if one]
    return f": {': '.join(found)}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, its causes and the errors in its attributes, each once."""
    todo: list[object] = [error]
    seen: set[int] = set()
    while todo and len(seen) < _MOST:
        one = todo.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        held = [
            getattr(one, name, None) for name in ("reason", "inner_exception", "original_exception", "orig")
        ]
        named = getattr(one, "kwargs", None)
        held.append(named.get("error") if isinstance(named, dict) else None)
        todo += [*one.args, *held, one.__cause__, one.__context__]
