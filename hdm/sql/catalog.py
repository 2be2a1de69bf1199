"""SqlCatalog reads the catalogue of any database that has a ``Database`` class and a crawler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path as FilePath
from typing import Any, ClassVar

from pydantic import BaseModel

from hdm.catalog.apply import Session
from hdm.catalog.base import Catalog, CatalogConfig
from hdm.catalog.crawlers import crawler_for, has_crawler
from hdm.catalog.crawlers.odbc import ODBCCrawler
from hdm.catalog.measure_storage import classed, classes
from hdm.catalog.measure_types import measure, measured
from hdm.catalog.model import Path, Schema
from hdm.catalog.patterns import Selection
from hdm.errors import HdmError
from hdm.files.atomic_file import is_there
from hdm.model import Dataset
from hdm.sql.database import Database
from hdm.sql.profile import SqlProfile


class SqlCatalog(Catalog):
    """Reads a database's catalogue in one session, and opens sessions that create what a target lacks.

    Where the database has read-only transactions, the catalogue is read in one.

    A subclass only has to name its ``Database``.
    """

    Profile: ClassVar[type[BaseModel] | None] = SqlProfile
    Database: ClassVar[type[Database]]

    def __init__(self, config: Any, profile: Any = None, *, name: str = "", database: Any = None) -> None:
        super().__init__(config, profile, name=name)
        self.database: Database = database if database is not None else self.Database.reached(profile)

    def crawl(self, selection: Selection | None = None) -> Schema:
        """Return the selected tables and views, read by the system's crawler in one read-only transaction."""
        connection = self.database.connect("hdm:crawl")
        try:
            self.database.begin(connection)
            chosen = selection or self.selection
            own = self.database.dialect_name
            if hasattr(connection, "getinfo") and not (
                own and has_crawler(own)
            ):  # pyodbc: the driver's own catalogue functions
                return self._through_odbc(connection, chosen)
            named = getattr(self.database, "rows", None)
            crawler = crawler_for(
                self.database.dialect_name,
                lambda sql: self.database.run(connection, sql),
                named and partial(named, connection),
            )
            crawler.dataset = self.database.dataset
            return crawler.crawl(chosen)
        finally:
            connection.close()

    def _through_odbc(self, connection: Any, selection: Selection) -> Schema:
        database = self.database
        path = database.default_path(("t",))
        crawler = ODBCCrawler(
            database.dialect.name,
            connection.cursor,
            lambda one: database.find(connection, one),
            path[-2] if len(path) > 1 else None,
        )
        with database.classified():
            return crawler.crawl(selection)

    def dataset(self, path: Path) -> Dataset:
        """Return the name of a table as OpenLineage spells it."""
        return self.database.dataset(self.database.default_path(path))

    def flavour(self) -> str:
        """Return which variant of the system the server is, e.g. ``mariadb``.

        Empty if the system has only one.
        """
        known = self.database.dialect
        if known.flavour_query is None or known.name != self.database.dialect_name:
            return ""
        connection = self.database.connect("hdm:version")
        try:
            version = str(self.database.run(connection, known.flavour_query)[0][0])
        finally:
            connection.close()
        return known.flavour_of(version)

    def held(self, selection: Selection) -> Schema:
        """Return the selected tables and views; none if the database file does not exist.

        The file is not created.
        """
        place = getattr(self.database, "file", None)
        if isinstance(place, FilePath) and not is_there(place):
            return Schema(self.database.dialect.name)
        return self.crawl(selection)

    def measured(self, schema: Schema) -> Schema:
        """Return ``schema`` with facts about its columns that only the rows show, read in one snapshot.

        These are the precision and scale of numbers that are declared without one, and in SQLite the storage
        class of columns that are declared BLOB or without a type.
        """
        connection = self.database.connect("hdm:measure")
        try:
            self.database.begin(connection)

            def ask(sql: str) -> list[tuple[Any, ...]]:
                return list(self.database.run(connection, sql))

            return measured(classed(schema, classes(schema, ask)), measure(schema, ask))
        finally:
            connection.close()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a connection that may write, for the ``with`` block; close it afterwards."""
        connection = self.database.connect("hdm:ddl", write=True)
        try:
            yield _Session(self.database, connection)
        finally:
            connection.close()


def catalog_over(database: Database, name: str = "") -> SqlCatalog:
    """Return a catalogue that reads through the ``Database`` object of a sink or source.

    ``name`` is the catalogue's name; by default the dialect's.
    """
    return SqlCatalog(CatalogConfig(), None, name=name or database.dialect_name, database=database)


class _Session:
    def __init__(self, database: Database, connection: Any) -> None:
        self.database, self.connection = database, connection

    def execute(self, sql: str) -> None:
        self.database.run(self.connection, sql)

    def transaction(self) -> AbstractContextManager[None]:
        return self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.database.begin(self.connection, write=True)
        try:
            yield
        except HdmError:
            self.database.rollback(self.connection)
            raise
        self.database.commit(self.connection)
