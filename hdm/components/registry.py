"""The service locator: type names in a manifest become instances, through providah.

hdm keeps its own table of names, because providah registers every public name of a module and
stops at the first one that cannot be imported; each class is handed to it explicitly, with its
kind as library and a label of its own, when it is first made.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from hdm.components.builtin import ALIASES, BUILTIN
from hdm.config.located import Place, PlacedDict, Problems, fold, suggest
from hdm.config.secrets import redact
from hdm.config.validation import validate
from hdm.errors import ManifestError, ProfileError, UnknownComponent, UsageError
from hdm.model import ComponentSpec

if TYPE_CHECKING:
    from hdm.config.profile import Profiles

C = TypeVar("C", bound=type)
GROUP = "hdm.plugins"
KINDS = tuple(BUILTIN)
_TEMPLATES = {
    "Source": "source",
    "Sink": "sink",
    "Catalog": "catalog",
    "Orchestrator": "orchestrator",
    "StateManager": "state_manager",
    "StateSettings": "state_manager",
    "Check": "check",
    "DataLink": "data_link",
}
_CONNECTION_KEYS = ("env", "connection")

_lock = threading.RLock()
_registered: dict[str, dict[str, type]] = {kind: {} for kind in KINDS}
_handed_over: set[tuple[str, type]] = set()
_loaded_points: dict[str, str] = {}
"""Entry points tried so far, each with why it failed, or ''."""


def register(cls: C) -> C:
    """Make a class known by its name; its kind is that of the template it derives from.

    Raises ``UsageError`` if it derives from none, or if another class has the name.
    """
    kind = kind_of(cls)
    with _lock:
        taken = _registered[kind].get(fold(cls.__name__))
        builtin = _builtin_name(kind, cls.__name__)
        if taken is not None and _full_name(taken) != _full_name(cls):
            raise UsageError(
                f"two classes are registered as the {_word(kind)} '{cls.__name__}': "
                f"{_full_name(taken)} and {_full_name(cls)}",
                hint="rename one of them",
            )
        if builtin and BUILTIN[kind][builtin] != cls.__module__:
            raise UsageError(
                f"{_full_name(cls)} has the name of the {_word(kind)} that hdm brings",
                hint=f"rename the class, e.g. 'My{cls.__name__}'",
            )
        _registered[kind][fold(cls.__name__)] = cls
    return cls


def kind_of(cls: type) -> str:
    """``source``, ``sink``, ...: which template a class derives from."""
    for base in cls.__mro__[1:]:
        if base.__module__.partition(".")[0] == "hdm" and base.__name__ in _TEMPLATES:
            return _TEMPLATES[base.__name__]
    raise UsageError(
        f"{_full_name(cls)} cannot be registered: it derives from none of hdm's templates",
        hint="derive it from hdm.Source, hdm.Sink or another template",
    )


def load_plugins(modules: Iterable[str]) -> None:
    """Import the modules that a manifest names; their ``@register``-ed classes become known.

    Raises ``UnknownComponent`` that names the module if one cannot be imported.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except (Exception, SystemExit) as error:
            raise UnknownComponent(
                f"the plugin module '{module}' cannot be imported: {_why(error)}",
                hint=f"install what it needs, or correct 'plugins:'; try: python -c 'import {module}'",
            ) from error


def load_installed() -> list[str]:
    """Import every installed plugin, so that ``names`` has them all; those that failed, and why."""
    with _lock:
        for point in entry_points(group=GROUP):
            if point.value not in _loaded_points:
                _loaded_points[point.value] = _load_point(point)
        return [why for why in _loaded_points.values() if why]


def names(kind: str) -> list[str]:
    """Every type name of a kind: what hdm brings, and what is registered so far."""
    with _lock:
        return sorted({*BUILTIN[kind], *(cls.__name__ for cls in _registered[kind].values())})


def canonical(kind: str, type_name: str) -> str | None:
    """The class name that a spelling stands for, without importing what hdm brings; None if
    neither hdm, a registered class, nor an installed plugin answers to it."""
    builtin = _builtin_name(kind, type_name)
    if builtin:
        return builtin
    cls = _plugin_class(kind, type_name)
    return cls.__name__ if cls else None


