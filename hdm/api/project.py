"""A manifest opened from Python: the same verbs as the command line, with typed results."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from hdm.api import garbage, health, running, standing
from hdm.api.boundary import guarded
from hdm.api.events import Event, EventStream
from hdm.api.planned import planned
from hdm.api.results import (
    Collected,
    DeadChunk,
    Finding,
    Hop,
    PlanReport,
    Retried,
    RunRow,
    RunStatus,
    WorkReport,
)
from hdm.config.profile import Profiles, environment, load_profiles
from hdm.errors import UsageError
from hdm.orchestrators.base import RunReport
from hdm.planning.breaker import MAX_WAIT
from hdm.planning.open_state import recall_state
from hdm.planning.plan import Plan
from hdm.project import Assembly, assemble, no_runs, no_such_run, read_plan
from hdm.state import StateManager

if TYPE_CHECKING:
    from hdm.api.catalog import CatalogView

NEVER_RUN = "nothing was run yet"
PathText = str | os.PathLike[str]
OnEvent = Callable[[Event], object]


@guarded
def open(  # noqa: A001 -- it is called hdm.open
    manifest: PathText, env: str | None = None, profiles: PathText | None = None, site: str | None = None
) -> Project:
    """Read a manifest and its profiles; nothing is connected to, and nothing created.

    ``env`` is a top-level key of the profiles file (default: $HDM_ENV, else ``dev``), ``profiles`` that
    file (default: $HDM_PROFILES, else ~/.hashmap_data_migrator/hdm_profiles.yml). With ``site``, only the
    links of that site and of none are carried out. Raises ``ManifestError`` or ``ProfileError`` for a
    mistake in them.
    """
    chosen = environment(env)
    file = profiles if profiles is not None else os.environ.get("HDM_PROFILES") or None
    path = os.fspath(manifest)
    plan = read_plan(path, chosen)
    return Project(path, plan, load_profiles(None if file is None else os.fspath(file), chosen), site)


class Project:
    """A manifest in one environment. Made by ``hdm.open``; the manifest is as it was then.

    Every method makes the components anew, and holds no connection once it has returned: a project may be
    used from any thread, and several may be open at once. Methods raise ``HdmError``, print nothing, install
    no signal handler and configure no logging. What happens is logged below the logger ``hdm``.
    """

    def __init__(self, manifest: str, plan: Plan, profiles: Profiles, site: str | None = None) -> None:
        self.manifest = manifest
        """The path of the manifest, as it was given."""
        self.name = plan.manifest_name
        """The manifest's name, under which its runs are on record."""
        self.env = plan.env
        """The environment."""
        self.site = site
        """The site whose links are carried out; None: all."""
        self._plan = plan
        self._profiles = profiles

    def __repr__(self) -> str:
        at = f" --site {self.site}" if self.site is not None else ""
        return f"<hdm project {self.manifest} -e {self.env}{at}>"

    # -- moving ----------------------------------------------------------------

    @guarded
    def plan(self, *, select: Sequence[str] = (), full_refresh: Sequence[str] = ()) -> PlanReport:
        """Say what ``run`` with the same words would do now. Touches neither state nor target.

        Chunks are cut by the function that cuts them in a run. What only the ledger of a target knows, after
        a state database was lost, is taken over by the run, and not asked for here.
        """
        return planned(running.preflighted(self.assemble(), select, full_refresh))

    def run(
        self,
        *,
        select: Sequence[str] = (),
        full_refresh: Sequence[str] = (),
        workers: int | None = None,
        max_wait: float = MAX_WAIT,
        stop: threading.Event | None = None,
        on_event: OnEvent | None = None,
    ) -> RunReport:
        """Move what the manifest says, and return how that ended; called again, move what is left.

        ``select`` and ``full_refresh`` are names or patterns of tables, as ``hdm run --select`` takes them;
        ``workers`` threads carry chunks; ``max_wait`` is how many seconds a system may be away. Another
        thread that sets ``stop`` makes the run drain. ``on_event`` is called with one event at a time, from
        any thread; an exception of its own stops the run in the same way and is then raised here.

        Blocks. A chunk that dies raises nothing: see ``RunReport.exit_code``. Raises ``UsageError`` for a
        mistake in what was written, ``StateError`` for trouble with the state database.
        """
        wishes = running.Wishes(select, full_refresh, workers, max_wait, stop or threading.Event())
        stream = EventStream(on_event or (lambda event: None), wishes.stop)
        report = self._run(wishes, stream)
        if stream.failure is not None:
            raise stream.failure
        return report

    @guarded
    def _run(self, wishes: running.Wishes, display: running.Display) -> RunReport:
        return self.preflight(wishes.select, wishes.full_refresh).run(wishes, display)

    def work(
        self,
        *,
        run: str | None = None,
        wait: float = 0.0,
        workers: int | None = None,
        max_wait: float = MAX_WAIT,
        stop: threading.Event | None = None,
        on_event: OnEvent | None = None,
    ) -> WorkReport:
        """Help a run that another process has opened: the one whose id begins with ``run``, or the newest.

        Waits up to ``wait`` seconds for something to do (``math.inf``: until ``stop`` is set). A project with
        a ``site`` also loads what other sites have published since, run after run. Raises ``UsageError`` if
        there is no open run and no site. The other words are those of ``run``.
        """
        wishes = running.Wishes((), (), workers, max_wait, stop or threading.Event())
        stream = EventStream(on_event or (lambda event: None), wishes.stop)
        report = self._work(run, wait, wishes, stream)
        if stream.failure is not None:
            raise stream.failure
        return report

    @guarded
    def _work(
        self, run: str | None, wait: float, wishes: running.Wishes, display: running.Display
    ) -> WorkReport:
        return running.work(self.preflight(), run, wait, self.manifest, wishes, display)

    # -- looking ---------------------------------------------------------------

    @guarded
    def status(self, run: str | None = None) -> RunStatus | None:
        """How a run stands: the one whose id begins with ``run``, else the newest. None: there is none yet.

        Raises ``UsageError`` if no run begins so.
        """
        state = self.recall_state()
        if state is None:
            if run is not None:
                raise no_such_run(self._plan, run)
            return None
        with state:
            return standing.status_of(state, self._plan, run)

    @guarded
    def runs(self) -> tuple[RunRow, ...]:
        """Every run on record, newest first."""
        with self.recall_state() or nullcontext() as state:
            found = state.reports.runs(*standing.mine(self._plan)) if state else ()
            return tuple(RunRow(**row) for row in found)

    @guarded
    def dead(self) -> tuple[DeadChunk, ...]:
        """The chunks that were set aside, with their errors."""
        with self.recall_state() or nullcontext() as state:
            return standing.dead(state, self._plan) if state else ()

    @guarded
    def lineage(self, table: str) -> tuple[Hop, ...]:
        """Where a table came from and went to, one hop for each link. ``table`` is a dataset's name or the
        end of it. Raises ``UsageError`` if it is not on record."""
        with self.recall_state() or nullcontext() as state:
            if state is None:
                raise standing.unknown_table(table)
            return tuple(Hop(**row) for row in standing.on_record(state, table).lineage(table))

    @guarded
    def column_lineage(self, table: str) -> tuple[dict[str, Any], ...]:
        """The way of each column through the links that ``lineage`` names, as the state database has it:
        source and sink column with their types, how the one was made of the other, ``masking``, ``lossy``."""
        with self.recall_state() or nullcontext() as state:
            if state is None:
                raise standing.unknown_table(table)
            return tuple(standing.on_record(state, table).column_lineage(table))

    @guarded
    def chunk_lineage(self, table: str) -> tuple[dict[str, Any], ...]:
        """Every chunk that was read from or written to a table: rows, status, digest, run."""
        with self.recall_state() or nullcontext() as state:
            if state is None:
                raise standing.unknown_table(table)
            return tuple(standing.on_record(state, table).reports.chunks_of(table))

    @guarded
    def doctor(self) -> tuple[Finding, ...]:
        """Look at everything that the manifest needs: versions, drivers, connections, grants, clock."""
        return health.findings(self.assemble())

    @property
    def catalog(self) -> CatalogView:
        """The schemas of the manifest's templates: crawled, compared, mapped, created."""
        from hdm.api.catalog import CatalogView

        return CatalogView(self.manifest, self._plan, self._profiles)

    # -- deciding --------------------------------------------------------------

    @guarded
    def retry(self, *, table: str | None = None, chunk: str | None = None, reread: bool = False) -> Retried:
        """Give dead chunks another chance in the next run: all, those of a ``table``, or the one whose id
        begins with ``chunk``. With ``reread`` their rows are read from the source again.

        Raises ``UsageError`` if none matches.
        """
        with self.recall_state() or nullcontext() as state:
            if state is None:
                return Retried((), 0)
            return standing.retry(state, self._plan, table, chunk, reread=reread)

    @guarded
    def waive(
        self, *, by: str, reason: str, table: str | None = None, chunk: str | None = None
    ) -> tuple[DeadChunk, ...]:
        """Accept the gap that dead chunks leave, in the name of a person and for a reason; it stays on
        record. Raises ``UsageError`` if either is empty, or nothing matches."""
        if not by.strip() or not reason.strip():
            raise UsageError("--by and --reason must not be empty", hint="name the person and say why")
        with self.recall_state() or nullcontext() as state:
            return standing.waive(state, self._plan, by, reason, table, chunk) if state else ()

    @guarded
    def gc(self, *, dry_run: bool = False, staged: bool = False) -> Collected:
        """Remove what dead attempts left behind; with ``staged`` also staged files that ``keep:`` of their
        sink no longer keeps, with ``dry_run`` nothing."""
        made = self.assemble()
        with made.recall_state() or nullcontext() as state:
            if state is None:
                return Collected(())
            return garbage.collect(made, state, dry_run=dry_run, staged=staged)

    # -- for the command line ----------------------------------------------------

    def assemble(self) -> Assembly:
        """Make the manifest's components."""
        return assemble(self._plan, self._profiles, self.site)

    def preflight(self, select: Sequence[str] = (), full_refresh: Sequence[str] = ()) -> running.Preflight:
        """Make the components and look what there is to move."""
        return running.preflighted(self.assemble(), select, full_refresh)

    def recall_state(self) -> StateManager | None:
        """The state database, to look into; None if there is none yet."""
        return recall_state(self._plan, self._profiles)

    def why_nothing(self, otherwise: str = "") -> str:
        """Why a list is empty: nothing was run yet, or of which manifests something was, or ``otherwise``."""
        with self.recall_state() or nullcontext() as state:
            return no_runs(state, self._plan, otherwise) if state else NEVER_RUN
