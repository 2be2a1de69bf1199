"""Shared by sources and sinks whose files lie in one store: the store itself, its namespace, the probe."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, ClassVar

from hdm.errors import HdmError


class InStore(ABC):
    """A component whose files lie below one root of a store; stands before a template base class.

    Subclasses open the store in ``_opened``.
    """

    PLACE: ClassVar[str]
    """What ``hdm doctor`` calls the root: bucket, container or directory."""

    @abstractmethod
    def _opened(self) -> Any:
        """Return the store; called once."""

    @cached_property
    def store(self) -> Any:
        """The store, or the part of it below the prefix."""
        return self._opened()

    @property
    def namespace(self) -> str:
        """The OpenLineage namespace of the files: the address of their root."""
        root: str = self.store.root
        return root.rstrip("/")

    def _look(self) -> None:
        """Raise an ``HdmError`` if the files cannot be read."""
        self.store.look()

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return a result for ``hdm doctor``: whether the root can be reached, and of a sink, written to."""
        try:
            self._look()
        except HdmError as error:
            return [(self.PLACE, False, error.message)]
        return [(self.PLACE, True, self.store.root)]


class WritesInStore(InStore):
    """A sink whose files lie below one root of a store; stands before ``FileSink``."""

    ready: Any
    """FileSink's."""

    def _look(self) -> None:
        self.ready()
        self.store.ready()
