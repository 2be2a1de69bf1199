"""What a PostgreSQL sink does besides COPY: ends zombies, prepares and swaps tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hdm.connectors.postgres.reading import Reading
from hdm.dialects import postgres_catalog as catalog
from hdm.model import Column, Table


class Writing(Reading):
    """The writing half of ``PostgresDatabase``."""

    # -- writing -------------------------------------------------------------------

    def lacking(self, connection: Any, path: Sequence[str]) -> list[str] | None:
        """CREATE and USAGE on the schema, if there is one."""
        schema = path[-2]
        asked = "SELECT nspname, has_schema_privilege(oid, 'CREATE'), has_schema_privilege(oid, 'USAGE')"
        found = self.run(connection, f"{asked} FROM pg_namespace WHERE nspname = %s", (schema,))
        if not found:
            return [f"schema {schema}, which is not there"]
        rights = zip(("CREATE", "USAGE"), found[0][1:], strict=True)
        return [f"{right} on schema {schema}" for right, granted in rights if not granted]

    def wire_types(self, connection: Any, path: Sequence[str], columns: Sequence[Column]) -> list[str]:
        """The ``pg_type.typname`` of each column as it is now, ``enum``, or '' for one that is not
        built in, or not there."""
        rows = self.run(connection, catalog.WIRE_TYPES, (self.dialect.qualify(path),))
        found = {str(name): str(held or "") for name, held in rows}
        return [found.get(column.name, "") for column in columns]

    def evict(self, connection: Any, mark: str, attempt: int) -> None:
        """Terminate this role's sessions of older attempts on the chunk."""
        for pid, label in self.run(connection, catalog.SESSIONS, (mark,)):
            number = str(label).rsplit(":", 1)[-1]
            if number.isdecimal() and int(number) < attempt:
                self.run(connection, "SELECT pg_terminate_backend(%s)", (pid,))

    def watch_triggers(self, connection: Any, path: Sequence[str]) -> Callable[[], int] | None:
        """By the rows' own mark of the transaction that wrote them (PostgreSQL manual 5.5, ``xmin``)."""
        table = self.dialect.qualify(path)
        if not self.run(connection, catalog.TRIGGERS, (table, table)):
            return None
        return lambda: int(self.run(connection, catalog.WRITTEN_HERE.format(table))[0][0])

    def create_beside(
        self, connection: Any, target: Table, new: Sequence[str], existing: Table | None
    ) -> None:
        """Like the table it will replace: indexes, defaults, checks, comments, grants."""
        if existing is None:
            super().create_beside(connection, target, new, existing)
            return
        old, fresh = self.dialect.qualify(existing.path), self.dialect.qualify(new)
        self.run(connection, f"CREATE TABLE {fresh} (LIKE {old} INCLUDING ALL)")
        for privilege, role, grantable in self.run(connection, catalog.GRANTS, (old,)):
            option = " WITH GRANT OPTION" if grantable else ""
            self.run(connection, f"GRANT {privilege} ON {fresh} TO {role}{option}")

    def swap(self, connection: Any, target: Sequence[str], new: Sequence[str], old: Sequence[str]) -> None:
        """By renaming; where views or foreign keys hang on the table, by moving the rows instead."""
        name = self.dialect.qualify(target)
        # A process that is stopped in here would keep everybody from the table, even from looking at it.
        self.run(connection, "SET LOCAL idle_in_transaction_session_timeout = '30s'")
        if not self.run(connection, catalog.DEPENDENTS, (name,)):
            super().swap(connection, target, new, old)
            return
        held = self.find(connection, target)
        assert held is not None
        self.run(connection, f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
        self.refill(connection, held, new, "OVERRIDING SYSTEM VALUE ")

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """By pg_class."""
        return [(str(s), str(t)) for s, t in self.run(connection, catalog.TABLES_LIKE, (path[-2], prefix))]
