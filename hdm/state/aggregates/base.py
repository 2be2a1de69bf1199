"""Defines ``Aggregate``, the base of each part of ``StateManager``."""

from __future__ import annotations

from hdm.state.tx.context import Base


class Aggregate:
    """The methods of the state database about one kind of thing.

    A method is one transaction unless its docstring says otherwise. It may raise ``StateUnavailable`` or
    ``StateError``.
    """

    def __init__(self, base: Base) -> None:
        self._base = base
