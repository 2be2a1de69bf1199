"""Settings: what a manifest's ``conf`` and a profile's entry may hold, and the types of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

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

    @classmethod
    def ignored(cls, given: Mapping[str, Any]) -> dict[str, str]:
        """Keys of ``given``, as it was written, that are taken and do nothing, each with what to do about it:
        those that are declared ``deprecated``."""
        why = {info.alias or name: info.deprecated for name, info in cls.model_fields.items()}
        return {key: text for key in given if isinstance(text := why.get(key), str)}


NO_CHECKSUM = (
    "has no effect: each chunk's rows are counted on both sides, and files have their sha256; remove it"
)
NO_FORMAT = "has no effect: files are taken in the format that they have, and rows go as Parquet; remove it"
NO_ENV = "has no effect: there is nothing to connect to; remove it"
NO_DRIVER = "has no effect: hdm brings its own driver for this system; remove it"
NO_DATABASE = "has no effect: the connection in the profile names the database; remove it"
"""What is said of keys that manifests of old hold: they are taken, and nothing is made of them."""
