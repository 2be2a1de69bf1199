"""Catalogues that break one promise each. The intact one is hdm's own, on SQLite."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Any, ClassVar

from hdm.catalog.apply import Session
from hdm.catalog.model import Relation, Schema
from hdm.catalog.patterns import Selection
from hdm.connectors.sqlite import SQLiteCatalog
from hdm.errors import HdmError


def each(schema: Schema, change: Callable[[Relation], Relation]) -> Schema:
    return replace(schema, relations=tuple(map(change, schema.relations)))


class ForgetsChecks(SQLiteCatalog):
    def crawl(self, selection: Selection | None = None) -> Schema:
        return each(super().crawl(selection), lambda one: replace(one, checks=()))


class CountsItsCrawls(SQLiteCatalog):
    _count = itertools.count()

    def crawl(self, selection: Selection | None = None) -> Schema:
        number = next(self._count)
        return each(super().crawl(selection), lambda one: replace(one, comment=str(number)))


class GivesWhatJsonLacks(SQLiteCatalog):
    def crawl(self, selection: Selection | None = None) -> Schema:
        found: Any = [["trigger", "t"]]
        return replace(super().crawl(selection), unread=found)


class CrawlsEverything(SQLiteCatalog):
    def crawl(self, selection: Selection | None = None) -> Schema:
        del selection
        return super().crawl(Selection())


class RemembersItsCrawl(SQLiteCatalog):
    _known: ClassVar[dict[tuple[str, Selection | None], Schema]] = {}

    def crawl(self, selection: Selection | None = None) -> Schema:
        database: Any = self.database
        key = (str(database.file), selection)
        if key not in self._known:
            self._known[key] = super().crawl(selection)
        return self._known[key]


class _Session:
    """Hands on what ``change`` makes of a statement; nothing, if that is nothing."""

    def __init__(self, session: Session, change: Callable[[str], str]) -> None:
        self.session, self.change = session, change

    def execute(self, sql: str) -> None:
        if changed := self.change(sql):
            self.session.execute(changed)

    def transaction(self) -> AbstractContextManager[None]:
        return self.session.transaction()


class LosesNotNull(SQLiteCatalog):
    @contextmanager
    def session(self) -> Iterator[Session]:
        with super().session() as session:
            yield _Session(session, lambda sql: sql.replace(" NOT NULL", ""))


class SkipsIndexes(SQLiteCatalog):
    @contextmanager
    def session(self) -> Iterator[Session]:
        with super().session() as session:
            yield _Session(session, lambda sql: "" if "INDEX " in sql else sql)


class SwallowsErrors(SQLiteCatalog):
    @contextmanager
    def session(self) -> Iterator[Session]:
        with super().session() as session:
            quiet = _Session(session, lambda sql: sql)

            def execute(sql: str) -> None:
                with suppress(HdmError):
                    session.execute(sql)

            quiet.execute = execute  # type: ignore[method-assign]
            yield quiet
