"""Writes to PostgreSQL besides COPY: ends older attempts, creates and swaps tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hdm.connectors.postgres.reading import Reading
from hdm.dialects import postgres_catalog as catalog
from hdm.model import Column, Table


class Writing(Reading):
    """Writes tables of a PostgreSQL database; a base class of ``PostgresDatabase``."""

    # -- writing -------------------------------------------------------------------

    def missing_grants(self, connection: Any, path: Sequence[str]) -> list[str] | None:
        """Return the privileges that the user lacks on the schema of ``path``; or the schema, if missing."""
        schema = path[-2]
        if not self.run(connection, "SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)):
            return [f"schema {schema}, which is not there"]
        return super().missing_grants(connection, path)

    def has_right(self, connection: Any, path: Sequence[str], right: str) -> bool | None:
        """Return True if the user has a right, else False, by PostgreSQL's own functions.

        None for a schema or table that is not there. SELECT on some columns counts as SELECT.
        """
        word, _, of = right.partition(" on the ")
        if of not in catalog.RIGHTS:
            return None
        asked = {"right": word, "of": path[-2], "table": path[-1]}
        found = self.run(connection, catalog.RIGHTS[of], asked)  # type: ignore[arg-type]
        return bool(found[0][0]) if found else None

    def grant_names(self, connection: Any, path: Sequence[str]) -> dict[str, str]:
        """Return the names for the grants script: the role, the database, the schema and the table."""
        user, database = self.run(connection, "SELECT current_user::text, current_database()::text")[0]
        known = super().grant_names(connection, path)
        return known | {"user": self.dialect.quote(user), "database": self.dialect.quote(database)}

    def wire_types(self, connection: Any, path: Sequence[str], columns: Sequence[Column]) -> list[str]:
        """Return the present PostgreSQL type (``pg_type.typname``) of each column, or ``enum``.

        It is '' for a type that is not built in, and for a column that does not exist.
        """
        rows = self.run(connection, catalog.WIRE_TYPES, (self.dialect.qualify(path),))
        found = {str(name): str(held or "") for name, held in rows}
        return [found.get(column.name, "") for column in columns]

    def evict(self, connection: Any, mark: str, attempt: int) -> None:
        """Terminate this role's other sessions that belong to older attempts at the same work.

        ``mark`` is how their application_name begins, such as ``hdm:<start of a chunk's id>:``; the attempt's
        number follows. Those with a number below ``attempt`` are terminated.
        """
        for pid, label in self.run(connection, catalog.SESSIONS, (mark,)):
            number = str(label).rsplit(":", 1)[-1]
            if number.isdecimal() and int(number) < attempt:
                self.run(connection, "SELECT pg_terminate_backend(%s)", (pid,))

    def watch_triggers(self, connection: Any, path: Sequence[str]) -> Callable[[], int] | None:
        """Return a function that counts the rows of the table that this transaction wrote.

        None if the table has no triggers. Each row carries the transaction that wrote it (PostgreSQL manual
        5.5, ``xmin``).
        """
        table = self.dialect.qualify(path)
        if not self.run(connection, catalog.TRIGGERS, (table, table)):
            return None
        return lambda: int(self.run(connection, catalog.WRITTEN_HERE.format(table))[0][0])

    def create_beside(
        self, connection: Any, target: Table, new: Sequence[str], existing: Table | None
    ) -> None:
        """Create an empty table ``new`` like the one whose rows it will replace.

        A row that breaks a constraint is thus found while it is loaded. Nobody else may read the new table,
        whatever the schema's default privileges grant: a policy of the old table may hide rows. Without an
        existing table, the columns are those of ``target``.
        """
        if existing is None:
            super().create_beside(connection, target, new, existing)
            return
        old, fresh = self.dialect.qualify(existing.path), self.dialect.qualify(new)
        self.run(connection, f"CREATE TABLE {fresh} (LIKE {old} INCLUDING ALL)")
        for (role,) in self.run(connection, catalog.GRANTEES, (fresh,)):
            self.run(connection, f"REVOKE ALL ON {fresh} FROM {role}")
        if self.run(connection, catalog.HAS_POLICIES, (old,)):
            self.run(connection, f"ALTER TABLE {fresh} ENABLE ROW LEVEL SECURITY")

    def swap(self, connection: Any, target: Sequence[str], new: Sequence[str], old: Sequence[str]) -> None:
        """Replace the rows of table ``target`` by those of table ``new``.

        Readers see the old rows until the commit; other writers wait for it.
        """
        # A process that is stopped in here would lock everybody out of the table, readers too.
        self.run(connection, "SET LOCAL idle_in_transaction_session_timeout = '30s'")
        name = self.dialect.qualify(target)
        if self.run(connection, "SELECT to_regclass(%s)::text", (name,))[0][0]:
            self.run(connection, f"LOCK TABLE {name} IN EXCLUSIVE MODE")
        key = self.run(connection, catalog.KEY_NAME, (name,))
        super().swap(connection, target, new, old)
        now = self.run(connection, catalog.KEY_NAME, (name,))
        if key and now and key != now:  # a key is named after its table, and the tables changed names
            index = self.dialect.qualify((*target[:-1], now[0][0])[-2:])
            self.run(connection, f"ALTER INDEX {index} RENAME TO {self.dialect.quote(key[0][0])}")

    def is_bare(self, connection: Any, path: Sequence[str], new: Sequence[str]) -> bool:
        """Return True if a table has columns, defaults, checks and a primary key, and nothing else.

        The table may be replaced by table ``new`` then. Every catalogue that may refer to a table is
        consulted.
        """
        names = [self.dialect.qualify(one) for one in (path, new)]
        return bool(self.run(connection, catalog.BARE, (*path[-2:], *names)) == [(True,)])

    def unreplaceable(self, connection: Any, path: Sequence[str]) -> list[str]:
        """Return reasons why the table's rows cannot be replaced; none if they can.

        The table may be a view or a foreign table, or have rules, tables that inherit from it, or policies
        that apply to this user.
        """
        found = self.run(connection, catalog.UNREPLACEABLE, (self.dialect.qualify(path),))
        return [str(why) for why in (found[0] if found else ()) if why]

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """Return the tables in the schema of ``path`` whose names start with ``prefix``."""
        return [(str(s), str(t)) for s, t in self.run(connection, catalog.TABLES_LIKE, (path[-2], prefix))]
