"""Reads ``hdm_profiles.yml``, which says how to reach each system; never printed, never pickled."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

from pydantic import BaseModel

from hdm.config import deprecated
from hdm.config.located import LocatedDict, Place, PlacedList, Problems, misread, suggest
from hdm.config.secrets import Secret, is_private, is_reference, look_up, redact
from hdm.config.validation import validate
from hdm.config.yaml_reader import MAX_BYTES, parse_yaml
from hdm.errors import ProfileError

__all__ = ["Profiles", "environment", "home", "load_profiles", "redact"]

P = TypeVar("P", bound=BaseModel)
FOLDER = ".hashmap_data_migrator"
FILE = "hdm_profiles.yml"
SYSTEM = "system"
"""Key of any connection that says which system it reaches, for commands that are given only its name."""


def home(environ: Mapping[str, str] | None = None) -> Path:
    """Return hdm's folder ``.hashmap_data_migrator`` under $HDM_HOME, $HOME or %USERPROFILE%.

    The first of them that is set counts; if it ends with the folder's name, it is the folder itself. Raises
    ``ProfileError`` if none is set.
    """
    environ = os.environ if environ is None else environ
    base = environ.get("HDM_HOME") or environ.get("HOME") or environ.get("USERPROFILE")
    if not base:
        raise ProfileError(
            "there is no home folder: HDM_HOME and HOME are not set", hint="export HDM_HOME=..."
        )
    path = Path(base)
    return path if path.name == FOLDER else path / FOLDER


def environment(env: str | None = None, environ: Mapping[str, str] | None = None) -> str:
    """Return the environment's name: ``env`` if given, else $HDM_ENV, else ``dev``."""
    environ = os.environ if environ is None else environ
    return env or environ.get("HDM_ENV") or "dev"


@dataclass(frozen=True)
class Profiles:
    """The connections of one environment, as the profile file ``path`` declares them.

    The file need not exist until somebody asks for a connection.
    """

    path: Path
    env: str
    entries: LocatedDict | None = field(default=None, repr=False)
    notes: list[str] = field(default_factory=list, repr=False, compare=False)
    """A line on each deprecated key of the connections that were asked for."""
    addresses: frozenset[str] = field(default=frozenset(), repr=False)
    """Names of connections that an address on the command line gives, and no file."""
    _made: dict[tuple[str, type[BaseModel]], BaseModel] = field(
        default_factory=dict, repr=False, compare=False
    )

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("profiles cannot be pickled; load them again where they are needed")

    def names(self) -> list[str]:
        """Return the names of the environment's connections, sorted; none if the file does not exist."""
        return sorted(self.entries or ())

    def entry(self, name: str) -> LocatedDict:
        """Return one connection as the profile file has it.

        Raises ``ProfileError`` for an unknown name or an entry that is no mapping, and if the file does not
        exist.
        """
        if self.entries is None:
            raise ProfileError(
                f"the profile file does not exist, and the connection '{name}' is needed",
                file=str(self.path),
                hint=f"create {self.path} with '{self.env}:' and '{name}:' in it, then chmod 600 {self.path}",
            )
        if name not in self.entries:
            place = self.entries.place
            raise ProfileError(
                f"the environment '{self.env}' has no connection '{name}'",
                file=str(self.path), line=place.line, column=place.column,
                hint=suggest(name, self.entries) or f"add '{name}:' below '{self.env}:'",
            )  # fmt: skip
        found = self.entries[name]
        if not isinstance(found, LocatedDict):
            place = self.entries.value_at(name)
            raise ProfileError(
                f"the connection '{name}' must be a mapping",
                file=str(self.path), line=place.line, column=place.column,
                hint=f"write '{name}:' and indented keys below it, such as host and user",
            )  # fmt: skip
        return found

    def system(self, name: str) -> str | None:
        """Return the word for the system that a connection reaches (``system: postgres``), if its entry says
        so.

        None if it does not. Raises ``ProfileError`` as ``entry`` does.
        """
        said = self.entry(name).get(SYSTEM)
        return None if said is None else str(said)

    def beside(self, entries: Mapping[str, Mapping[str, Any]]) -> Profiles:
        """Return these connections and others, which no file declares.

        A value under a private key becomes a ``Secret``. An entry of a known name takes its place.
        """
        made = LocatedDict() if self.entries is None else self.entries.copy()
        given = {*self.addresses, *entries}
        for name, entry in entries.items():
            made[name] = _hide(LocatedDict(entry), Place(), name, f"{self.env}.{name}")
        return Profiles(self.path, self.env, made, addresses=frozenset(given))

    def connection(self, name: str, model: type[P]) -> P:
        """Return one connection, validated as an instance of ``model``; the same object each time.

        A field of type ``Secret`` looks up its value when ``reveal`` is called. References in other fields
        are looked up now. Raises ``ProfileError`` with the place of every mistake.
        """
        if (known := self._made.get((name, model))) is not None:
            return cast("P", known)
        entry = self.entry(name)
        if SYSTEM not in getattr(model, "model_fields", {}):
            entry = entry.without(SYSTEM)
        given = name in self.addresses
        problems = Problems("" if given else str(self.path), ProfileError)
        what = "the address" if given else f"connection '{name}'"
        self.notes.extend(deprecated.notes(model, entry, f"connection '{name}'"))
        data = _resolve(entry, model, problems, f"{self.env}.{name}")
        made = validate(model, data, problems, what=what, private=True)
        problems.raise_any()
        assert made is not None
        self._made[name, model] = made
        return made


