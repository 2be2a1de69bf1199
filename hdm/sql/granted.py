"""Tells for ``hdm doctor`` which privileges a user lacks, and which statements give them.

The rights come from the system's script in ``hdm.dialects.grants``; the database is asked for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from hdm.dialects import grants
from hdm.errors import ConnectionLost, HdmError, SchemaDrift, TransientError
from hdm.model import Mode, Table

_MODES = frozenset(mode.value for mode in Mode)
_WELL = {"source": "may read the table", "sink": "may make and fill tables"}


def missing(database: Any, connection: Any, path: Sequence[str], part: str) -> list[str] | None:
    """Return the rights of one part of the system's script that the user lacks; None if none can be told."""
    rights = grants.rights(database.dialect.grants_script, part)
    if part in _MODES and rights and database.find(connection, path) is None:  # it will be the user's own
        rights = [right for right in rights if not right.endswith(" on the table")]
    found = {right: database.has_right(connection, path, right) for right in rights}
    if all(has is None for has in found.values()):
        return None
    return [right for right, has in found.items() if has is False]


def findings(database: Any, path: Sequence[str], part: str) -> list[tuple[str, bool, str]]:
    """Return one result for each missing right, with the statement that gives it; one if none is missing.

    Empty if the rights are not known.
    """
    if part != "sink" and not grants.rights(database.dialect.grants_script, part):
        return []  # nor would a file be made that is not there
    connection = database.connect("hdm:doctor")
    try:
        if part == "sink":
            lacks = database.missing_grants(connection, path)
        else:
            lacks = missing(database, connection, path, part)
        if not lacks:
            return [] if lacks is None else [("grants", True, _WELL.get(part, f"may {part} rows"))]
        names = database.grant_names(connection, path)
    finally:
        connection.close()
    return [("grants", False, told(database, part, right, names)) for right in lacks]


def of_source(
    database: Any, path: Sequence[str] | None, parts: Sequence[str], describe: Callable[[], Table]
) -> list[tuple[str, bool, str]]:
    """Return the results of a source's tests: connection, the table's description, the rights in ``parts``.

    ``path`` is the table's name, None for a query; ``describe`` describes the table.
    """
    found: list[tuple[str, bool, str]] = database.probe()
    named = path or database.default_path(("",))
    if not all(ok for _, ok, _ in found):
        return [*found, *locked_out(database, found, named, "source")]
    table: Table | None = None
    try:
        table = describe()
        named = named if path is None else table.path
        found.append(("table", True, f"{table.dataset.name}: {len(table.columns)} columns"))
    except HdmError as error:
        found.append(("table", False, error.in_one_line))
    lacks = [row for part in parts for row in findings(database, named, part) if not row[1]]
    if lacks or table is None:
        return [*found, *lacks]
    return [*found, ("grants", True, f"may read {table.dataset.name}")]


def of_sink(database: Any, path: Sequence[str]) -> list[tuple[str, bool, str]]:
    """Return the results of a sink's tests: the connection, and the rights to make and fill tables."""
    found: list[tuple[str, bool, str]] = database.probe()
    if all(ok for _, ok, _ in found):
        return [*found, *database.grants(path)]
    return [*found, *locked_out(database, found, path, "sink")]


def locked_out(
    database: Any, found: Sequence[tuple[str, bool, str]], path: Sequence[str], part: str
) -> list[tuple[str, bool, str]]:
    """Return a result for each right without which the login in ``found`` was refused; none if not known."""
    said = " ".join(detail for _, ok, detail in found if not ok)
    known = grants.rights(database.dialect.grants_script, part)
    names = database.profile_names(path)
    return [
        ("grants", False, told(database, part, right, names))
        for words, rights in database.dialect.login_rights.items()
        for right in rights
        if words in said and right in known
    ]


def told(database: Any, part: str, right: str, names: dict[str, str]) -> str:
    """Return a line that names a missing right and the statement that gives it, if the script has one."""
    script = database.dialect.grants_script
    if right not in grants.rights(script, part):
        return f"lacks {right}"
    return f"lacks {right}: {grants.statement(script, part, right, names)}"


def may(database: Any, connection: Any, sql: str) -> bool | None:
    """Return True if a statement that reads or changes no row is carried out, False if it is refused.

    None if it fails for another reason: what it names is not there, or the error may pass.
    """
    try:
        database.run(connection, sql)
    except (ConnectionLost, TransientError):
        raise
    except SchemaDrift:
        found: bool | None = None
    except HdmError:
        found = False
    else:
        return True
    with suppress(HdmError):
        database.rollback(connection)
    return found
