"""Opens the state database that a command's arguments name."""

from __future__ import annotations

from hdm.errors import UsageError
from hdm.planning.open_state import named_state
from hdm.project import open_state_only
from hdm.state import StateManager


def state_of(
    manifest: str | None, where: str | None, env: str, profiles: str | None, *, hint: str
) -> StateManager:
    """Open the state database of a manifest, or the one that --state names.

    Raises ``UsageError``, with ``hint``, unless exactly one of them is given and the database exists.
    """
    if (manifest is None) == (where is None):
        raise UsageError("name either a manifest or, with --state, a state database", hint=hint)
    if where is not None:
        return named_state(where)
    _, state = open_state_only(str(manifest), env, profiles)
    if state is None:
        raise UsageError("nothing was run yet: there is no state database", hint=hint)
    return state