def load_profiles(
    path: str | Path | None = None,
    env: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Profiles:
    """Read the profile file: the one at ``path``, else at $HDM_PROFILES, else in the folder ``home()``.

    Returns the connections of one environment. A missing default file is an error only once a connection is
    asked for. Raises ``ProfileError`` for a file (or default folder) that others can read, for an unknown
    environment, and for mistakes in the file.
    """
    environ = os.environ if environ is None else environ
    name = environment(env, environ)
    given = path or environ.get("HDM_PROFILES")
    where = Path(given).expanduser() if given else home(environ) / FILE
    raw = _read_private(where, default=not given)
    if raw is None:
        return Profiles(where, name)
    top = parse_yaml(raw, str(where), error=ProfileError)
    if name not in top:
        raise ProfileError(
            f"there is no environment '{name}'",
            file=str(where), line=top.place.line, column=top.place.column,
            hint=suggest(name, top) or f"write '{name}:' and the connections below it",
        )  # fmt: skip
    entries = top[name]
    if entries is None:
        entries = LocatedDict(file=str(where), place=top.key_at(name))
    if not isinstance(entries, LocatedDict):
        place = top.value_at(name)
        raise ProfileError(
            f"the environment '{name}' must be a mapping of connections",
            file=str(where), line=place.line, column=place.column,
            hint=f"write '{name}:' and the connections, indented, below it",
        )  # fmt: skip
    return Profiles(where, name, _hide(entries, entries.place, "", name))


def _read_private(path: Path, *, default: bool) -> bytes | None:
    """Return the file's bytes if only its owner can read it; None if the default file does not exist."""
    try:
        with path.open("rb") as handle:
            mode = stat.S_IMODE(os.fstat(handle.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                raise ProfileError(
                    f"others can read this file (mode {mode:04o}); it may hold secrets",
                    file=str(path),
                    hint=f"chmod 600 {path}",
                )
            raw = handle.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if default:
            return None
        raise ProfileError(
            "the profile file does not exist", file=str(path), hint="correct --profiles or HDM_PROFILES"
        ) from None
    except OSError as error:
        raise ProfileError(
            f"the profile file cannot be read: {error.strerror}",
            file=str(path),
            hint="correct its permissions",
        ) from None
    folder = path.parent
    mode = stat.S_IMODE(folder.stat().st_mode)
    if default and os.name == "posix" and mode & 0o077:
        raise ProfileError(
            f"others can enter this folder (mode {mode:04o}); it may hold secrets",
            file=str(folder),
            hint=f"chmod 700 {folder}",
        )
    return raw


def _hide(value: Any, at: Place, key: str, where: str) -> Any:
    """Return a copy in which every value of a private key is a ``Secret``, whether it will be used or not.

    From then on the value is masked wherever text is written out.
    """
    if isinstance(value, LocatedDict):
        out = value.like()
        for name in value:
            place = value.value_at(name)
            hidden = _hide(value[name], place, name, f"{where}.{name}")
            out.put(name, hidden, value.key_at(name), place)
        return out
    if isinstance(value, PlacedList):
        items = PlacedList(file=value.file, place=value.place)
        for index, item in enumerate(value):
            items.add(_hide(item, value.item_at(index), key, where), value.item_at(index))
        return items
    if isinstance(value, str) and is_private(key):
        return Secret(value, where=where)
    return value


def _resolve(entry: LocatedDict, model: Any, problems: Problems, where: str) -> LocatedDict:
    """Return a copy in which fields that the model declares as ``Secret`` are secrets, all others plain."""
    out = entry.like()
    fields = {
        (info.alias or name): info.annotation for name, info in getattr(model, "model_fields", {}).items()
    }
    closed = getattr(model, "model_config", {}).get("extra") == "forbid"
    for key, given in entry.items():
        at = entry.value_at(key)
        annotation, value = fields.get(key), given
        if closed and key not in fields:
            out.put(key, given, entry.key_at(key), at)  # validate() refuses it, and shows no secret
            continue
        secret = _mentions(annotation, Secret)
        if isinstance(given, LocatedDict):
            value = _resolve(given, _model_in(annotation), problems, f"{where}.{key}")
        elif isinstance(given, PlacedList):
            value = _plain_items(given, f"{where}.{key}")
        elif isinstance(given, Secret | str):
            value = _value(given, at, secret, f"{where}.{key}", problems)
        elif (secret or is_private(key)) and given is None:
            hint = "write '' for none, a secret reference such as env:NAME, or the value in quotes"
            problems.add(f"connection: '{key}' is empty", at, hint)
            value = ""
        elif secret or is_private(key):
            message, hint = misread(key, at, private=True) or (f"'{key}' wants text", "quote it")
            problems.add(f"connection: {message}", at, hint)
            value = ""
        out.put(key, value, entry.key_at(key), at)
    return out


def _value(value: Secret | str, at: Place, secret: bool, where: str, problems: Problems) -> Any:
    found = value if isinstance(value, Secret) else Secret(value, where=where) if secret else None
    if found is not None:
        refused = found.refused()
        if refused:
            problems.add(*refused[:1], at, refused[1])
            return ""
        return found if secret else found.reveal()
    return look_up(str(value), where=where) if is_reference(str(value)) else value


def _plain_items(items: PlacedList, where: str) -> PlacedList:
    out = PlacedList(file=items.file, place=items.place)
    for index, item in enumerate(items):
        plain = item.reveal() if isinstance(item, Secret) else item
        if isinstance(plain, str) and is_reference(plain):
            plain = look_up(plain, where=where)
        out.add(plain, items.item_at(index))
    return out


def _mentions(annotation: Any, wanted: type) -> bool:
    return annotation is wanted or any(
        _mentions(inner, wanted) for inner in getattr(annotation, "__args__", ())
    )


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_model_in(inner) for inner in getattr(annotation, "__args__", ())]
    return next((model for model in found if model is not None), None)
