"""Says an error of a made manifest in words of the command line from which hdm made it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from hdm.errors import HdmError

_PLACE = re.compile(r"\bhdm-cp-\w+\.yml(?::\d+)*: ")
_SAYS = (
    ("write mode: append or merge, or another table_name", "name another table as DST"),
    ("write another table_name, or another connection, for the sink", "name another table as DST"),
    ("check table_name, the profile's database,", "check the table's name, its schema and database,"),
    ("write table_name: of a table or view", "name a table or view"),
    ("write allow_loss: true (or a list of columns) on the link to accept and record it",
     "a manifest can accept that: add -o yaml, and allow_loss: true on the link, and run it with hdm run"),
    ("write identifiers: lower or upper on the sink, as the table spells them",
     "add -o yaml, write identifiers: lower or upper on the sink, and run it with hdm run"),
)  # fmt: skip
_OF_ADDRESSES = (("in the profile", "in the address"), ("the profile's", "the address's"))


@contextmanager
def line_words(ends: Mapping[str, str], *, addresses: bool) -> Iterator[None]:
    """Say errors of the ``with`` block without the made manifest: no file, no key that no line can have.

    ``ends`` says, by the name of a component in the manifest, how the command line calls it. ``addresses``:
    each end is one, so that there is no profile.
    """
    try:
        yield
    except HdmError as error:
        error.message = _plain(error.message, ends, addresses)
        error.hint = _plain(error.hint, ends, addresses) if error.hint else error.hint
        error.args = (error.message,)
        raise


def _plain(text: str, ends: Mapping[str, str], addresses: bool) -> str:
    text = _PLACE.sub("", text)
    for name, shown in ends.items():
        component = rf"\b(?:source |sink )?{re.escape(name)}\b(?: \(\w+\))?"
        text = re.sub(component, shown.replace("\\", r"\\"), text)
    for old, new in (*_SAYS, *(_OF_ADDRESSES if addresses else ())):
        text = text.replace(old, new)
    return text
