"""From a plan's ``state_manager`` to an open state database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hdm import registry
from hdm.model import ComponentSpec
from hdm.plan import Plan
from hdm.profile import Profiles, home

if TYPE_CHECKING:
    from hdm.state import StateManager

DEFAULT_TTL = 30.0


def open_state(plan: Plan, profiles: Profiles) -> StateManager:
    """The plan's state database, created where there is none.

    Raises ``StateError`` if it cannot be reached or its schema is not this version's.
    """
    from hdm.state import StateManager

    return StateManager.open(_url(plan.state, profiles), lease_ttl=_ttl(plan.state))


def recall_state(plan: Plan, profiles: Profiles) -> StateManager | None:
    """The plan's state database, to look into; None if there is none yet. Creates nothing."""
    from hdm.errors import SchemaOutOfDate
    from hdm.state import StateManager

    url = _url(plan.state, profiles)
    file = str(url).removeprefix("sqlite:///") if str(url).startswith("sqlite:///") else None
    if file is not None and not Path(file).exists():
        return None
    try:
        return StateManager.open(url, create=False, lease_ttl=_ttl(plan.state))
    except SchemaOutOfDate:
        return None


def upgrade_state(plan: Plan, profiles: Profiles) -> tuple[str | None, str]:
    """Upgrade under a lock; gives the schema versions before and after."""
    from hdm.state.schema import upgrade

    return upgrade(_url(plan.state, profiles))


def old_state_url(plan: Plan, where: str, profiles: Profiles) -> Any:
    """The URL of an old state manager: a SQLite file's path, or a profile entry's name."""
    if Path(where).exists():
        return f"sqlite:///{where}"
    kind = plan.state.type if plan.state else "SQLiteStateManager"
    spec = ComponentSpec("old state manager", kind, {"connection": where})
    return registry.create("state_manager", spec, profiles).url()


def _url(spec: ComponentSpec | None, profiles: Profiles) -> Any:
    if spec is None or registry.connection_name(spec) is None:
        path = home() / "state.db"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return f"sqlite:///{path}"
    return registry.create("state_manager", spec, profiles).url()


def _ttl(spec: ComponentSpec | None) -> float:
    """Seconds a lease lasts: ``HDM_LEASE_TTL``, else 30."""
    return float(os.environ.get("HDM_LEASE_TTL") or DEFAULT_TTL)
