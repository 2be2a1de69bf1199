"""Reads what a command copies from and to: a connection's name and an object, an address, or a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hdm.components import registry
from hdm.config.located import fold, suggest
from hdm.config.profile import Profiles
from hdm.config.secrets import is_private, is_reference
from hdm.errors import UsageError
from hdm.files.formats import format_of
from hdm.files.sink import FileSink
from hdm.files.source import FileSource
from hdm.model import digest
from hdm.sql.sink import SqlSink

LOCAL = "fs"
"""The word for files on this machine, which are named by their path alone."""
_WORD = re.compile(r"([A-Za-z][A-Za-z0-9_]*):(.+)", re.DOTALL)
_PLACE = ("path", "host", "port", "account", "database", "schema")
"""Keys of an address that say which data it names: with them the connection is the same one in later calls,
whoever logs in and however."""
FORMS = (
    "write SYSTEM:CONNECTION.TABLE, SYSTEM://USER@HOST/DATABASE.TABLE, sqlite:FILE.TABLE, "
    "s3://BUCKET/FOLDER or a path; hdm components lists the systems"
)


@dataclass(frozen=True, slots=True)
class Given:
    """An end as the user gave it: a text, and further parts that environment variables may give."""

    text: str
    object: str = ""
    """Table or object, where the text is only an address; else empty."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of the profile entry, such as ``region``."""
    in_the_open: bool = True
    """Whether other users of the machine can read the text, as they can a command line."""


@dataclass(frozen=True, slots=True)
class End:
    """One end of a copy: which system, over which connection, and which table or files."""

    system: str
    """The word before ``_source`` and ``_sink`` in the names of the system's components."""
    connection: str | None
    """Name of the connection; None for files of this machine, and for buckets without a profile."""
    object: str = ""
    """The table, dotted, or the place of the files; empty if the end names none."""
    entry: Mapping[str, Any] | None = field(default=None, repr=False)
    """The profile entry that an address gives; None if a profile file has it."""
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """A short name for reports."""
        return self.connection or self.system

    @property
    def is_files(self) -> bool:
        """Whether the end names files, and no table of a database."""
        cls = component("source", self) or component("sink", self)
        return isinstance(cls, type) and issubclass(cls, FileSource | FileSink)


def component(kind: str, end: End, store: str = "") -> type[Any] | None:
    """Return the class that reads from (``source``), writes to (``sink``) or lists (``catalog``) an end.

    With ``store``, the sink whose server reads files from that store itself. None if there is no such class.
    """
    if not store and (name := registry.canonical(kind, f"{end.system}_{kind}")):
        return registry.find(kind, name)
    for name in registry.names(kind):
        if kind == "sink" and fold(name).startswith(fold(end.system)):
            cls = registry.find(kind, name)
            if not issubclass(cls, SqlSink) or fold(cls.loads_from) != fold(store):
                continue
            if fold(cls.Database.dialect_name) == fold(end.system):
                return cls
    return None


def _system(word: str) -> str:
    """Return the one word for a system that is written in several ways, such as postgresql for postgres."""
    word = LOCAL if word.lower() == "file" else word.lower()
    known = registry.canonical("source", f"{word}_source")
    return known.removesuffix("Source").lower() if known else word


def read_end(given: Given, known: Profiles) -> End:
    """Return the end that a text names; connect to nothing.

    Raises ``UsageError`` if no system, connection or file is named, or if the text can be read in two ways.
    """
    found = _WORD.fullmatch(given.text)
    if found is None:
        return _named(given, known)
    system, rest = _system(found[1]), found[2]
    bare = End(system, None)
    if component("source", bare) is None and component("sink", bare) is None:
        raise UsageError(f"there is no database system {found[1]!r}, and no store of files", hint=FORMS)
    connection = None if rest.startswith("//") else _longest(rest, known)
    if bare.is_files:
        return _files(bare, given, rest, connection)
    if connection is not None and not _also_a_file(bare, rest):
        return End(system, connection, given.object or rest[len(connection) + 1 :])
    if connection is not None:
        raise UsageError(
            f"{given.text}: there is a connection {connection!r}, and a file of that name, too",
            hint=f"write {system}:./{rest} for the file, or rename the connection",
        )
    return _addressed(bare, given, rest, known)


