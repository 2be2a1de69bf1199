"""Changes SQL text without parsing it."""

from __future__ import annotations


def unwrapped(text: str) -> str:
    """Return SQL without the pair of brackets around all of it, if there is one."""
    return text[1:-1] if _wraps(text) else text


def _wraps(text: str) -> bool:
    if not (text.startswith("(") and text.endswith(")")):
        return False
    depth, quote = 0, ""
    for place, mark in enumerate(text):
        if quote:
            quote = "" if mark == quote else quote
        elif mark in "'\"":
            quote = mark
        else:
            depth += {"(": 1, ")": -1}.get(mark, 0)
            if depth == 0 and place < len(text) - 1:
                return False
    return True
