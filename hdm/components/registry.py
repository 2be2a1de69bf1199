"""Finds the component class for a type name in a manifest and makes instances, by ``hdm.locator``.

hdm's own components are registered by name when this module is imported; their modules are imported on first
use. Components of plugins are registered when the plugins are loaded (``hdm.components.plugins``).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from hdm import locator
from hdm.components import plugins
from hdm.components.builtin import ALIASES, BUILTIN
from hdm.config import deprecated
from hdm.config.located import LocatedDict, Place, Problems, fold, suggest
from hdm.config.validation import validate
from hdm.errors import ManifestError, ProfileError, UnknownComponent, UsageError
from hdm.model import ComponentSpec

if TYPE_CHECKING:
    from hdm.config.profile import Profiles

C = TypeVar("C", bound=type)
KINDS = tuple(BUILTIN)
_TEMPLATES = {
    "Source": "source",
    "Sink": "sink",
    "Catalog": "catalog",
    "Orchestrator": "orchestrator",
    "StateSettings": "state_manager",
    "Check": "check",
    "DataLink": "data_link",
    "Dialect": "dialect",
    "Format": "format",
    "Store": "store",
    "Crawler": "crawler",
    "Writer": "ddl_writer",
}
_CALLED = {
    "dialect": "name",
    "format": "name",
    "store": "scheme",
    "crawler": "system",
    "ddl_writer": "system",
}
"""Kinds that are also found by a short name -> the class attribute that contains it."""
_CONNECTION_KEYS = ("env", "connection")


def register(cls: C) -> C:
    """Register a component class under its own name, so that a manifest may name it as ``type``.

    Returns the class. Its kind (source, sink, ...) is that of the template from which it derives. Raises
    ``UsageError`` if it derives from no template, or if another class of its kind has the name.
    """
    kind, key = kind_of(cls), fold(cls.__name__)
    builtin = _builtin_name(kind, cls.__name__)
    if builtin and not f"{cls.__module__}.".startswith(f"{BUILTIN[kind][builtin]}."):
        raise UsageError(
            f"{full_name(cls)} has the name of the {_word(kind)} that hdm brings",
            hint=f"rename the class, e.g. 'My{cls.__name__}'",
        )
    if builtin is None:
        if locator.knows(kind, key) and full_name(taken := locator.class_of(kind, key)) != full_name(cls):
            raise UsageError(
                f"two classes are registered as the {_word(kind)} '{cls.__name__}': "
                f"{full_name(taken)} and {full_name(cls)}",
                hint="rename one of them",
            )
        locator.add(kind, key, cls.__name__, lambda: cls, _words_of(kind, cls))
    return cls


def _words_of(kind: str, cls: type) -> list[str]:
    """Return the short name of a dialect, format, store, crawler or DDL writer, as a list; else none.

    Only the class's own body counts, not its bases. Raises ``UsageError`` if another class has that name.
    """
    attribute = _CALLED.get(kind, "")
    word = vars(cls).get(attribute)
    if not isinstance(word, str) or not word:
        return []
    taken = locator.key_of(kind, fold(word))
    if taken is not None and taken != fold(cls.__name__):
        raise UsageError(
            f"{full_name(cls)} has the {attribute} {word!r}, by which the {_word(kind)} "
            f"'{locator.name_of(kind, taken)}' is found",
            hint=f"give it another {attribute}",
        )
    return [fold(word)]


def kind_of(cls: type) -> str:
    """Return the kind of a component class: ``source``, ``sink``, ``check``, ...

    Raises ``UsageError`` if it derives from none of hdm's templates.
    """
    for base in cls.__mro__[1:]:
        if base.__module__.partition(".")[0] == "hdm" and base.__name__ in _TEMPLATES:
            return _TEMPLATES[base.__name__]
    raise UsageError(
        f"{full_name(cls)} cannot be registered: it derives from none of hdm's templates",
        hint="derive it from hdm.Source, hdm.Sink or another template",
    )


def names(kind: str) -> list[str]:
    """Return every type name of one kind of component that is registered so far, hdm's own included."""
    return locator.names(kind)


