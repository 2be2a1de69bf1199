"""The base class of catalogues: reads a system's schemas, creates objects there, and compares schemas."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, ClassVar, final

from pydantic import BaseModel, Field

from hdm.catalog.apply import Applied, Session, apply
from hdm.catalog.ddl_files import statements_of
from hdm.catalog.diff import Difference, compare_tables
from hdm.catalog.mapper import MappedSchema, map_schema
from hdm.catalog.model import Path, Relation, Schema
from hdm.catalog.patterns import Selection, exactly, select
from hdm.catalog.rules import MapOptions
from hdm.catalog.writers import PHASES, Statement
from hdm.components.settings import Settings
from hdm.errors import UsageError
from hdm.model import Dataset, Table


class CatalogConfig(Settings):
    """Configuration of a catalogue: patterns of the tables and views it reads (``hdm.catalog.patterns``)."""

    env: str | None = None
    """Names the connection in the profile; ``connection`` is another spelling. Ignored by a component that
    needs no connection.
    """
    include: list[str] = Field(default_factory=list)
    """Patterns of the tables and views to look at, e.g. ``sales.*``; ``*`` and ``?`` are wild, and case
    counts only in double quotes. Left out, all of them."""
    exclude: list[str] = Field(default_factory=list)
    """Patterns, as in ``include``, of tables and views that are left out although ``include`` matches them;
    left out, none is."""


class Catalog(ABC):
    """Reads which tables and views a system has, and creates objects in it; keeps no state between calls."""

    Config: ClassVar[type[BaseModel]] = CatalogConfig
    Profile: ClassVar[type[BaseModel] | None] = None
    system: ClassVar[str] = ""
    """The dialect's name."""

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        self.config = config
        self.profile = profile
        self.name = name or type(self).__name__

    @abstractmethod
    def crawl(self, selection: Selection | None = None) -> Schema:
        """Return the selected objects, as the system's catalogue describes them.

        Without ``selection``, those that the configuration selects.
        """

    @abstractmethod
    def session(self) -> AbstractContextManager[Session]:
        """Open a database session that executes DDL, for the ``with`` block."""

    def dataset(self, path: Path) -> Dataset:
        """Return the OpenLineage name of an object; by default ``system://name of the catalogue``."""
        return Dataset(f"{self.system}://{self.name}", ".".join(path))

    def measured(self, schema: Schema) -> Schema:
        """Return ``schema`` with facts that only the rows show, such as how many digits numbers have.

        The default returns it unchanged.
        """
        return schema

    @property
    def selection(self) -> Selection:
        """The selection by the configuration's ``include`` and ``exclude``; the system is not asked.

        Raises ``UsageError`` for a pattern that is not valid.
        """
        return select(self.config.include, self.config.exclude)

    @final
    def tables(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Iterator[Table]:
        """Yield the tables whose names match a pattern of ``include`` and none of ``exclude``.

        Without ``include``, all that match none of ``exclude``. Raises ``UsageError`` for a pattern that is
        not valid.
        """
        for relation in self.crawl(select(include, exclude)).relations:
            yield relation.table

    @final
    def relation(self, path: Path) -> Relation:
        """Return one table with its keys and indexes; raise ``UsageError`` if it does not exist."""
        found = self.crawl(exactly([path])).relation(path)
        if found is None:
            raise UsageError(
                f"there is no table {'.'.join(path)} in {self.name}", hint="list them: hdm catalog crawl"
            )
        return found

    @final
    def ddl(self, table: Table, target: str, options: MapOptions | None = None) -> list[str]:
        """Return the DDL that creates a table with keys and comments, in the SQL of dialect ``target``.

        The table is looked up anew: raises ``UsageError`` if it does not exist.
        """
        alone = Schema(self.system, relations=(self.relation(table.path),))
        return [one.sql for one in statements_of(map_schema(alone, target, options))]

    @final
    def create(self, wanted: MappedSchema, phases: Iterable[str] = PHASES) -> list[Applied]:
        """Create the objects of a mapped schema in this system, and return the result for each.

        Only those of the given ``phases``. If a table or schema is refused, the system's error is raised. Any
        other refused object becomes manual in the schema's report: a person must create it.
        """
        chosen = set(phases)
        statements = [one for one in statements_of(wanted) if one.phase in chosen]
        return self.apply(statements, wanted)

    @final
    def apply(self, statements: Iterable[Statement], wanted: MappedSchema | None = None) -> list[Applied]:
        """Apply DDL statements in order, in one database session; return the result for each object.

        What is refused becomes manual in the report of ``wanted``. If a table or schema is refused, the
        system's error is raised.
        """
        with self.session() as session:
            return apply(statements, session, wanted.report if wanted else None)

    @final
    def drift(self, table: Table) -> list[Difference]:
        """Return how the table that the system has now differs from ``table``; empty if it does not.

        Raises ``UsageError`` if there is no such table.
        """
        now = self.relation(table.path)
        return compare_tables(now, Relation(table))
