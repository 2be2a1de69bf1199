"""The least privileges that hdm needs on each system: one SQL script for each, with a right behind each line.

A script is ready to run once the names that begin with ``hdm_`` are replaced. ``hdm doctor`` checks the
rights of a part, such as ``[source]``, one by one, and shows the statement that gives a missing one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources

SELECT = "SELECT on the table"
"""The right to read a table, as every script calls it."""
_PARTS = re.compile(r"-- \[([\w, ]+)\]")
_STATEMENT = re.compile(r"(\S.*;)  -- (\S.*)")
_NAME = re.compile(r"\bhdm_[a-z]+\b")


@cache
def script(name: str) -> str:
    """Return the text of a system's script, such as ``postgres``."""
    return (resources.files(__name__) / f"{name}.sql").read_text(encoding="utf-8")


@cache
def parts(name: str) -> Mapping[str, Mapping[str, str]]:
    """Return a script by its parts: part -> right -> the statement that gives it.

    A heading may name several parts; its statements belong to each.
    """
    found: dict[str, dict[str, str]] = {}
    here: list[str] = []
    for line in script(name).splitlines():
        if heading := _PARTS.match(line):
            here = [part.strip() for part in heading[1].split(",")]
        elif given := _STATEMENT.fullmatch(line):
            for part in here:
                found.setdefault(part, {})[given[2]] = given[1]
    return found


def rights(name: str, part: str) -> list[str]:
    """Return the rights of one part of a system's script; none if ``name`` is empty: it has no script."""
    return list(parts(name).get(part, {})) if name else []


def statement(name: str, part: str, right: str, names: Mapping[str, str]) -> str:
    """Return the statement that gives a right, with ``names`` in the place of the script's own.

    ``names`` are SQL, quoted where needed, by the script's names without ``hdm_``, such as ``user``. A name
    that is not in it stays.
    """
    given = parts(name)[part][right]
    return _NAME.sub(lambda found: names.get(found[0].removeprefix("hdm_"), found[0]), given)