def is_brought(kind: str, name: str) -> bool:
    """Return True if hdm itself contains a component of this kind and class name; import nothing."""
    return name in BUILTIN[kind]


def canonical(kind: str, type_name: str) -> str | None:
    """Return the class name for a manifest's type name in any spelling; None if no component has it.

    Loads installed plugins if needed, but does not import hdm's own components.
    """
    key = _key(kind, type_name)
    return locator.name_of(kind, key) if _is_there(kind, key) else None


def find(kind: str, type_name: str) -> type[Any]:
    """Return the component class for a type name in any spelling.

    Loads installed plugins if needed. Raises ``UnknownComponent`` if no class of this kind has the name.
    """
    key = _key(kind, type_name)
    if not _is_there(kind, key):
        raise UnknownComponent(
            f"no {_word(kind)} is registered as '{type_name}'{plugins.failed()}",
            hint=suggest(type_name, names(kind)),
        )
    return locator.class_of(kind, key)


def _key(kind: str, type_name: str) -> str:
    """Return the key of the class that has this name or short name; else the folded name."""
    return locator.key_of(kind, fold(type_name)) or fold(type_name)


def _is_there(kind: str, key: str) -> bool:
    """Whether a class has the key; loads installed plugins until one has."""
    return locator.knows(kind, key) or plugins.load_until(register, key, lambda: locator.knows(kind, key))


def create(kind: str, spec: ComponentSpec, profiles: Profiles | None = None) -> Any:
    """Return the component that a manifest entry names, with validated configuration.

    ``conf.env`` (or ``conf.connection``) names the component's entry in ``profiles``. That entry is validated
    by the class's ``Profile``, or by the model that ``profile_for`` of the class returns for the conf. Raises
    ``ManifestError`` or ``ProfileError`` with the line of every mistake, also if no class has the type's
    name; for an entry that was not read from a file, that is ``UnknownComponent``.
    """
    try:
        cls = find(kind, spec.type)
    except UnknownComponent as error:
        file = getattr(spec.conf, "file", "")
        if not file:
            raise
        line, column = spec.place
        raise ManifestError(error.message, file=file, line=line, column=column, hint=error.hint) from None
    config = _config(cls, spec, kind)
    profile = _profile(cls, spec, kind, profiles, config)
    return locator.make(kind, cls, {"config": config, "profile": profile, "name": spec.name})


def build(kind: str, type_name: str, configuration: Mapping[str, Any]) -> Any:
    """Return an instance of a component class that needs no manifest entry.

    ``configuration`` are the arguments of its constructor. Raises ``UnknownComponent`` if no class of this
    kind has the type name.
    """
    return locator.make(kind, find(kind, type_name), configuration)


def deprecated_keys(kind: str, spec: ComponentSpec) -> list[str]:
    """Return one line of text for each deprecated key in a component's conf, with file and line.

    Empty if there is none.
    """
    return deprecated.notes(find(kind, spec.type).Config, spec.conf, f"{_word(kind)} '{spec.name}'")


def connection_name(spec: ComponentSpec) -> str | None:
    """Return the name of the profile entry (connection) that a component uses; None if it names none."""
    found = [spec.conf[key] for key in _CONNECTION_KEYS if spec.conf.get(key) is not None]
    return str(found[0]) if found else None


def _config(cls: Any, spec: ComponentSpec, kind: str) -> BaseModel:
    conf = spec.conf if isinstance(spec.conf, LocatedDict) else _placed(spec)
    problems = Problems(conf.file)
    model: type[BaseModel] = cls.Config
    named = [key for key in _CONNECTION_KEYS if conf.get(key) is not None]
    for key in named:
        if not isinstance(conf[key], str):
            problems.add(
                f"{_word(kind)} '{spec.name}': '{key}' wants the name of a connection",
                conf.value_at(key),
                "write (or quote) a name that stands in the profile",
            )
    if len(named) == 2 and conf["env"] != conf["connection"]:
        problems.add(
            f"{_word(kind)} '{spec.name}': 'env' and 'connection' name two connections",
            conf.key_at("connection"),
            "keep one of them",
        )
    unknown = [key for key in _CONNECTION_KEYS if key not in model.model_fields]
    made = validate(
        model, conf.without(*unknown), problems, what=f"{_word(kind)} '{spec.name}' ({cls.__name__})"
    )
    problems.raise_any()
    assert made is not None
    return made


