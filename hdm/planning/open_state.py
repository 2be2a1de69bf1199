"""Opens the state database that a manifest's ``state_manager`` names."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hdm.components import registry
from hdm.config.profile import Profiles, home
from hdm.errors import StateError, StateMissing, UsageError
from hdm.files.atomic_file import is_there
from hdm.model import ComponentSpec
from hdm.planning.manifest import EMBEDDED
from hdm.planning.plan import Plan

if TYPE_CHECKING:
    from hdm.state import StateManager

DEFAULT_TTL = 30.0


def open_state(plan: Plan, profiles: Profiles) -> StateManager:
    """Open a plan's state database, and create it if it does not exist.

    Raises ``StateError`` if it cannot be reached or its schema is not this version's.
    """
    ttl, (url, manager) = _ttl(), _found(plan.state, profiles)
    return manager.open(_made_room(url), lease_ttl=ttl)


def recall_state(plan: Plan, profiles: Profiles) -> StateManager | None:
    """Open a plan's state database and return it; return None if it does not exist. Creates nothing."""
    url, manager = _found(plan.state, profiles)
    file = _file(url)
    if file is not None and not is_there(file):
        return None
    try:
        return manager.open(url, create=False, lease_ttl=_ttl())
    except StateMissing:
        return None


def state_rights(plan: Plan, profiles: Profiles, *, made: bool) -> list[str] | None:
    """Return a line for each right that the user of a plan's state database lacks; None if not known.

    ``made``: the tables are there. Raises ``StateError`` if the database cannot be reached.
    """
    from hdm.state.db.database import Database
    from hdm.state.db.rights import missing_grants

    url, _ = _found(plan.state, profiles)
    if _file(url) is not None:
        return None
    db = Database(url)
    try:
        return missing_grants(db, made=made)
    finally:
        db.close()


def embedded_state(profiles: Profiles) -> StateManager:
    """Open the state database in hdm's own folder, for a command without a manifest; create it if missing.

    Raises ``StateError`` if it cannot be opened or its schema is not this version's.
    """
    ttl, (url, manager) = _ttl(), _found(None, profiles)
    return manager.open(_made_room(url), lease_ttl=ttl)


def named_state(where: str) -> StateManager:
    """Open the state database at a path or URL, without a manifest; create nothing.

    ``${NAME}`` in a URL is replaced by an environment variable, so that no password need be written. Raises
    ``UsageError`` if there is no such file, or the URL cannot be read.
    """
    from hdm.state import StateManager
    from hdm.state.db.database import resolve

    if "://" not in where:
        if not is_there(Path(where)):
            raise UsageError(f"there is no file {where}", hint="give a SQLite file's path, or a URL")
        return StateManager.open(f"sqlite:///{where}", create=False)
    return StateManager.open(resolve(_filled(where)), create=False)


def _filled(url: str) -> str:
    def value(found: re.Match[str]) -> str:
        try:
            return quote(os.environ[found[1]], safe="")
        except KeyError:
            raise UsageError(
                f"--state names ${{{found[1]}}}, and there is no such environment variable",
                hint=f"export {found[1]}=...",
            ) from None

    return re.sub(r"\$\{(\w+)\}", value, url)


def upgrade_state(plan: Plan, profiles: Profiles) -> tuple[str | None, str]:
    """Upgrade a plan's state database to this version's schema, under a lock; return both schema versions.

    The version before is None if there was no schema.
    """
    from hdm.state.db.upgrade import upgrade

    return upgrade(_made_room(_found(plan.state, profiles)[0]))


def old_state_url(plan: Plan, where: str, profiles: Profiles) -> Any:
    """Return the database URL of hashmap_data_migrator's state manager.

    ``where`` is the path of a SQLite file, or the name of a profile entry. Raises ``UsageError`` if there is
    neither.
    """
    if is_there(Path(where)):
        return f"sqlite:///{where}"
    if where not in profiles.names():
        raise UsageError(
            f"there is neither a file nor a connection {where!r}",
            hint="give the path of the old SQLite file, or the name of a profile entry",
        )
    kind = plan.state.type if plan.state else EMBEDDED
    spec = ComponentSpec("old state manager", kind, {"connection": where})
    return registry.create("state_manager", spec, profiles).url()


def _found(spec: ComponentSpec | None, profiles: Profiles) -> tuple[Any, type[StateManager]]:
    """The URL of a state database, and the class that opens it: hdm's own, or one that a plugin derives.

    Raises ``UsageError`` if the plugin's class is not derived from ``StateManager``.
    """
    from hdm.state import StateManager

    if spec is None or _is_embedded(spec):
        return f"sqlite:///{home() / 'state.db'}", StateManager
    settings = registry.create("state_manager", spec, profiles)
    manager = settings.Manager or StateManager
    if not (isinstance(manager, type) and issubclass(manager, StateManager)):
        raise UsageError(
            f"the Manager of {spec.type} is not derived from StateManager",
            hint="write: class MyManager(hdm.state.StateManager)",
        )
    return settings.url(), manager


def _is_embedded(spec: ComponentSpec) -> bool:
    """Whether a manifest means the database in hdm's own folder: the default type without a connection."""
    return registry.connection_name(spec) is None and spec.type == EMBEDDED


def _file(url: Any) -> Path | None:
    return Path(str(url).removeprefix("sqlite:///")) if str(url).startswith("sqlite:///") else None


def _made_room(url: Any) -> Any:
    """Create the folder of the URL's file, if it names one, and return the URL unchanged."""
    file = _file(url)
    if file is not None:
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(
                f"the folder {file.parent} of the state database cannot be made: {error.strerror}",
                hint="export HDM_HOME=... to have it elsewhere, or give the state_manager a connection",
            ) from None
    return url


def _ttl() -> float:
    """Return how many seconds a lease lasts: ``HDM_LEASE_TTL``, else 30."""
    given = os.environ.get("HDM_LEASE_TTL") or str(DEFAULT_TTL)
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86400:
        raise UsageError(f"HDM_LEASE_TTL is {given!r}", hint="write seconds: more than 0, at most 86400")
    return seconds
