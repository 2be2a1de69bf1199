"""The base class of crawlers: finds the schemas, then reads all in them with a few queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeVar, final

from hdm.catalog.model import Schema
from hdm.catalog.patterns import Selection
from hdm.dialects import dialect
from hdm.dialects.base import Dialect
from hdm.model import Dataset

Row = tuple[Any, ...]
Query = Callable[[str], list[Row]]
"""Runs one statement without bound values and gives its rows."""
Named = Callable[[str], list[dict[str, Any]]]
"""Runs one statement and gives each row as column name -> value; for SHOW, whose columns grow in number."""
K = TypeVar("K")


class Crawler(ABC):
    """Reads one system's catalogue; two crawls of an unchanged system give equal results.

    Names within a query come from the catalogue and are rendered by ``Dialect.string``.
    """

    system: ClassVar[str] = ""

    def __init__(
        self,
        query: Query,
        dataset: Callable[[Sequence[str]], Dataset] | None = None,
        named: Named | None = None,
    ) -> None:
        self.query = query
        self.named = named
        self.dialect: Dialect = dialect(self.system)
        self.dataset = dataset or (lambda path: Dataset(self.system, ".".join(path)))

    @abstractmethod
    def schemas(self) -> list[str]:
        """Return the names of the schemas, sorted, without those of the system itself."""

    @abstractmethod
    def read(self, schemas: list[str], selection: Selection) -> Schema:
        """Return the selected objects in the given schemas."""

    @final
    def crawl(self, selection: Selection | None = None) -> Schema:
        """Return the selected objects of all schemas; without ``selection``, all objects."""
        chosen = selection or Selection()
        return self.read(chosen.schemas(self.schemas()), chosen)

    def listed(self, names: Iterable[str]) -> str:
        """Return names as SQL literals with commas between, for IN (...).

        One empty literal if there are no names.
        """
        return ", ".join(self.dialect.string(name) for name in names) or self.dialect.string("")


def grouped(rows: Iterable[Row], width: int = 2) -> dict[Row, list[Row]]:
    """Return rows grouped by their first ``width`` values.

    The rows of a group lack these values, and stay in their order.
    """
    found: dict[Row, list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[:width])].append(tuple(row[width:]))
    return found


def number(value: Any) -> int | None:
    """Return a count as int; None stays None.

    A catalogue may give text or Decimal.
    """
    return None if value is None else int(value)
