"""JDBC drivers of Debian, and databases in Java that run inside this process.

``Plain`` speaks to them through the driver alone, by another way than hdm: a getter for each type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hdm.sql import jdbc_machine
from tests.servers import provision
from tests.servers.process import new_name

_WHOLE, _FLOAT, _FLAG, _BYTES = (-6, 5, 4, -5), (6, 7, 8), (16, -7), (-2, -3, -4, 2004)


@dataclass(frozen=True)
class Drivers:
    """Where the jars are, and the drivers' classes."""

    h2: Path
    hsqldb: Path
    postgres: Path
    mariadb: Path

    def fresh(self, system: str) -> dict[str, Any]:
        """The profile of an empty database in memory, which lasts as long as the process."""
        url = {
            "h2": f"jdbc:h2:mem:{new_name('t')};DB_CLOSE_DELAY=-1",
            "hsqldb": f"jdbc:hsqldb:mem:{new_name('t')};hsqldb.tx=mvcc",
        }[system]
        return {"url": url, "user": "SA", "password": "", "driver": self.driver(system)}

    def driver(self, system: str) -> dict[str, str]:
        name = {
            "h2": "org.h2.Driver", "hsqldb": "org.hsqldb.jdbc.JDBCDriver",
            "postgres": "org.postgresql.Driver", "mariadb": "org.mariadb.jdbc.Driver",
        }[system]  # fmt: skip
        return {"name": name, "path": str(getattr(self, system))}


def drivers() -> Drivers:
    provision.java_home()
    return Drivers(
        provision.h2_jar(),
        provision.jdbc_jar("libhsqldb-java", "hsqldb.jar"),
        provision.jdbc_jar("libpostgresql-jdbc-java", "postgresql.jar"),
        provision.jdbc_jar("libmariadb-java", "mariadb-java-client.jar"),
    )


class Plain:
    """A session by the driver alone, in autocommit, with the few names of DB-API that the suites use."""

    def __init__(self, profile: dict[str, Any]) -> None:
        driver = profile["driver"]
        login = {"user": profile["user"], "password": profile["password"]}
        self.java = jdbc_machine.connect(driver["name"], [driver["path"]], profile["url"], login)
        self.description: bool | None = None
        self._result: Any = None

    def cursor(self) -> Plain:
        return self

    def execute(self, sql: str) -> None:
        statement = self.java.createStatement()
        self.description = statement.execute(sql) or None
        self._result = statement.getResultSet() if self.description else None

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        statement = self.java.prepareStatement(sql)
        for row in rows:
            for n, value in enumerate(row, 1):
                statement.setObject(n, value)
            statement.execute()

    def fetchall(self) -> list[tuple[Any, ...]]:
        meta = self._result.getMetaData()
        codes = [int(meta.getColumnType(n)) for n in range(1, meta.getColumnCount() + 1)]
        rows = []
        while self._result.next():
            rows.append(tuple(self._value(n, code) for n, code in enumerate(codes, 1)))
        return rows

    def _value(self, n: int, code: int) -> Any:
        result = self._result
        if code in _BYTES:
            found = result.getBytes(n)
            return None if found is None else bytes(found)
        for codes, get, made in (
            (_WHOLE, result.getLong, int), (_FLOAT, result.getDouble, float),
            (_FLAG, result.getBoolean, bool),
        ):  # fmt: skip
            if code in codes:
                value = get(n)
                return None if result.wasNull() else made(value)
        text = result.getString(n)
        if text is not None and code == 92:
            return text.rjust(len(text) + (text[1] == ":"), "0")
        return text.replace("+0:00", "+00:00") if text is not None and code == 2014 else text

    def commit(self) -> None:
        """Each statement is committed by itself."""

    def close(self) -> None:
        self.java.close()
