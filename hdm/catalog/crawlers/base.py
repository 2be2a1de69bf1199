"""The Crawler template: which schemas, then everything in them with a handful of queries."""

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
"""As ``Query``, each row by the names of its columns: for SHOW, whose columns grow in number."""
K = TypeVar("K")


class Crawler(ABC):
    """Reads one system's catalogue. Two crawls of an unchanged system give equal results.

    Names that go into a query are rendered by ``Dialect.string`` and come from the catalogue.
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
        """The schemas of users, sorted; system schemas are left out."""

    @abstractmethod
    def read(self, schemas: list[str], selection: Selection) -> Schema:
        """Everything of those schemas that ``selection`` has."""

    @final
    def crawl(self, selection: Selection | None = None) -> Schema:
        """Everything that the selection has."""
        chosen = selection or Selection()
        return self.read(chosen.schemas(self.schemas()), chosen)

    def listed(self, names: Iterable[str]) -> str:
        """Names as SQL literals for IN (...); never empty."""
        return ", ".join(self.dialect.string(name) for name in names) or self.dialect.string("")


def grouped(rows: Iterable[Row], width: int = 2) -> dict[Row, list[Row]]:
    """Rows by their first ``width`` values, the rest kept in order."""
    found: dict[Row, list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[:width])].append(tuple(row[width:]))
    return found


def number(value: Any) -> int | None:
    """A count as the catalogue gives it (text, Decimal, None) as int."""
    return None if value is None else int(value)
