"""Lists the deprecated configuration keys, each with the note that hdm prints when a file uses it.

docs/reference/compatibility.md gives the rule and lists them. A plugin declares the note at its own field:
``old: Any = Field(None, deprecated="has no effect: ...")``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel

from hdm.config.located import LocatedDict, PlacedList, Problems


class Deprecated(str):
    """Text that hdm prints after the name of a deprecated key.

    ``since`` is the version that deprecated the key; ``instead`` is the key that replaces it. Without
    ``instead``, the key has no effect, and ``why`` gives the reason.
    """

    __slots__ = ("instead", "since")
    since: str
    instead: str

    def __new__(cls, *, since: str, instead: str = "", why: str = "") -> Deprecated:
        """Make the text of a note from its parts; see the class."""
        does = f"is deprecated since hdm {since}: write '{instead}'"
        made = super().__new__(cls, does if instead else f"has no effect since hdm {since}: {why}; remove it")
        made.since, made.instead = since, instead
        return made

    def __deepcopy__(self, memo: object) -> Deprecated:
        """Return the note itself, since it never changes."""
        return self


CHECKSUM = Deprecated(
    since="0.1.0", why="each chunk's rows are counted on both sides, and files have their sha256"
)
DATABASE = Deprecated(since="0.1.0", why="the connection in the profile names the database")
DUMMY = Deprecated(since="0.1.0", why="nothing is made of it")
DRIVER = Deprecated(since="0.1.0", why="hdm brings its own driver for this system")
ENV = Deprecated(since="0.1.0", why="there is nothing to connect to")
NAME = Deprecated(since="0.1.0", why="links are told apart by source and sink")
CREATE_ONCE = Deprecated(since="0.1.0", why="Azure itself never overwrites a blob")
OWN_STAGE = Deprecated(since="0.1.0", why="this sink makes a stage of its own")
STAGE_DIRECTORY = Deprecated(since="0.1.0", why="files are found by the stage's URL")
FILE_FORMAT = Deprecated(since="0.1.0", why="rows are staged as Parquet, and files as they are")


def notes(model: type[BaseModel], data: Any, what: str) -> list[str]:
    """Return one line of text for each deprecated key in ``data``, at any depth.

    A line has the file and line number, and ``what`` the data is. Empty if there is none.
    """
    return [
        f"{at.file}:{at.key_at(key).line}: {what}: '{key}' {said}"
        if isinstance(at, LocatedDict) and at.file
        else f"{what}: '{key}' {said}"
        for at, key, said in _old_keys(model, data)
    ]


def renewed(model: type[BaseModel], data: Any, problems: Problems, what: str) -> Any:
    """Return ``data`` with the old names of renamed keys replaced, at any depth.

    Places in the file are kept. A mapping with both names is added to ``problems``, as a mistake in ``what``.
    """
    if not _has_renamed(model):
        return data
    if isinstance(data, list):
        items = PlacedList(file=getattr(data, "file", ""), place=getattr(data, "place", None))
        for index, item in enumerate(data):
            at = data.item_at(index) if isinstance(data, PlacedList) else items.place
            items.add(renewed(model, item, problems, what), at)
        return items
    if not isinstance(data, Mapping):
        return data
    placed = data if isinstance(data, LocatedDict) else LocatedDict(data)
    out = placed.like()
    for key in placed:
        said = _fields(model).get(key)
        to = said.instead if isinstance(said, Deprecated) and said.instead else key
        if to != key and to in placed:
            problems.add(f"{what}: '{key}' is an older name of '{to}'", placed.key_at(key), "keep the latter")
        elif to in out:
            continue
        out.take(placed, key, to)
        for inner in _inner(model, to):
            out[to] = renewed(inner, out[to], problems, what)
    return out


def _old_keys(model: type[BaseModel], data: Any) -> Iterator[tuple[Mapping[str, Any], str, str]]:
    if isinstance(data, list):
        for item in data:
            yield from _old_keys(model, item)
    elif isinstance(data, Mapping):
        fields = _fields(model)
        own = model.ignored(data) if hasattr(model, "ignored") else {}
        for key, value in data.items():
            said = fields.get(key) or own.get(key)
            if isinstance(said, str):
                yield data, key, said
            for inner in _inner(model, key):
                yield from _old_keys(inner, value)


@lru_cache(maxsize=512)
def _fields(model: type[BaseModel]) -> Mapping[str, object]:
    """Return the model's keys, each with its note of deprecation; None for a key without one."""
    return {info.alias or name: info.deprecated for name, info in model.model_fields.items()}


@lru_cache(maxsize=512)
def _inner(model: type[BaseModel], key: str) -> tuple[type[BaseModel], ...]:
    """Return the models that the value of a key may have."""
    names = {info.alias or name: info.annotation for name, info in model.model_fields.items()}
    return tuple(_models(names.get(key)))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


@lru_cache(maxsize=512)
def _has_renamed(model: type[BaseModel]) -> bool:
    own = any(isinstance(said, Deprecated) and said.instead for said in _fields(model).values())
    return own or any(_has_renamed(inner) for key in _fields(model) for inner in _inner(model, key))