def _named(given: Given, known: Profiles) -> End:
    """Return the end of a text without a system: a connection that says its system, or a path."""
    connection = _longest(given.text, known)
    if connection is not None and Path(given.text).exists():
        raise UsageError(
            f"{given.text}: there is a connection {connection!r}, and a file or folder of that name, too",
            hint=f"write ./{given.text} for the file, or SYSTEM:{given.text} for the connection",
        )
    if connection is not None:
        return _by_name(connection, given, known)
    if "/" in given.text or format_of(given.text) is not None or Path(given.text).exists():
        return End(LOCAL, None, given.text)
    near = suggest(given.text.partition(".")[0], known.names())
    shown = "what is given" if "@" in given.text else repr(given.text)  # there may be a password in it
    where = f"in {known.path} (-e {known.env})"
    if known.entries is None:
        where = f"either: there is no profiles file {known.path}"
    raise UsageError(
        f"{shown} is no address, no path, and no connection {where}",
        hint=near if near and near.startswith("did") else FORMS,
    )


def _by_name(connection: str, given: Given, known: Profiles) -> End:
    """Return the end that a connection's name begins; its ``system:`` may be an address of files."""
    said = known.system(connection)
    if said is None:
        raise UsageError(
            f"connection {connection!r} does not say which system it reaches",
            hint=f"write SYSTEM:{given.text}, or add 'system: SYSTEM' to the connection in {known.path}",
        )
    word, _, base = said.partition(":")
    bare = End(_system(word), connection)
    if component("source", bare) is None and component("sink", bare) is None:
        raise UsageError(f"connection {connection!r}: there is no system {word!r}", hint=FORMS)
    rest = given.object or given.text[len(connection) + 1 :]
    if base and not bare.is_files:
        raise UsageError(
            f"connection {connection!r}: only files may have an address after 'system:'",
            hint=f"write system: {word}, and the address as keys of the connection",
        )
    return End(bare.system, connection, "/".join(filter(None, (base.removeprefix("//").rstrip("/"), rest))))


def _longest(text: str, known: Profiles) -> str | None:
    names = sorted(known.names(), key=len, reverse=True)
    return next((one for one in names if text == one or text.startswith((f"{one}.", f"{one}/"))), None)


def _profile(bare: End) -> Any:
    return getattr(component("source", bare) or component("sink", bare), "Profile", None)


def _also_a_file(bare: End, rest: str) -> bool:
    """Whether ``rest`` names a file of a database that is there, as well as a connection."""
    profile = _profile(bare)
    if not hasattr(profile, "endings"):
        return False
    try:
        entry, _ = profile.from_address(rest)
    except UsageError:
        return False
    return Path(entry["path"]).is_file()


def _files(bare: End, given: Given, rest: str, connection: str | None) -> End:
    place = given.object or (rest[len(connection) + 1 :] if connection else rest.removeprefix("//"))
    if given.object and not connection:
        place = f"{rest.removeprefix('//').rstrip('/')}/{given.object}"
    if connection or not given.extra:
        return End(bare.system, connection, place)
    entry = dict(given.extra)
    return End(bare.system, _name_of(bare.system, entry), place, entry)


def _addressed(bare: End, given: Given, rest: str, known: Profiles) -> End:
    profile = _profile(bare)
    if not hasattr(profile, "from_address"):
        raise UsageError(
            f"{bare.system} has no address that fits in a line",
            hint=f"write its connection into {known.path}, and {bare.system}:CONNECTION.TABLE here",
        )
    if not hasattr(profile, "endings") and "//" not in rest and "@" not in rest:
        known.entry(rest.partition(".")[0])  # raises the error that names the profiles file
    try:
        entry, named = profile.from_address(rest)
    except UsageError as error:
        if "/" in rest or "@" in rest:
            raise
        lacking = f"the environment {known.env!r} has no connection {rest.partition('.')[0]!r}"
        raise UsageError(f"{lacking}; {error.message}", hint=error.hint) from None
    return End(bare.system, _name_of(bare.system, entry), given.object or named, entry, _seen(given, entry))


def _seen(given: Given, entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a line if a secret itself, and no reference to it, stands where others can read it."""
    open_ = [key for key, value in entry.items() if is_private(key) and not is_reference(str(value))]
    if not open_ or not given.in_the_open:
        return ()
    return (
        f"the {open_[0]} on the command line can be read by every user of this machine (ps), and in the "
        "shell's history: write env:NAME in its place",
    )


def _name_of(system: str, entry: Mapping[str, Any]) -> str:
    """Return a name for the connection of an address, the same in every call and folder."""
    place = {key: str(entry[key]) for key in _PLACE if key in entry}
    word = place.get("database") or Path(place.get("path", "")).stem or place.get("host") or system
    slug = re.sub(r"[^A-Za-z0-9_]+", "_", word).strip("_")[:24] or system
    return f"{slug}_{digest(system, repr(sorted(place.items())))[:8]}"