def find(kind: str, type_name: str) -> type[Any]:
    """The class for a type name in any spelling. Raises ``UnknownComponent``."""
    builtin = _builtin_name(kind, type_name)
    if builtin:
        return _import_builtin(kind, builtin)
    cls = _plugin_class(kind, type_name)
    if cls is None:
        raise UnknownComponent(
            f"no {_word(kind)} is registered as '{type_name}'" + _failed_points(),
            hint=suggest(type_name, names(kind)),
        )
    return cls


def create(kind: str, spec: ComponentSpec, profiles: Profiles | None = None) -> Any:
    """An instance of what ``spec`` names, its conf and its connection validated.

    ``conf.env`` (or ``conf.connection``) names the profile entry. Raises ``ManifestError``
    or ``ProfileError`` with the place of every mistake, ``UnknownComponent``.
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
    profile = _profile(cls, spec, kind, profiles)
    return _construct(kind, cls, {"config": config, "profile": profile, "name": spec.name})


def build(kind: str, type_name: str, configuration: Mapping[str, Any]) -> Any:
    """An instance of what has no conf of its own, made with these arguments. Raises ``UnknownComponent``."""
    return _construct(kind, find(kind, type_name), configuration)


def connection_name(spec: ComponentSpec) -> str | None:
    """The profile entry that a component names, or None."""
    found = [spec.conf[key] for key in _CONNECTION_KEYS if spec.conf.get(key) is not None]
    return str(found[0]) if found else None


def _config(cls: Any, spec: ComponentSpec, kind: str) -> BaseModel:
    conf = spec.conf if isinstance(spec.conf, PlacedDict) else _placed(spec)
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


def _profile(cls: Any, spec: ComponentSpec, kind: str, profiles: Profiles | None) -> BaseModel | None:
    model: type[BaseModel] | None = getattr(cls, "Profile", None)
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
                pass  # it needs something after all: say so below
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
        if error.line or not isinstance(spec.conf, PlacedDict):
            raise
        place = spec.conf.value_at("env" if "env" in spec.conf else "connection")
        asked = f"{spec.conf.file}:{place.line}:{place.column}"
        raise ProfileError(f"{error.message} (asked for at {asked})", hint=error.hint) from None


def _construct(kind: str, cls: type, configuration: Mapping[str, Any]) -> Any:
    from providah.factories.package_factory import PackageFactory

    label = f"{_full_name(cls)}:{id(cls):x}"
    with _lock:
        if (kind, cls) not in _handed_over:
            PackageFactory.register(cls.__name__, cls, library=kind, label=label)
            _handed_over.add((kind, cls))
    return PackageFactory.create(cls.__name__, library=kind, label=label, configuration=dict(configuration))


def _placed(spec: ComponentSpec) -> PlacedDict:
    return PlacedDict(spec.conf, place=Place(*spec.place))


def misplaced(spec: ComponentSpec, message: str, hint: str) -> ManifestError:
    """The mistake of naming a component where it stands, with that place."""
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
            f"the {_word(kind)} '{name}' cannot be loaded: {_why(error)}",
            hint="install hdm again, with the extra of that system: pip install 'hdm[...]'",
        ) from error


def _plugin_class(kind: str, type_name: str) -> type[Any] | None:
    wanted = fold(type_name)
    with _lock:
        if wanted in _registered[kind]:
            return _registered[kind][wanted]
        points = sorted(entry_points(group=GROUP), key=lambda point: (fold(point.name) != wanted, point.name))
        for point in points:
            if point.value not in _loaded_points:
                _loaded_points[point.value] = _load_point(point)
            if wanted in _registered[kind]:
                return _registered[kind][wanted]
    return None


def _load_point(point: EntryPoint) -> str:
    """Import an entry point's module and register its class, if it names one; why not, if not."""
    try:
        found = point.load()
        if isinstance(found, type):
            register(found)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a broken plugin must not break what does not need it
        return f"{point.name} ({point.value}): {_why(error)}"
    return ""


def _failed_points() -> str:
    failed = [why for why in _loaded_points.values() if why]
    return "; plugins that could not be loaded: " + "; ".join(failed) if failed else ""


def _why(error: BaseException) -> str:
    return redact(f"{type(error).__name__}: {error}".splitlines()[0])


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _word(kind: str) -> str:
    return kind.replace("_", " ")