def _profile(
    cls: Any, spec: ComponentSpec, kind: str, profiles: Profiles | None, config: BaseModel
) -> BaseModel | None:
    by_conf: Callable[[BaseModel], type[BaseModel] | None] | None = getattr(cls, "profile_for", None)
    model: type[BaseModel] | None = by_conf(config) if by_conf else getattr(cls, "Profile", None)
    name = connection_name(spec)
    if model is None:
        if name is None or "env" in cls.Config.model_fields:
            return None
        raise misplaced(
            spec, f"{_word(kind)} '{spec.name}': {cls.__name__} takes no connection", "remove 'env'"
        )
    if name is None:
        if not any(info.is_required() for info in model.model_fields.values()):
            try:
                return model()
            except ValueError:
                pass  # a validator needs more than the fields declare: raise the error below
        raise misplaced(
            spec,
            f"{_word(kind)} '{spec.name}': {cls.__name__} needs a connection",
            "add 'env:' with the name of a connection in the profile",
        )
    if profiles is None:
        raise UsageError(f"no profile is loaded, and the connection '{name}' is needed")
    try:
        return profiles.connection(name, model)
    except ProfileError as error:
        if error.line or not isinstance(spec.conf, LocatedDict):
            raise
        place = spec.conf.value_at("env" if "env" in spec.conf else "connection")
        asked = f"{spec.conf.file}:{place.line}:{place.column}"
        where = "" if asked.startswith(":") else f" (asked for at {asked})"
        raise ProfileError(f"{error.message}{where}", hint=error.hint) from None


def _placed(spec: ComponentSpec) -> LocatedDict:
    return LocatedDict(spec.conf, place=Place(*spec.place))


def misplaced(spec: ComponentSpec, message: str, hint: str) -> ManifestError:
    """Return a ``ManifestError`` that points to the manifest's line with this component.

    If that line is not known, the error points to no line.
    """
    file = getattr(spec.conf, "file", "")
    line, column = spec.place if file else (0, 0)
    return ManifestError(message, file=file, line=line, column=column, hint=hint)


def _builtin_name(kind: str, type_name: str) -> str | None:
    wanted = fold(type_name)
    for alias, name in ALIASES.get(kind, {}).items():
        if fold(alias) == wanted:
            return name
    return next((name for name in BUILTIN[kind] if fold(name) == wanted), None)


def _import_builtin(kind: str, name: str) -> type[Any]:
    module = BUILTIN[kind][name]
    try:
        return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        raise UnknownComponent(
            f"the {_word(kind)} '{name}' cannot be loaded: {plugins.why(error)}",
            hint="install hdm again, with the extra of that system: pip install 'hdm[...]'",
        ) from error


def full_name(cls: type) -> str:
    """Return a class's full name, ``module.Class``."""
    return f"{cls.__module__}.{cls.__qualname__}"


def load_plugins(wanted: Iterable[str], base: Path | None = None) -> list[str]:
    """Load the plugins that a manifest lists under ``plugins:``; return the errors of files that failed.

    Paths are relative to the folder ``base``. See ``plugins.load``.
    """
    return plugins.load(wanted, base, register)


def load_installed() -> list[str]:
    """Load every installed plugin; return the errors of those that failed.

    Afterwards ``names`` lists the types of all plugins.
    """
    plugins.load_until(register, "", lambda: False)
    return plugins.failures()


def _word(kind: str) -> str:
    return kind.replace("_", " ")


for _kind, _brought in BUILTIN.items():
    for _name in _brought:
        _others = [fold(word) for word, name in ALIASES.get(_kind, {}).items() if name == _name]
        locator.add(_kind, fold(_name), _name, partial(_import_builtin, _kind, _name), _others)
