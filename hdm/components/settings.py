"""Settings, the base class of models of a ``conf`` or a profile's entry; and types for their fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, ConfigDict

from hdm.config.described import Described

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

P = TypeVar("P")


def can_be_a_path(value: P) -> P:
    """Return a path's text; raise ``ValueError`` if it contains NUL, which no system allows."""
    if "\0" in str(value):
        raise ValueError("holds a NUL character, which no path can")
    return value


PathText = Annotated[str, AfterValidator(can_be_a_path)]
"""A setting that names a file or folder."""


class Names:
    """Marks a field, inside ``Annotated``, as taking a name that ``known`` lists; plugins may add names."""

    def __init__(self, known: Callable[[], list[str]]) -> None:
        self.known = known

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), "examples": self.known()}


def _is_a_file(value: str) -> str:
    if value.strip().startswith(":memory:"):
        raise ValueError(":memory: is no file, and each connection would have a database of its own")
    return value


DatabaseFile = Annotated[PathText, AfterValidator(_is_a_file)]
"""A setting that names the file of a database."""


class Settings(Described):
    """Base class of every ``Config`` and ``Profile``: refuses unknown keys, and its values cannot be changed.

    The docstring under a field says what the key does; ``hdm components``, ``hdm schema`` and the reference
    show it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
