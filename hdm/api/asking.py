"""Sends a statement to one connection and returns its rows, or lists the connection's tables or files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hdm.api.copying import connections
from hdm.api.ends import End, Given, component, read_end
from hdm.catalog.base import Catalog
from hdm.catalog.model import dotted
from hdm.components import registry
from hdm.config.located import LocatedDict
from hdm.config.profile import Profiles
from hdm.config.secrets import redact
from hdm.dialects.user_input import one_query
from hdm.errors import PermanentError, UsageError
from hdm.files.source import FileSource
from hdm.model import ComponentSpec
from hdm.sql.database import Database
from hdm.sql.describe import first_line
from hdm.sql.sessions import looking
from hdm.sql.sink import SqlSink
from hdm.sql.source import SqlSource

PAGE = 1000
"""Rows that are fetched at once."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a database answered to one statement.

    ``rows`` yields the rows and can be read once; ``changed`` is how many rows the statement changed, -1 if
    the driver does not say, None for a query.
    """

    columns: tuple[str, ...]
    rows: Iterator[Sequence[Any]]
    changed: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A table, view or set of files that a connection has; ``rows`` is the catalogue's estimate."""

    name: str
    kind: str
    rows: int | None
    columns: int


@contextmanager
def query(
    connection: Given,
    sql: str,
    *,
    write: bool = False,
    env: str | None = None,
    profiles: str | os.PathLike[str] | None = None,
    notes: Callable[[str], object] | None = None,
) -> Iterator[Answer]:
    """Send one statement to a connection, and give the ``with`` block the answer.

    Without ``write``, ``sql`` must be one query, as of a manifest's ``query:``, and is sent in a transaction
    that can only read and is rolled back. With it, the statement is committed at the end of the block.
    ``notes`` is called with each line of which the user must know, before anything is sent.
    """
    known = connections(env, profiles)
    end = read_end(connection, known)
    _tell(end, notes)
    database = _database(end, known, write=write)
    if write:
        with _writing(database) as session:
            yield from _answered(database, session, sql)
        return
    dialect = database.dialect
    text = one_query(sql, dialect.tokens, dialect.acting, dialect.table_functions)
    with looking(database, "hdm:query") as session:
        yield from _answered(database, session, text)


def _tell(end: End, notes: Callable[[str], object] | None) -> None:
    if notes is not None:
        for note in end.notes:
            notes(redact(note))


@contextmanager
def _writing(database: Database) -> Iterator[Any]:
    if not database.is_there():
        raise UsageError("there is no such database file", hint="a statement makes none: correct its name")
    session = database.connect("hdm:query", write=True)
    try:
        database.begin(session, write=True)
        yield session
        database.commit(session)
    finally:
        session.close()


def _answered(database: Database, session: Any, sql: str) -> Iterator[Answer]:
    with database.calling(session):
        cursor = session.cursor()
    try:
        try:
            with database.calling(session):
                database.execute(cursor, sql)
        except PermanentError as error:
            raise UsageError(f"the database refuses it: {first_line(error)}", hint=error.hint) from None
        if cursor.description:
            rows = database.called(session, _rows(cursor))
            yield Answer(tuple(str(one[0]) for one in cursor.description), rows)
        else:
            yield Answer((), iter(()), int(cursor.rowcount))
    finally:
        cursor.close()


def _rows(cursor: Any) -> Iterator[Sequence[Any]]:
    while page := cursor.fetchmany(PAGE):
        yield from page


def _database(end: End, known: Profiles, *, write: bool) -> Database:
    kind = "sink" if write else "source"
    cls = component(kind, end)
    if cls is None or not issubclass(cls, SqlSink if write else SqlSource):
        raise UsageError(
            f"{end.system} answers no SQL", hint="name a database: hdm components lists each source and sink"
        )
    return cls.Database.reached(_profile(cls, end, known))


def _profile(cls: type[Any], end: End, known: Profiles) -> Any:
    if end.connection is None:
        return None
    beside = known.beside({end.connection: end.entry}) if end.entry else known
    return beside.connection(end.connection, cls.Profile)


def listing(
    connection: Given,
    *,
    env: str | None = None,
    profiles: str | os.PathLike[str] | None = None,
    notes: Callable[[str], object] | None = None,
) -> tuple[Listed, ...]:
    """Return the tables and views of a connection, or of one schema of it; of files, their datasets.

    ``notes`` is called with each line of which the user must know, before anything is asked.
    """
    known = connections(env, profiles)
    end = read_end(connection, known)
    _tell(end, notes)
    beside = known.beside({end.connection: end.entry}) if end.entry and end.connection else known
    conf = LocatedDict({"env": end.connection} if end.connection else {})
    if end.is_files:
        return _of_files(end, conf, beside)
    cls = component("catalog", end)
    if cls is None:
        raise UsageError(f"hdm reads no catalogue of {end.system}", hint="see: hdm components")
    if end.object:
        conf["include"] = [f"{end.object}.*", end.object]
    made: Catalog = registry.create("catalog", ComponentSpec(end.label, cls.__name__, conf), beside)
    found = made.crawl()
    rows = [
        Listed(dotted(one.path), "table", one.table.rows, len(one.table.columns)) for one in found.relations
    ]
    rows += [Listed(dotted(one.path), "view", None, 0) for one in found.views]
    return tuple(sorted(rows, key=lambda row: row.name))


def _of_files(end: End, conf: LocatedDict, known: Profiles) -> tuple[Listed, ...]:
    cls = component("source", end)
    if cls is None or not issubclass(cls, FileSource):
        raise UsageError(f"{end.system} lists no files", hint="see: hdm components")
    config: Any = cls.Config
    conf.update({**config.of_place(end.object or "."), "allow_empty": True})
    source = registry.create("source", ComponentSpec(end.label, cls.__name__, conf), known)
    return tuple(Listed(".".join(one.path), "files", one.rows, len(one.columns)) for one in source.tables())
