"""Escapes invisible characters in text from systems and files before it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable

_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls (C0 without tab and newline, DEL, C1: ESC and CSI are here)
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # bidi, joiners
    "\ud800-\udfff"  # halves of pairs, which no output can encode
    "\U000e0000-\U000e007f"  # tags
)
_BUT_LINES = re.compile(f"[{_UNSEEN}]")
_ALL = re.compile(f"[\t\n{_UNSEEN}]")
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def visible(text: str) -> str:
    r"""Return the text with invisible characters as escapes (``\x1b``); newlines and tabs stay."""
    return _BUT_LINES.sub(_escape, text)


def one_line(text: str) -> str:
    """Return the text on one line: invisible characters, newlines and tabs are written as escapes."""
    return _ALL.sub(_escape, text)


def listed(items: Iterable[str]) -> str:
    """Return the items as text, each on an indented line of its own, to be added to an error's message."""
    return "".join(f"\n  {one_line(item)}" for item in items)


def visible_json(text: str) -> str:
    """Return JSON text with invisible characters written as JSON escapes; its meaning stays the same."""
    return _BUT_LINES.sub(_json_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] in _SHORT:
        return _SHORT[found[0]]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(found: re.Match[str]) -> str:
    pair = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{pair[n]:02x}{pair[n + 1]:02x}" for n in range(0, len(pair), 2))
