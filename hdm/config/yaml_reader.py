"""Reads YAML without executing anything, refuses ambiguous values, and gives the place of every mistake.

It reads YAML 1.1 (https://yaml.org/spec/1.1) without its traps: dates stay text; numbers that mean different
things to different readers (``0123``, ``0o12``, ``12:30``, ``1_000``) are errors; tags, duplicate keys, keys
that are not text and alias bombs are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from hdm.config.located import LocatedDict, Place, PlacedList, Problems, kind_of, suggest
from hdm.config.secrets import is_private
from hdm.errors import ManifestError

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 1_000_000
MAX_ALIASED = 20_000
"""Most values that may come from aliases, so that a file of a few lines cannot fill the memory."""

_BOOLEANS = {
    word: low in ("yes", "on", "true")
    for low in ("yes", "on", "true", "no", "off", "false")
    for word in (low, low.capitalize(), low.upper())
}
_NULLS = ("", "~", "null", "Null", "NULL")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,99})")
_HEX = re.compile(r"[-+]?0x[0-9a-fA-F]{1,64}")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_AMBIGUOUS = re.compile(
    r"[-+]?0[0-9_]+|[-+]?0o[0-7_]+|[-+]?0b[01_]+|[-+]?[1-9][0-9]*_[0-9_]*"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
)
_TEXT_TAGS = ("!", "tag:yaml.org,2002:str")
_PLAIN_TAGS = (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_NOWHERE = Place()


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is being read."""

    value: LocatedDict | PlacedList
    anchor: str | None
    nodes: int = 1
    key: str | None = None
    key_at: Place = _NOWHERE
    has_key: bool = False
    merges: list[LocatedDict] = field(default_factory=list)


def parse_yaml(raw: bytes, file: str, *, error: type[ManifestError] = ManifestError) -> LocatedDict:
    """Parse the content ``raw`` of a YAML file and return the mapping at its top.

    Raises ``error`` with the place of every mistake.
    """
    if len(raw) > MAX_BYTES:
        raise error(f"is larger than {MAX_BYTES >> 20} MB", file=file, hint="split it into several files")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        line = raw.count(b"\n", 0, failure.start) + 1
        column = failure.start - raw.rfind(b"\n", 0, failure.start)
        raise error(
            "is not UTF-8 text", file=file, line=line, column=column, hint="save it as UTF-8"
        ) from None
    top = _Reader(file, error).read(text)
    if not isinstance(top, LocatedDict):
        raise error(
            "must hold a mapping at its top" if top is not None else "is empty",
            file=file, line=1, column=1, hint="begin with 'key: value' lines",
        )  # fmt: skip
    return top


