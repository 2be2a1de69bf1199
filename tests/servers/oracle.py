"""A stand-in for python-oracledb: its sessions are those of an H2 in Oracle's mode.

H2 runs the SQL that hdm writes; ``REWRITTEN`` lists what it is told in other words, and ``SILENT`` what it
is not told at all, since it has nothing of the kind. The dictionary is answered from H2's INFORMATION_SCHEMA,
without what Oracle knows besides. Values are bound as literals. Errors carry Oracle's codes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from tests.fixtures.oracle_frames import Described, array, described
from tests.servers.h2 import H2, Answer, H2Error, Session

REWRITTEN: tuple[tuple[str, str, str], ...] = (
    # what hdm writes, what H2 is told, why
    (r"CREATE PRIVATE TEMPORARY TABLE", "CREATE LOCAL TEMPORARY TABLE", "H2's word for it"),
    (r" ON COMMIT PRESERVE DEFINITION", "", "H2 keeps temporary tables until the session ends"),
    (r"\ABEGIN EXECUTE IMMEDIATE '(DROP TABLE .*) PURGE'; EXCEPTION .*", r"\1", "H2 has no PL/SQL"),
    (r"\A(DROP TABLE .*) PURGE", r"\1", "H2 has no recycle bin"),
    (r" AS OF SCN \d+", "", "H2 has no history"),
    (r"\bROWID\b", "_ROWID_", "H2's word for it"),
    (r"NLSSORT\(([^(),]+), 'NLS_SORT=BINARY'\)", r"\1", "H2 compares texts by their code points"),
    (r"\bt\.(\"[^\"]+\")(?=[^()]*\) VALUES)", r"\1", "H2 names inserted columns bare"),
    (r"TO_NUMBER\(([^()]*)\)", r"CAST(\1 AS DECFLOAT(40))", "H2 lacks TO_NUMBER"),
    (r"TO_BINARY_DOUBLE\(([^()]*)\)", r"CAST(\1 AS DOUBLE PRECISION)", "H2 lacks TO_BINARY_DOUBLE"),
    (r"NUMTODSINTERVAL\(([\d.]+), 'SECOND'\)", r"(\1 * INTERVAL '1' SECOND)", "H2 lacks NUMTODSINTERVAL"),
    (
        r"SYS_EXTRACT_UTC\(([^()]*)\)",
        r"CAST(\1 AT TIME ZONE 'UTC' AS TIMESTAMP(9))",
        "H2 lacks SYS_EXTRACT_UTC",
    ),
    (
        r"FROM_TZ\((TO_TIMESTAMP\([^()]*\)), 'UTC'\)",
        r"CAST(\1 AS TIMESTAMP(9) WITH TIME ZONE)",
        "H2 lacks FROM_TZ",
    ),
)
SILENT: tuple[tuple[str, str], ...] = (
    (r"ALTER SESSION SET ", "H2 has none of Oracle's NLS settings"),
    (r"SET TRANSACTION READ ONLY", "H2 has no transactions that only read"),
    (r"LOCK TABLE .* IN EXCLUSIVE MODE", "H2 has no lock of a table that can be asked for"),
)
_CODES = {
    # H2's SQLSTATE -> Oracle's code: https://www.h2database.com/javadoc/org/h2/api/ErrorCode.html
    "23505": "ORA-00001", "23502": "ORA-01400", "23506": "ORA-02291", "23503": "ORA-02292",
    "23513": "ORA-02290", "22001": "ORA-12899", "22003": "ORA-01438", "22018": "ORA-01722",
    "22007": "ORA-01843", "42S01": "ORA-00955", "42S02": "ORA-00942", "42S03": "ORA-00942",
    "42S04": "ORA-00942", "42S22": "ORA-00904", "40001": "ORA-00060", "HYT00": "ORA-30006",
}  # fmt: skip
"""Any other, such as a syntax error, is ORA-00900."""
_TYPES = (
    "BINARY_DOUBLE",
    "BINARY_FLOAT",
    "CLOB",
    "NCLOB",
    "BLOB",
    "LONG",
    "LONG_NVARCHAR",
    "LONG_RAW",
    "NVARCHAR",
)


def oracledb(server: H2, database: str) -> Any:
    """The names of python-oracledb that hdm uses, for one database.

    ``idle`` is to be closed at the end; without ``private``, the server is a 12.2, which has no private
    temporary tables.
    """
    made: SimpleNamespace = SimpleNamespace(
        connect=lambda **options: Connection(server, database, str(options.get("user")), made),
        idle=list[Session](),
        private=True,
        **{f"DB_TYPE_{kind}": kind for kind in _TYPES},
    )
    return made


class DatabaseError(Exception):
    """As python-oracledb raises it."""


class Connection:
    """One session, in transactions as python-oracledb keeps them: the next statement begins one.

    H2's session goes back to ``idle`` at the end, without its temporary tables: to open one takes a while.
    """

    module = action = ""
    call_timeout = 0
    outputtypehandler: Any = None

    def __init__(self, server: H2, database: str, user: str, driver: Any) -> None:
        try:
            self.session: Session = driver.idle.pop()
        except IndexError:
            self.session = server.connect(database)
        self.driver = driver
        self.user, self.temporary, self.is_open = user.upper(), list[str](), True
        self.ask(f'CREATE SCHEMA IF NOT EXISTS "{self.user}"')
        self.ask("SET AUTOCOMMIT FALSE")

    def ask(self, sql: str) -> Answer:
        """Run H2's own SQL; refusals carry Oracle's codes."""
        try:
            return self.session.ask(sql)
        except H2Error as error:
            code = _CODES.get(error.state, "ORA-00900")
            raise DatabaseError(SimpleNamespace(full_code=code, message=f"{code}: {error}")) from error

    def cursor(self) -> Cursor:
        return Cursor(self)

    def fetch_df_batches(self, sql: str, *, size: int, fetch_decimals: bool) -> Iterator[pa.Table]:
        """Data frames with the types of the driver's: of what is no bare column, VARCHAR2."""
        assert fetch_decimals
        found = Cursor(self)
        found.execute(sql)
        place = re.search(r' FROM "([^"]+)"\."([^"]+)"', sql)
        assert place, sql
        known = {name: kind for name, kind, *_ in dictionary(self, "FROM all_tab_cols", place.groups()) or ()}
        arrays = {}
        for number, (expression, name) in enumerate(SELECTED.findall(sql.partition(" FROM ")[0])):
            kind = described(known.get(expression.strip('"'), "VARCHAR2"))
            arrays[name] = array(kind, [_value(kind, row[number]) for row in found.rows], 26)
        whole = pa.table(arrays)
        for at in range(0, max(whole.num_rows, 1), size):
            yield whole.slice(at, size)

    def commit(self) -> None:
        self.ask("COMMIT")

    def rollback(self) -> None:
        self.ask("ROLLBACK")

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self.ask("ROLLBACK")
            for name in self.temporary:
                self.ask(f"DROP TABLE IF EXISTS {name}")
            self.driver.idle.append(self.session)


