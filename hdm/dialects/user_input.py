"""What users write in manifests, checked: durations and predicates."""

from __future__ import annotations

import re

from hdm.errors import UsageError

_DURATION = re.compile(
    r"(\d+(?:\.\d+)?)\s*(us|ms|s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)?\Z", re.IGNORECASE
)
_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def seconds(text: str, *, days: bool = False) -> float:
    """A duration such as ``90``, ``15m``, ``2 hours``, ``1d``; a bare number counts seconds (or days)."""
    found = _DURATION.match(text.strip())
    if not found:
        raise UsageError(f"not a duration: {text!r}", hint="write for example 90s, 15m, 2h or 1d")
    unit = (found[2] or ("d" if days else "s")).lower()
    scale = {"us": 1e-6, "ms": 1e-3}.get(unit) or _UNIT_SECONDS[unit[0]]
    return float(found[1]) * scale


def one_predicate(text: str) -> str:
    """``text`` if it can only be one SQL predicate: no second statement, comment or open bracket."""
    depth, quote = 0, ""
    for number, mark in enumerate(text):
        if quote:
            quote = "" if mark == quote else quote
        elif mark in "'\"`":
            quote = mark
        elif mark == ";" or text.startswith(("--", "/*"), number):
            raise UsageError("where: holds a semicolon or a comment", hint="write one predicate")
        elif mark in "()":
            depth += 1 if mark == "(" else -1
            if depth < 0:
                break
    if depth or quote or not text.strip():
        raise UsageError("where: is not one complete predicate", hint="close its quotes and brackets")
    return text
