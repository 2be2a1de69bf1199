"""Masks secrets and row values in text before it is stored in the state database."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from typing import Any

from hdm.config import secrets
from hdm.errors import HdmError

Redact = Callable[[str], str]

_URL = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s/]*@", re.IGNORECASE)
_PAIR = re.compile(
    r"(?P<name>\b(?:password|passwd|pwd|secret|token|api_?key|access_?key|account_?key|sig|signature)\b)"
    r"(?P<sep>['\"]?\s*[=:]\s*)(?:'[^']*'|\"[^\"]*\"|\{[^}]*\}|[^\s;,&'\"]+)",
    re.IGNORECASE,
)
_VALUE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(?<==)\([^)]*\)")
_DETAIL = re.compile(r"\s*(?:DETAIL|CONTEXT|LINE \d+)\s*:.*", re.DOTALL)
_LIMIT = 2000


def redact(text: str) -> str:
    """Return the text with passwords masked: in URLs, in ``password=...``, and secrets of loaded profiles."""
    text = _URL.sub(r"\g<head>:***@", secrets.redact(text))
    return _PAIR.sub(r"\g<name>\g<sep>***", text)


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def dump(value: dict[str, Any], mask: Redact = redact, fields: Collection[str] | None = None) -> str:
    """Return a value as canonical JSON with secrets masked.

    They are masked in every text, or only in the named ``fields``.
    """
    return _canonical(
        {
            name: _masked(part, mask) if fields is None or name in fields else part
            for name, part in value.items()
        }
    )


def _masked(value: Any, mask: Redact) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: _masked(part, mask) for key, part in value.items()}
    return [_masked(part, mask) for part in value] if isinstance(value, list) else value


def message(error: BaseException, mask: Redact = redact) -> str:
    """Return the part of an error's text that may be stored, with secrets masked.

    For hdm's own errors, that is the message; for others, the first line without quoted values and details.
    """
    return mask(error.message if isinstance(error, HdmError) else scrub(error))[:_LIMIT]


def scrub(error: BaseException) -> str:
    """Return the first line of another library's error, without anything that may be a value."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(part) for part in error.args if isinstance(part, str | int))
    lines = _DETAIL.sub("", text).strip().splitlines()
    return redact(_VALUE.sub("'...'", lines[0] if lines else "")) or type(error).__name__