SELECTED = re.compile(r'(?:^SELECT (?:/\*.*?\*/ )?|, )?(.+?) AS "([^"]+)"(?=, |$)')


def _value(kind: Described, value: Any) -> Any:
    """H2's text as ``oracle_frames`` takes it."""
    if value is None or kind.name in ("VARCHAR2", "CLOB", "CHAR", "DATE", "TIMESTAMP"):
        return value
    if kind.name == "NUMBER":
        return Decimal(value)
    if kind.name in ("BINARY_DOUBLE", "BINARY_FLOAT"):
        return float(value)
    return bytes(value)


class Cursor:
    """A cursor: binds by position, as ``:1``."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.rows: list[tuple[Any, ...]] = []
        self.description: Any = None
        self.rowcount = 0

    def setinputsizes(self, *sizes: Any) -> None:
        """Literals need none."""

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        self.rows, self.description, self.rowcount = [], None, 0
        if any(re.match(pattern, sql) for pattern, _ in SILENT):
            return
        answer = dictionary(self.connection, sql, values)
        if answer is not None:
            self.rows, self.description, self.rowcount = answer, [("c",)], len(answer)
            return
        temporary = re.match(r'CREATE PRIVATE TEMPORARY TABLE ("[^"]+")', sql)
        if temporary and not self.connection.driver.private:
            raise DatabaseError(SimpleNamespace(full_code="ORA-00901", message="ORA-00901: invalid CREATE"))
        try:
            made = self.connection.ask(told_in_h2s_words(bound(sql, values)))
        except DatabaseError as error:
            if sql.startswith("BEGIN EXECUTE IMMEDIATE") and error.args[0].full_code == "ORA-00942":
                return
            raise
        if temporary:
            self.connection.temporary.append(temporary[1])
        self.description = [("c",)] if made.is_query else None
        self.rows, self.rowcount = list(made.rows), made.count

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        taken = 0
        for row in rows:
            self.execute(sql, row)
            taken += self.rowcount
        self.rowcount = taken

    def fetchall(self) -> list[tuple[Any, ...]]:
        rows, self.rows = self.rows, []
        return rows

    def close(self) -> None:
        self.rows = []


def bound(sql: str, values: Sequence[Any]) -> str:
    """The statement with its values as literals."""
    return re.sub(r":(\d+)", lambda mark: _literal(values[int(mark[1]) - 1]), sql) if values else sql


def _literal(value: Any) -> str:
    if value is None or value == b"":
        return "NULL"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, float) and not math.isfinite(value):
        return f"CAST('{'NaN' if math.isnan(value) else 'Infinity' if value > 0 else '-Infinity'}' AS"
        " DOUBLE PRECISION)"
    if isinstance(value, float):
        return f"CAST({value!r} AS DOUBLE PRECISION)"
    if isinstance(value, int | Decimal):
        return str(value)
    assert isinstance(value, str), type(value)
    return "'" + value.replace("'", "''") + "'"


def told_in_h2s_words(sql: str) -> str:
    for pattern, instead, _ in REWRITTEN:
        sql = re.sub(pattern, instead, sql, flags=re.DOTALL)
    return sql.replace("''", "'") if sql.startswith("DROP TABLE") else sql


# -- the dictionary -----------------------------------------------------------------------------

_COLUMNS = """SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE,
    DATETIME_PRECISION, IS_NULLABLE FROM INFORMATION_SCHEMA.COLUMNS
    WHERE TABLE_SCHEMA = {0} AND TABLE_NAME = {1} ORDER BY ORDINAL_POSITION"""
_KEY = """SELECT c.COLUMN_NAME FROM INFORMATION_SCHEMA.TABLE_CONSTRAINTS k
    JOIN INFORMATION_SCHEMA.KEY_COLUMN_USAGE c ON c.CONSTRAINT_NAME = k.CONSTRAINT_NAME
    AND c.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA
    WHERE k.TABLE_SCHEMA = {0} AND k.TABLE_NAME = {1} AND k.CONSTRAINT_TYPE = 'PRIMARY KEY'
    ORDER BY c.ORDINAL_POSITION"""
_TABLES = "SELECT TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = {0}"


def dictionary(connection: Connection, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]] | None:
    """The answer to a question about the catalogue; None for any other statement."""

    def rows(question: str) -> list[tuple[Any, ...]]:
        return list(connection.ask(question.format(*map(_literal, values))).rows)

    if "nls_database_parameters" in sql:
        return [("AL32UTF8",)]
    if "v$database" in sql:
        return [("4711",)]
    if "data_object_id FROM all_objects" in sql:
        found = rows(_TABLES + " AND TABLE_NAME = {1}")
        return [(None, "TABLE", None, 1, 1)] if found else []
    if "FROM all_objects" in sql:
        return rows(_TABLES + " AND UPPER(TABLE_NAME) = UPPER({1})")
    if "FROM all_tab_cols" in sql:
        return [
            (name, native(*kind), 1 if nullable == "YES" else 0, None, None, None, None, 0, None, None)
            for name, *kind, nullable in rows(_COLUMNS)
        ]
    if "k.constraint_name" in sql and "'P'" in sql:
        return rows(_KEY)
    if "num_rows" in sql:
        return []
    if sql.startswith("SELECT table_name FROM all_tables"):
        return [(name,) for _, name in rows(_TABLES)]
    if "all_constraints" in sql:
        return []
    return None


def native(kind: str, length: Any, precision: Any, scale: Any, digits: Any) -> str:
    """Oracle's name of an H2 type; a DATE, which H2 keeps as TIMESTAMP(0), comes back as one."""
    kind = kind.upper()
    if kind == "NUMERIC":
        return f"NUMBER({precision},{scale})" if int(precision) <= 38 else "NUMBER"
    if kind == "TIMESTAMP":
        return f"TIMESTAMP({digits})" if int(digits) else "DATE"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"TIMESTAMP({digits}) WITH TIME ZONE"
    return {
        "CHARACTER VARYING": f"VARCHAR2({length} CHAR)", "CHARACTER": f"CHAR({length} CHAR)",
        "CHARACTER LARGE OBJECT": "CLOB", "BINARY VARYING": f"RAW({length})", "BINARY LARGE OBJECT": "BLOB",
        "DOUBLE PRECISION": "BINARY_DOUBLE", "REAL": "BINARY_FLOAT", "DECFLOAT": "NUMBER",
    }.get(kind, kind)  # fmt: skip


__all__ = ["REWRITTEN", "SILENT", "Connection", "Cursor", "DatabaseError", "oracledb"]
