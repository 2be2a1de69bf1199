"""Makes a table of one connection equal to a table of another, and records that."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hdm._version import __version__
from hdm.api.boundary import guarded
from hdm.api.two_tables import known_profiles, must_be_table, places, refuse_one_table
from hdm.config.profile import environment
from hdm.errors import HdmError
from hdm.model import Attempt, Table, digest
from hdm.planning.open_state import embedded_state, named_state
from hdm.project import user
from hdm.proof.applying import (
    NO_DELETES,
    Applied,
    Task,
    allowed,
    checked,
    foreseen,
    given,
    key_of,
    make_equal,
    patched,
)
from hdm.proof.pairing import Wishes
from hdm.proof.result import Comparison, Level
from hdm.runtime.host import host_identity
from hdm.state import RunInfo, StateManager

_NAME = 240
"""Most characters of the name under which the state records the runs of one pair of tables."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What ``hdm.api.sync`` found and did; ``run`` is the id of the run that records it, None if none does.

    ``applied`` has the comparisons before and after, and the counts of what was done.
    """

    first: str
    second: str
    applied: Applied
    run: str | None = None

    @property
    def exit_code(self) -> int:
        """0 if the tables are equal by the last comparison, else 1."""
        return self.applied.exit_code


@guarded
def sync(
    first: str,
    second: str,
    wishes: Wishes = Wishes(),  # noqa: B008 -- a frozen value
    *,
    env: str | None = None,
    profiles: str | os.PathLike[str] | None = None,
    where: str | None = None,
    max_deletes: str | int = NO_DELETES,
    dry_run: bool = False,
    state: str | None = None,
    notes: Callable[[str], object] | None = None,
) -> Synced:
    """Change the rows of the second table until it equals the first; compare again and return the result.

    The tables are named as for ``hdm.api.diff``; ``wishes`` say what tells rows apart and which columns
    belong together. At most ``max_deletes`` rows (a number, or a part such as ``1%``) are deleted: if more
    would have to be, nothing is changed. With ``dry_run``, nothing is changed or recorded. ``state`` is the
    path or URL of a state database; left out, the one in hdm's own folder. ``notes`` is called with each line
    of which the user must know. Raises ``UsageError`` for tables that cannot be synced.
    """
    known = known_profiles(env, profiles)
    allowed(str(max_deletes), 0)
    ends = places(first, second, known, notes)
    a, b = (place.side(known, where) for place in ends)
    refuse_one_table(first, second, a, b)
    must_be_table(second, b)
    wishes = replace(wishes, level=Level.ROWS)
    plan = checked(a.table, b.table, wishes)
    if dry_run:
        return Synced(first, second, _named(foreseen(a, b, wishes, str(max_deletes)), first, second, where))
    key = [plan.pairs[number].b.name for number in plan.keys]
    sink = ends[1].sink(known, b.table.path, key)
    table = Table(a.table.dataset, a.table.path, tuple(map(given, plan.pairs)), tuple(key))
    patch = patched(table, plan, sink.target(table), sink)
    columns = tuple(pair.a for pair in plan.pairs)
    task = Task(
        a, b, wishes, columns, patch,
        key_of("sync", *(x for one in (a, b) for x in (one.table.dataset.namespace, one.table.dataset.name))),
        alive=a if where is None else ends[0].side(known, None), max_deletes=str(max_deletes),
    )  # fmt: skip
    with embedded_state(known) if state is None else named_state(state) as store:
        run = store.runs.open(_run_info(first, second, environment(env)))
        names = {"first": _dataset(a.table), "second": _dataset(b.table), "ledger_key": task.job_key}
        try:
            store.operators.synced(run, names, begins=True)
            made = make_equal(replace(task, attempt=Attempt(1, run_id=run), clock=store.reports.clock))
            store.operators.synced(run, {**names, **made.facts()})
        except BaseException as error:
            _close(store, run, error)
            raise
        store.runs.close(run, "success" if made.equal else "failure", *_why(made))
    return Synced(first, second, _named(made, first, second, where), run)


def _run_info(first: str, second: str, env: str) -> RunInfo:
    name = f"sync {first} {second}"
    digested = digest("sync", first, second)
    name = name if len(name) <= _NAME else f"{name[: _NAME - 9]} {digested[:8]}"
    return RunInfo(
        manifest_name=name, manifest_sha256=digested, env=env, started_by=user(), git_sha=None,
        git_dirty=False, hdm_version=__version__, host=host_identity(),
    )  # fmt: skip


def _close(store: StateManager, run: str, error: BaseException) -> None:
    said = error.in_one_line if isinstance(error, HdmError) else None
    store.runs.close(run, "failure", type(error).__name__, said)


def _why(made: Applied) -> tuple[str | None, str | None]:
    """Return class and text of the error with which the run is recorded; both None if there is none."""
    if made.equal:
        return None, None
    return "NotEqual", made.stopped or made.refused or "the tables differ after the sync"


def _dataset(table: Table) -> Mapping[str, str]:
    return {"namespace": table.dataset.namespace, "name": table.dataset.name}


def _named(made: Applied, first: str, second: str, where: str | None) -> Applied:
    """Return the result with the tables named as the caller named them."""
    notes = () if where is None else (f"compared: rows where {where}",)

    def called(one: Comparison) -> Comparison:
        return replace(one, a=first, b=second, notes=(*notes, *one.notes))

    after = None if made.after is None else called(made.after)
    return replace(made, before=called(made.before), after=after)
