"""Loads plugins: modules, files and folders named in a manifest, and installed packages.

An installed package names its plugin modules in the entry point group ``hdm.plugins``.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from hdm.config.located import fold
from hdm.config.secrets import redact
from hdm.errors import UnknownComponent, UsageError

Register = Callable[[type], type]
GROUP = "hdm.plugins"

_lock = threading.RLock()
_loaded_points: dict[str, str] = {}
"""Entry points that were loaded or failed, each with the error, or empty text if it was loaded."""
_broken_files: dict[str, str] = {}
"""Files of plugin folders that could not be imported, each with the error."""


def load(wanted: Iterable[str], base: Path | None, register: Register) -> list[str]:
    """Load the plugins ``wanted``; return the errors of files that could not be imported.

    An entry names a module, or a file or folder by its path relative to ``base``. A module registers its
    classes itself (``@hdm.register``). In a file, every public class that derives from a template is
    registered. In a folder, the same is done for each file whose name does not begin with an underscore;
    these files may import each other relatively. A file of a folder that cannot be imported does not stop the
    others; its error is shown again when a type is not found. Raises ``UnknownComponent`` if a module or a
    named file cannot be loaded, or a path does not exist.
    """
    broken: list[str] = []
    for one in wanted:
        place = _place(one, base)
        if place is None:
            try:
                _from_here(one)
            except (Exception, SystemExit) as error:
                raise UnknownComponent(
                    f"the plugin module '{one}' cannot be imported: {why(error)}",
                    hint=f"install what it needs, or correct 'plugins:'; try: python -c 'import {one}'",
                ) from error
        elif place.is_dir():
            broken += _load_folder(place, register)
        elif place.is_file():
            if problem := _load_file(place, register):
                raise UnknownComponent(
                    f"the plugin file '{one}' cannot be loaded: {problem}",
                    hint="mend it, or correct 'plugins:'",
                )
        else:
            raise UnknownComponent(
                f"there is no plugin file or folder '{one}' in {base or Path.cwd()}",
                hint="paths under 'plugins:' are relative to the manifest",
            )
    return broken


def _place(one: str, base: Path | None) -> Path | None:
    """Return the resolved path of a file or folder; None if ``one`` is the name of a module."""
    is_path = one.endswith(".py") or "/" in one or os.sep in one or one in (".", "..")
    if not is_path and not ((base or Path.cwd()) / one).is_dir():
        return None
    if not is_path and importlib.util.find_spec(one) is not None:
        return None
    return ((base or Path.cwd()) / one).resolve()


def _load_folder(folder: Path, register: Register) -> Iterator[str]:
    for file in sorted(folder.glob("*.py")):
        if not file.name.startswith("_") and (problem := _load_file(file, register)):
            _broken_files[str(file)] = problem
            yield f"{file}: {problem}"


def _load_file(file: Path, register: Register) -> str:
    """Import a file as a module of its folder's package and register its classes; return any error."""
    package = f"hdm_plugins_{hashlib.sha256(str(file.parent).encode()).hexdigest()[:12]}"
    if package not in sys.modules:
        made = ModuleType(package)
        made.__path__ = [str(file.parent)]
        sys.modules[package] = made
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(f"{package}.{file.stem}")
        for cls in _templates_in(module):
            register(cls)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a broken plugin must not break what does not need it
        return why(error)
    return ""


def _templates_in(module: ModuleType) -> Iterator[type]:
    """Yield the public classes that the module itself defines and that derive from a template.

    Abstract classes are left out.
    """
    from hdm.components.registry import kind_of

    for name, found in vars(module).items():
        if name.startswith("_") or not isinstance(found, type) or found.__module__ != module.__name__:
            continue
        try:
            kind_of(found)
        except UsageError:
            continue
        if not inspect.isabstract(found):
            yield found


def _from_here(module: str) -> None:
    """Import a module; the current folder is searched too, last, and only for this import."""
    here = os.getcwd()
    known = here in sys.path or "" in sys.path
    if not known:
        sys.path.append(here)
    try:
        importlib.import_module(module)
    finally:
        if not known and here in sys.path:
            sys.path.remove(here)


def load_until(register: Register, key: str, found: Callable[[], bool]) -> bool:
    """Load installed plugins until ``found()`` returns True; return False if it never did.

    The plugin named ``key`` (case and underscores aside) is loaded first. Plugins that were loaded or failed
    before are not tried again.
    """
    with _lock:
        points = sorted(entry_points(group=GROUP), key=lambda point: (fold(point.name) != key, point.name))
        for point in points:
            if point.value not in _loaded_points:
                _loaded_points[point.value] = _load_point(point, register)
            if found():
                return True
    return False


def _load_point(point: EntryPoint, register: Register) -> str:
    """Import an entry point and return any error.

    If it names a class, registers that and the other components of its module, such as its dialect.
    """
    try:
        found = point.load()
        if isinstance(found, type):
            register(found)
            for cls in _templates_in(sys.modules[found.__module__]):
                register(cls)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a broken plugin must not break what does not need it
        return f"{point.name} ({point.value}): {why(error)}"
    return ""


def failures() -> list[str]:
    """Return the error of each installed plugin that could not be loaded."""
    return [problem for problem in _loaded_points.values() if problem]


def failed() -> str:
    """Return a text that lists the plugins that failed to load; empty if none did.

    The text is appended to the error about an unknown type.
    """
    all_of_them = [*failures(), *(f"{file}: {problem}" for file, problem in _broken_files.items())]
    return "; plugins that could not be loaded: " + "; ".join(all_of_them) if all_of_them else ""


def why(error: BaseException) -> str:
    """Return the error of a failed import as one line, with secrets masked."""
    return redact(f"{type(error).__name__}: {error}".splitlines()[0])
