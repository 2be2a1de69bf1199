"""Settings: what a manifest's ``conf`` and a profile's entry may hold, and the types of their fields."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, ConfigDict

from hdm.config.described import Described

P = TypeVar("P")


def can_be_a_path(value: P) -> P:
    """The value, unless no system takes it for a path."""
    if "\0" in str(value):
        raise ValueError("holds a NUL character, which no path can")
    return value


PathText = Annotated[str, AfterValidator(can_be_a_path)]
"""A setting that names a file or folder."""


def _is_a_file(value: str) -> str:
    if value.strip().startswith(":memory:"):
        raise ValueError(":memory: is no file, and each connection would have a database of its own")
    return value


DatabaseFile = Annotated[PathText, AfterValidator(_is_a_file)]
"""A setting that names the file of a database."""


class Settings(Described):
    """Base of every ``Config`` and ``Profile``: unknown keys are errors, values are frozen.

    The docstring under a field says what the key does; ``hdm components``, ``hdm schema`` and the reference
    show it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
