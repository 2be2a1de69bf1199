"""Renders HTML pages from the Jinja2 templates beside this file; all pages share ``layout.html``.

All values are escaped (https://jinja.palletsprojects.com/en/stable/api/#autoescaping), and a page loads
nothing from elsewhere.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from hdm.errors import MissingDriver

if TYPE_CHECKING:
    from jinja2 import Environment

_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that neither HTML nor XML may hold: https://www.w3.org/TR/xml/#charsets."""


def render(page: str, **values: Any) -> str:
    """Return the page made of the template ``page``; characters that HTML forbids become U+FFFD.

    Raises ``MissingDriver`` if Jinja2 is not installed.
    """
    return _environment().get_template(page).render(values)


@cache
def _environment() -> Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError:
        raise MissingDriver("pages are made with Jinja2", hint="pip install 'hdm[catalog]'") from None
    return Environment(
        loader=PackageLoader("hdm.catalog", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _printable(value: object) -> object:
    """Replace characters that HTML forbids; text that is escaped already has none."""
    return _UNPRINTABLE.sub("\ufffd", value) if type(value) is str else value
