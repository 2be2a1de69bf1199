"""Variables and the two procedures of application locks, as hdm's upgrade of the state database uses them.

https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-getapplock-transact-sql
"""

from __future__ import annotations

import re
from typing import Any

import psycopg

from tests.servers import sqlserver_wire as wire
from tests.servers.sqlserver_types import Refused

_SAVE = re.compile(r"(SAVE|ROLLBACK)\s+TRAN(?:SACTION)?\s+\[?(\w+)\]?\s*\Z", re.I)
_DECLARE = re.compile(r"DECLARE\s+@(\w+)\s+INT\s*\Z", re.I)
_EXEC = re.compile(
    r"EXEC(?:UTE)?\s+(?:@(\w+)\s*=\s*)?(sp_getapplock|sp_releaseapplock)\s+(.*)\Z", re.I | re.S
)
_PLACE = re.compile(r"\$(\d+)(?=::)")
_GIVEN = re.compile(r"@(\w+)\s*=\s*(?:'([^']*)'|@(\w+)|(-?\d+))")


def carried_out(behind: Any, sql: str, parameters: Any, within: bool) -> bool:
    """Carry out a savepoint, a declaration or one of the procedures; False if the statement is another.

    A variable is one of ``parameters`` from then on. ``within``: whether a transaction is open.
    """
    if found := _SAVE.match(sql):
        if not within:
            raise Refused(628 if found[1].upper() == "SAVE" else 3903, "There is no active transaction.")
        word = "SAVEPOINT" if found[1].upper() == "SAVE" else "ROLLBACK TO SAVEPOINT"
        try:
            behind.execute(f'{word} "{found[2]}"'.encode())
        except psycopg.errors.InvalidSavepointSpecification:
            raise Refused(
                6401, f"Cannot roll back {found[2]}. No savepoint of that name was found."
            ) from None
        return True
    if found := _DECLARE.match(sql):
        parameters.append(wire.Parameter(found[1], None, "int", False))
        return True
    found = _EXEC.match(sql)
    if found is None:
        return False
    known = {one.name.lower(): one for one in parameters}
    given = {
        name.lower(): known[mark.lower()].value if mark else text or number
        for name, text, mark, number in _GIVEN.findall(found[3])
    }
    if given.get("lockowner") != "Session":
        raise Refused(1220, "No more lock classes available from transaction.")
    if found[2].lower() == "sp_releaseapplock":
        behind.execute(b"SELECT pg_advisory_unlock(hashtext($1))", [str(given["resource"])])
        return True
    before = behind.execute(b"SHOW lock_timeout").fetchone()[0]
    behind.execute(f"SET lock_timeout = {int(given['locktimeout'])}".encode())
    try:
        behind.execute(b"SELECT pg_advisory_lock(hashtext($1))", [str(given["resource"])])
        got = 0
    except psycopg.errors.LockNotAvailable:
        got = -1
    finally:
        behind.execute(f"SET lock_timeout = '{before}'".encode())
    if found[1]:
        place = [one.name.lower() for one in parameters].index(found[1].lower())
        parameters[place] = wire.Parameter(found[1], got, "int", False)
    return True


def used(sql: str, values: list[Any]) -> tuple[bytes, list[Any] | None]:
    """The statement with those of the values that it names: PostgreSQL takes no others."""
    places = list(dict.fromkeys(int(mark) for mark in _PLACE.findall(sql)))
    if len(places) < len(values):
        sql = _PLACE.sub(lambda mark: f"${places.index(int(mark[1])) + 1}", sql)
        values = [values[place - 1] for place in places]
    return sql.encode(), values or None
