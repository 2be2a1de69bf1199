"""Carries out BigQuery's SQL on DuckDB: transactions in sessions, which conflict by the table."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from tests.servers.bigquery_parts import (
    AS_TEXT,
    Name,
    Refused,
    Result,
    Session,
    Table,
    declared,
    quoted,
    translated,
)
from tests.servers.bigquery_values import Field, duck, field_of


class Warehouse:
    """The tables of one project."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.database = duckdb.connect()
        self.database.execute(AS_TEXT)
        self.datasets: dict[str, str] = {}
        self.tables: dict[Name, Table] = {}
        self.sessions: dict[str, Session] = {}
        self.lock = threading.RLock()
        self._moment = 0
        self._last: dict[Name, int] = {}

    def fresh(self) -> Any:
        connection = self.database.cursor()
        connection.execute("SET TimeZone = 'UTC'")
        return connection

    def now(self) -> int:
        """Microseconds since 1970, a greater number each time."""
        with self.lock:
            self._moment = max(self._moment + 1, time.time_ns() // 1000)
            return self._moment

    def begin_session(self) -> str:
        name = uuid.uuid4().hex
        self.sessions[name] = Session(self.fresh())
        return name

    def end_session(self, name: str) -> None:
        session = self.sessions.pop(name, None)
        if session is None:
            raise Refused("invalid", f"Session {name} not found or expired.", 404)
        with session.lock:
            if session.begun is not None:
                self._rolled_back(session)
            session.connection.close()

    # -- statements --------------------------------------------------------------

    def run(self, sql: str, values: list[Any], session: Session | None, dry: bool = False) -> Result:
        words = sql.strip().rstrip(";").upper().split()
        if words[-1:] == ["TRANSACTION"]:
            return self._transaction(words[0], session)
        try:
            tree = sqlglot.parse_one(sql, read="bigquery")
        except sqlglot.errors.SqlglotError as error:
            raise Refused("invalidQuery", f"Syntax error: {error}") from None
        if isinstance(tree, exp.Create | exp.Drop | exp.Alter | exp.TruncateTable):
            if session is not None and session.begun is not None:
                raise Refused("invalidQuery", "DDL statements are not supported in a transaction")
            with self.lock:
                return self._defines(tree)
        connection = session.connection if session is not None else self.fresh()
        try:
            return self._runs(tree, values, session, connection, dry)
        finally:
            if session is None:
                connection.close()

    def _runs(
        self, tree: Any, values: list[Any], session: Session | None, connection: Any, dry: bool
    ) -> Result:
        kind = tree.key.upper()
        into: Name | None = None
        if isinstance(tree, exp.Update | exp.Delete) and tree.args.get("where") is None:
            raise Refused("invalidQuery", f"{kind} must have a WHERE clause")
        if isinstance(tree, exp.Insert | exp.Update | exp.Delete | exp.Merge):
            place = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
            into = self._name(place)
            if not isinstance(tree, exp.Insert):
                self._conflicts(into, session)
        made = self._translated(tree, connection)
        if dry:
            made = f"SELECT * FROM ({made}) LIMIT 0"
        try:
            rows = connection.execute(made, values or None).to_arrow_table()
        except duckdb.Error as error:
            raise self._refusal(error, session, into) from None
        if into is None:
            return Result("SELECT", rows, self._result_fields(rows, tree))
        changed = int(rows.column(0)[0].as_py()) if rows.num_rows else 0
        if session is None or session.begun is None:
            self._has_changed({into})
        else:
            session.changed.add(into)
        return Result(kind, changed=changed)

    def _result_fields(self, rows: pa.Table, tree: Any) -> list[Field]:
        held: dict[str, Field] = {}
        with contextlib.suppress(Refused):
            for place in tree.find_all(exp.Table):
                held |= {one["name"]: one for one in self.tables[self._name(place)].fields}
        plain = {c.alias_or_name for c in tree.expressions if isinstance(c.unalias(), exp.Column | exp.Star)}
        star = any(isinstance(c, exp.Star) for c in tree.expressions)
        return [
            held[f.name] if f.name in held and (star or f.name in plain) else field_of(f) for f in rows.schema
        ]

    def _conflicts(self, into: Name, session: Session | None) -> None:
        """Cancel a transaction whose table another one changes, or has changed since it began."""
        with self.lock:
            others = any(one is not session and into in one.mutated for one in self.sessions.values())
            late = (
                session is not None and session.begun is not None and self._last.get(into, 0) > session.begun
            )
            if not others and not late:
                if session is not None and session.begun is not None:
                    session.mutated.add(into)
                return
        if session is not None and session.begun is not None:
            self._rolled_back(session)
        raise self._conflict(into)

    def _conflict(self, into: Name) -> Refused:
        name = f"{self.project}:{'.'.join(into)}"
        said = f"Transaction is aborted due to concurrent update against table {name}."
        return Refused("invalidQuery", f"{said} Transaction ID: {self.now()}")

    def _refusal(self, error: Any, session: Session | None, into: Name | None) -> Refused:
        said = str(error)
        if (
            session is not None
            and session.begun is not None
            and "TransactionContext" in type(error).__name__ + said
        ):
            self._rolled_back(session)
            return self._conflict(into or ("?", "?"))
        if isinstance(error, duckdb.CatalogException) and "Table" in said:
            return Refused("notFound", f"Not found: Table {said[:80]}", 404)
        if isinstance(error, duckdb.ConstraintException):
            return Refused("invalidQuery", f"Required field cannot be null: {said}")
        return Refused("invalidQuery", said)

    def _transaction(self, how: str, session: Session | None) -> Result:
        if session is None:
            raise Refused("invalidQuery", "Transaction control statements need a session or a script")
        if how == "BEGIN":
            if session.begun is not None:
                raise Refused("invalidQuery", "There is an active transaction already")
            with self.lock:
                session.connection.execute("BEGIN TRANSACTION")
                session.connection.execute("SELECT 1 FROM duckdb_tables() LIMIT 1").fetchall()
                session.begun, session.changed = self.now(), set()
            return Result("BEGIN_TRANSACTION")
        if session.begun is None:
            raise Refused("invalidQuery", "There is no active transaction")
        if how == "ROLLBACK":
            self._rolled_back(session)
            return Result("ROLLBACK_TRANSACTION")
        with self.lock:
            try:
                session.connection.execute("COMMIT")
            except duckdb.Error:
                self._rolled_back(session)
                raise self._conflict(next(iter(session.changed), ("?", "?"))) from None
            changed = session.changed
            session.begun, session.changed, session.mutated = None, set(), set()
            self._has_changed(changed)
        return Result("COMMIT_TRANSACTION")

    def _rolled_back(self, session: Session) -> None:
        with contextlib.suppress(duckdb.Error):
            session.connection.execute("ROLLBACK")
        session.begun, session.changed, session.mutated = None, set(), set()

    def _has_changed(self, names: set[Name]) -> None:
        with self.lock:
            for name in names & set(self.tables):
                self._last[name] = moment = self.now()
                if not name[1].startswith("_hdm"):
                    connection = self.fresh()
                    rows = connection.execute(f"FROM {quoted(name)}").to_arrow_table()
                    connection.close()
                    self.tables[name].versions.append((moment, rows))

    # -- tables ------------------------------------------------------------------

    def create(self, name: Name, table: Table, rows: str = "") -> None:
        """Make a table; raise ``Refused`` if there is one."""
        with self.lock:
            if name[0] not in self.datasets:
                raise Refused("notFound", f"Not found: Dataset {self.project}:{name[0]}", 404)
            if name in self.tables:
                raise Refused("duplicate", f"Already Exists: Table {self.project}:{'.'.join(name)}", 409)
            columns = ", ".join(
                f'"{f["name"]}" {duck(f)}' + (" NOT NULL" if f["mode"] == "REQUIRED" else "")
                for f in table.fields
            )
            connection = self.fresh()
            connection.execute(f"CREATE TABLE {quoted(name)} ({columns})")
            if rows:
                connection.execute(f"INSERT INTO {quoted(name)} {rows}")
            connection.close()
            self.tables[name] = table
            self._has_changed({name})

    def drop(self, name: Name) -> None:
        with self.lock:
            connection = self.fresh()
            kind = "VIEW" if self.tables[name].is_view else "TABLE"
            connection.execute(f"DROP {kind} {quoted(name)}")
            connection.close()
            del self.tables[name]

    def _defines(self, tree: Any) -> Result:
        place = tree.find(exp.Table)
        kind = str(tree.args.get("kind") or "TABLE").upper()
        if kind == "SCHEMA":
            self.datasets[place.name or place.db] = "US"
            self.database.cursor().execute(f'CREATE SCHEMA "{place.name or place.db}"')
            return Result("CREATE_SCHEMA")
        if isinstance(tree, exp.Create):
            return self._creates(tree, place, kind)
        if isinstance(tree, exp.Drop):
            name = self._name(place, there=not tree.args.get("exists"))
            if name in self.tables:
                self.drop(name)
            return Result(f"DROP_{kind}")
        name = self._name(place)
        (action,) = tree.args["actions"]
        if isinstance(action, exp.AlterRename):
            new = (name[0], action.this.name)
            if new in self.tables:
                raise Refused("duplicate", f"Already Exists: Table {new}", 409)
            self._plain(f'ALTER TABLE {quoted(name)} RENAME TO "{new[1]}"')
            self.tables[new] = self.tables.pop(name)
            self._last[new] = self.now()
            return Result("ALTER_TABLE")
        made = declared(action)
        if made["mode"] == "REQUIRED":
            raise Refused("invalidQuery", "Cannot add required columns to an existing schema")
        self._plain(f'ALTER TABLE {quoted(name)} ADD COLUMN "{made["name"]}" {duck(made)}')
        self.tables[name].fields.append(made)
        return Result("ALTER_TABLE")

    def _creates(self, tree: Any, place: Any, kind: str) -> Result:
        name = self._name(place, there=False)
        if kind == "VIEW":
            made = self._translated(tree.expression, None)
            self._plain(f"CREATE VIEW {quoted(name)} AS {made}")
            rows = self.database.cursor().execute(f"FROM {quoted(name)} LIMIT 0").to_arrow_table()
            fields = self._result_fields(rows, tree.expression)
            self.tables[name] = Table(fields, self.now() // 1000, is_view=True)
            self.tables[name].clauses["query"] = tree.expression.sql("bigquery")
            return Result("CREATE_VIEW")
        clauses: dict[str, str] = {}
        for one in (tree.args.get("properties") or exp.Properties(expressions=[])).expressions:
            clauses[type(one).__name__] = one.sql("bigquery")
        fields, key, rows_sql = [], [], ""
        if isinstance(tree.this, exp.Schema):
            for one in tree.this.expressions:
                if isinstance(one, exp.ColumnDef):
                    fields.append(declared(one))
                elif isinstance(one, exp.PrimaryKey):
                    key = [part.name for part in one.expressions]
        if tree.expression is not None and not fields:
            rows_sql = self._translated(tree.expression, None)
            rows = self.database.cursor().execute(f"SELECT * FROM ({rows_sql}) LIMIT 0").to_arrow_table()
            fields = [{**f, "mode": "NULLABLE" if f["mode"] == "REQUIRED" else f["mode"]}
                      for f in self._result_fields(rows, tree.expression)]  # fmt: skip
        if name in self.tables and tree.args.get("replace"):
            self.drop(name)
        if not (name in self.tables and tree.args.get("exists")):
            self.create(name, Table(fields, self.now() // 1000, clauses, key=key), rows_sql)
        return Result("CREATE_TABLE")

    def _plain(self, sql: str) -> None:
        connection = self.fresh()
        try:
            connection.execute(sql)
        except duckdb.Error as error:
            raise Refused("invalidQuery", str(error)) from None
        finally:
            connection.close()

    def _name(self, place: Any, *, there: bool = True) -> Name:
        project, dataset, name = place.catalog or self.project, place.db, place.name
        if not dataset:
            raise Refused("invalid", f'Table "{name}" must be qualified with a dataset (e.g. dataset.table).')
        if project != self.project or dataset not in self.datasets:
            raise Refused("notFound", f"Not found: Dataset {project}:{dataset} was not found", 404)
        if there and (dataset, name) not in self.tables:
            raise Refused("notFound", f"Not found: Table {project}:{dataset}.{name} was not found", 404)
        return dataset, name

    # -- translation -------------------------------------------------------------

    def _translated(self, tree: Any, connection: Any) -> str:
        with_names = {cte.alias for cte in tree.find_all(exp.CTE)}
        made = tree.copy()
        for place in list(made.find_all(exp.Table)):
            if place.name in with_names and not place.db:
                continue
            dataset, name = self._name(place)
            version = place.args.get("version")
            if version is not None:
                shown = self._as_of((dataset, name), version, connection)
                place.replace(exp.to_table(shown, quoted=True))
                continue
            place.set("catalog", None)
        made = made.transform(translated)
        return str(made.sql("duckdb")).replace("%E4Y", "%Y")

    def _as_of(self, name: Name, version: Any, connection: Any) -> str:
        moment = (
            f"SELECT epoch_us(CAST({version.expression.transform(translated).sql('duckdb')} AS TIMESTAMPTZ))"
        )
        wanted = int(self.database.cursor().execute(moment).fetchall()[0][0])
        with self.lock:
            found = [rows for when, rows in self.tables[name].versions if when <= wanted]
        if not found:
            raise Refused("invalidQuery", f"Invalid snapshot time {wanted} for table {name}")
        shown = f"as_of_{uuid.uuid4().hex}"
        connection.register(f"{shown}_rows", found[-1])
        columns = ", ".join(
            f'CAST("{f["name"]}" AS {duck(f)}) AS "{f["name"]}"' for f in self.tables[name].fields
        )
        connection.execute(f"CREATE TEMP VIEW {shown} AS SELECT {columns} FROM {shown}_rows")
        return shown