class _Reader:
    def __init__(self, file: str, error: type[ManifestError]) -> None:
        self.file, self.error = file, error
        self.private = error is not ManifestError
        """Whether the file may hold secrets, so that no message shows what stands in it."""
        self.problems = Problems(file, error)
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Any, Place, int]] = {}
        self.open_anchors: set[str] = set()
        self.nodes = self.aliased = self.documents = 0
        self.top: Any = None

    def read(self, text: str) -> Any:
        try:
            for event in yaml.parse(text, Loader=_Loader):
                self.take(event)
        except yaml.reader.ReaderError as failure:
            self.unreadable(text, failure)
        except yaml.MarkedYAMLError as failure:
            mark = failure.problem_mark or failure.context_mark
            place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
            said = failure.problem or failure.context or "not YAML"
            line = text.splitlines()[place.line - 1] if place.line <= len(text.splitlines()) else ""
            said = "a tab" if line[place.column - 1 : place.column] == "\t" else said
            hint = 'quote the variable: "${NAME}"' if "${" in line else _syntax_hint(said)
            said = re.sub(r" ?(['\"]).*\1", "", said) if self.private else said
            self.problems.add(f"is not valid YAML: {said}", place, hint)
        except yaml.YAMLError:
            self.problems.add("is not valid YAML", Place(1, 1), "correct it; look for control characters")
        self.problems.raise_any()
        return self.top

    def unreadable(self, text: str, failure: yaml.reader.ReaderError) -> None:
        at = failure.position if isinstance(failure.position, int) else 0
        place = Place(text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        self.problems.add(
            "holds a character that YAML does not allow",
            place,
            "remove it, or write it as an escape in double quotes",
        )

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        if isinstance(event, yaml.ScalarEvent):
            self.scalar(event, place)
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event.anchor or "", place)
        elif isinstance(event, yaml.MappingStartEvent):
            self.begin(LocatedDict(file=self.file, place=place), event, place)
        elif isinstance(event, yaml.SequenceStartEvent):
            self.begin(PlacedList(file=self.file, place=place), event, place)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.end()
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self.stop("holds more than one document", place, "remove the '---' line, or split the file")

    def stop(self, message: str, place: Place, hint: str) -> NoReturn:
        self.problems.add(message, place, hint)
        self.problems.raise_any()
        raise AssertionError

    def begin(self, value: LocatedDict | PlacedList, event: Any, place: Place) -> None:
        if len(self.stack) >= MAX_DEPTH:
            self.stop(f"is nested deeper than {MAX_DEPTH} levels", place, "flatten it")
        if event.tag not in _PLAIN_TAGS:
            self.refuse_tag(event.tag, place)
        if event.anchor:
            self.open_anchors.add(event.anchor)
        self.stack.append(_Frame(value, event.anchor))

    def end(self) -> None:
        frame = self.stack.pop()
        value = frame.value
        if isinstance(value, LocatedDict):
            for merged in frame.merges:
                for key in merged:
                    if key not in value:
                        value.take(merged, key)
        if frame.anchor:
            self.open_anchors.discard(frame.anchor)
            self.anchors[frame.anchor] = (value, value.place, frame.nodes)
        self.add(value, value.place, frame.nodes)

    def refuse_tag(self, tag: str, place: Place) -> None:
        if self.private:
            self.problems.add("this tag is not allowed", place, "write it in quotes if it is text")
        else:
            self.problems.add(f"the tag {_short(tag)} is not allowed", place, "remove the tag")

    def scalar(self, event: yaml.ScalarEvent, place: Place) -> None:
        plain = event.style in (None, "") and event.tag is None
        if event.tag is not None and event.tag not in _TEXT_TAGS[self.private :]:
            self.refuse_tag(event.tag, place)
        value: Any = event.value
        if plain:
            value = self.resolve(event.value, place)
            if not isinstance(value, str):
                place = place._replace(raw=event.value)
        if event.anchor:
            self.anchors[event.anchor] = (value, place, 1)
        self.add(value, place, 1, merge=plain and event.value == "<<")

    def resolve(self, text: str, place: Place) -> Any:
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if text in _NULLS:
            return None
        if text[0] not in "-+.0123456789":
            return text
        if _INTEGER.fullmatch(text):
            return int(text)
        if _HEX.fullmatch(text):
            return int(text, 16)
        if _FLOAT.fullmatch(text):
            return float(text.replace(".inf", "inf").replace(".nan", "nan").replace(".Inf", "inf")
                         .replace(".INF", "inf").replace(".NaN", "nan").replace(".NAN", "nan"))  # fmt: skip
        if _AMBIGUOUS.fullmatch(text):
            shown = "this value" if self.private else text
            self.problems.add(
                f"{shown} means different numbers to different readers of YAML",
                place,
                "quote it if it is text; write a plain decimal number if it is a number",
            )
        return text

    def alias(self, name: str, place: Place) -> None:
        shown = "this alias" if self.private else f"the alias *{name}"
        if name in self.open_anchors:
            self.stop(f"{shown} refers to what it stands in", place, "write the value out")
        if name not in self.anchors:
            hint = suggest(name, self.anchors) or "remove it"
            hint = "write it in quotes if it is text" if self.private else hint
            self.problems.add(f"{shown} has no anchor before it", place, hint)
            self.add(None, place, 1)
            return
        value, origin, nodes = self.anchors[name]
        self.aliased += nodes
        if self.aliased > MAX_ALIASED:
            self.stop(f"aliases stand for more than {MAX_ALIASED} values", place, "write the values out")
        self.add(value, place._replace(raw=origin.raw), nodes)

    def add(self, value: Any, place: Place, nodes: int, *, merge: bool = False) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.stop(f"holds more than {MAX_NODES} values", place, "split it into several files")
        if not self.stack:
            self.top = value
            return
        frame = self.stack[-1]
        frame.nodes += nodes
        if isinstance(frame.value, PlacedList):
            frame.value.add(value, place)
        elif not frame.has_key:
            frame.key, frame.key_at, frame.has_key = self.key(value, place, merge), place, True
        else:
            self.pair(frame, frame.value, value, place)
            frame.has_key = False

    def key(self, value: Any, place: Place, merge: bool) -> str | None:
        if merge:
            return "<<"
        if isinstance(value, str):
            head, _, glued = value.partition(":")
            if self.private and glued and is_private(head):
                self.problems.add(
                    "this key has no blank after its colon", place, "write a blank after the colon"
                )
                return None
            return value if value != "<<" else "\0<<"
        if place.raw is not None:
            shown = "this key" if self.private else f"the key {place.raw or '(empty)'}"
            hint = "write it in quotes" if self.private else f'quote it: "{place.raw}":'
            self.problems.add(f"{shown} is read as {kind_of(place.raw)}, not as text", place, hint)
        else:
            self.problems.add("a key must be text", place, "write 'key: value'")
        return None

    def pair(self, frame: _Frame, mapping: LocatedDict, value: Any, place: Place) -> None:
        key, key_at = frame.key, frame.key_at
        if key is None:
            return
        if key == "<<":
            parts = value if isinstance(value, PlacedList) else [value]
            if all(isinstance(part, LocatedDict) for part in parts):
                frame.merges.extend(parts)
            else:
                self.problems.add("'<<' merges mappings only", place, "write '<<: *anchor'")
            return
        if key in mapping:
            first = mapping.key_at(key)
            shown = "this key" if self.private else f"the key '{key}'"
            self.problems.add(
                f"{shown} stands twice, first at line {first.line}", key_at, "remove one of the two"
            )
            return
        mapping.put(key, value, key_at, place)


def _short(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


def _syntax_hint(said: str) -> str:
    if "\\t" in said or "tab" in said:
        return "indent with blanks, not with tabs"
    if "mapping values are not allowed" in said:
        return "check the indentation of this line; quote a value that holds ': '"
    if any(word in said for word in ("cannot start any token", "alias", "anchor", " tag", "whitespace")):
        return "quote the value"
    return "check the indentation, quotes and brackets of this line and the one before"
