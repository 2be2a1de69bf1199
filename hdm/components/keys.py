"""Lists the keys of a component's ``Config`` or ``Profile``, for ``hdm components`` and the reference."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from hdm.components.settings import Names
from hdm.config.described import descriptions


@dataclass(frozen=True, slots=True)
class Key:
    """One configuration key of a component.

    ``name`` is dotted for a nested key, e.g. ``watermark.column``; ``default`` is text, or None if there is
    no default.
    """

    name: str
    type: str
    required: bool
    default: str | None
    description: str


def summary(cls: type[Any]) -> str:
    """Return the first sentence of a component's docstring, in one line; empty without a docstring."""
    told = " ".join((cls.__doc__ or "").partition("\n\n")[0].split())
    return re.split(r"(?<=[^.][.])\s", told)[0].replace("``", "`")


def keys_of(model: type[BaseModel], within: str = "") -> Iterator[Key]:
    """Yield every configuration key of a settings model in order, nested keys after their parent.

    ``within`` is the dotted path of the model itself, which precedes every name.
    """
    said = descriptions(model)
    for field, info in model.model_fields.items():
        name = f"{within}{info.alias or field}"
        given = None if info.is_required() else info.get_default(call_default_factory=True)
        default = None if given is None else str(given)
        takes = _named(info.metadata) or shown(info.annotation)
        yield Key(name, takes, info.is_required(), default, said.get(field, ""))
        for inner in models_in(info.annotation):
            yield from keys_of(inner, f"{name}.")


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the pydantic models that a field with this annotation may contain, also as a list's items."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def _named(metadata: Iterable[Any]) -> str:
    """Return the accepted names of a setting with ``Names`` in its metadata; else empty text."""
    return next((" | ".join(one.known()) for one in metadata if isinstance(one, Names)), "")


def shown(annotation: Any) -> str:
    """Return a field's type annotation in readable form: its choices, a mapping's keys, or the type."""
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return " | ".join(map(str, parts))
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join(shown(part) for part in parts if part is not NoneType)
    if get_origin(annotation) is Annotated:
        return _named(parts[1:]) or shown(parts[0])
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return "{" + ", ".join(field.alias or key for key, field in annotation.model_fields.items()) + "}"
    if parts:
        name = getattr(get_origin(annotation), "__name__", str(get_origin(annotation)))
        return f"{name}[{', '.join(shown(part) for part in parts)}]"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " | ".join(str(one.value) for one in annotation)
    return getattr(annotation, "__name__", str(annotation))
