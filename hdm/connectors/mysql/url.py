"""Parses the ``url`` in a MySQL profile."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from hdm.errors import UsageError


def split_url(url: str) -> tuple[SplitResult, int | None]:
    """Return the parts of a profile's ``url``, and its port; raise ``UsageError`` if it is malformed.

    The error never shows the url, since it may hold the password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if not re.fullmatch(r"(mysql|mariadb)(\+\w+)?", parts.scheme) or not parts.netloc:
        raise UsageError(
            "the profile's url is not one of MySQL",
            hint="write url: mysql://user@host:3306/database, with @ in a name as %40",
        )
    try:
        return parts, parts.port
    except ValueError:
        raise UsageError(
            "the port in the profile's url is not a number from 1 to 65535", hint="correct it in url"
        ) from None
