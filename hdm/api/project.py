"""Opens a manifest from Python: the same commands as the command line has, with typed results."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from hdm.api import comparing, garbage, health, repairing, running, standing
from hdm.api.boundary import guarded
from hdm.api.comparing import Validated
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
from hdm.api.row_lineage import Brought, find, key_names, key_of
from hdm.config.profile import Profiles, environment, load_profiles
from hdm.errors import UsageError
from hdm.orchestrators.base import RunReport
from hdm.planning.breaker import MAX_WAIT
from hdm.planning.open_state import recall_state
from hdm.planning.plan import Plan
from hdm.project import Assembly, assemble, no_runs, no_such_run, read_plan
from hdm.proof.result import Level
from hdm.state import StateManager

if TYPE_CHECKING:
    from hdm.api.catalog import CatalogView

NEVER_RUN = "nothing was run yet"
PathText = str | os.PathLike[str]
OnEvent = Callable[[Event], object]


@guarded
def open(  # noqa: A001 -- the public name is hdm.open
    manifest: PathText, env: str | None = None, profiles: PathText | None = None, site: str | None = None
) -> Project:
    """Read a manifest and its profiles, and return a ``Project``; connect to nothing.

    ``env`` is a top-level key of the profiles file (default: $HDM_ENV, else ``dev``), ``profiles`` that
    file (default: $HDM_PROFILES, else ~/.hashmap_data_migrator/hdm_profiles.yml). With ``site``, only the
    links of that site and those without a site are carried out. Raises ``ManifestError`` or ``ProfileError``
    for a mistake in either file.
    """
    chosen = environment(env)
    file = profiles if profiles is not None else os.environ.get("HDM_PROFILES") or None
    path = os.fspath(manifest)
    plan = read_plan(path, chosen)
    return Project(path, plan, load_profiles(None if file is None else os.fspath(file), chosen), site)


class Project:
    """A manifest in one environment, with a method for each command of the command line.

    Every method makes the components anew, and keeps no connection open after it returns: a project may be
    used from any thread, and several may be open at once. Methods raise ``HdmError``, print nothing, install
    no signal handler and configure no logging. They log to loggers below ``hdm``.
    """

    def __init__(self, manifest: str, plan: Plan, profiles: Profiles, site: str | None = None) -> None:
        self.manifest = manifest
        """The path of the manifest, as it was given."""
        self.name = plan.manifest_name
        """The manifest's name, under which its runs are recorded."""
        self.env = plan.env
        """The name of the environment."""
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
        """Return what ``run`` with the same arguments would do now; change neither state nor target.

        Chunks are cut by the same function as in a run. If the state database was lost, a run first records
        the chunks in the targets' ledgers; this method does not read the ledgers.
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
        """Move the manifest's tables until nothing is left to do, and return how each ended.

        ``select`` and ``full_refresh`` are names or patterns of tables, as ``hdm run --select`` takes them;
        ``workers`` is the number of threads; ``max_wait`` is how many seconds a system may be unreachable.
        Set ``stop`` from another thread to make the run drain. ``on_event`` is called with one event at a
        time, from any thread; if it raises an exception, the run drains too, and the exception is raised
        here. Blocks until the run ends. A dead chunk raises no error: see ``RunReport.exit_code``. Raises
        ``UsageError`` for a mistake in the manifest or the arguments, ``StateError`` for an error of the
        state database.
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
        """Help a run that another process has opened, and return which runs this process worked on.

        ``run`` is the beginning of its id; without it, the newest open run. Waits up to ``wait`` seconds for
        something to do (``math.inf``: until ``stop`` is set). A project with a ``site`` also loads what other
        sites have published since, run after run. Raises ``UsageError`` if there is no open run and no site,
        or no run with that id. The other arguments are those of ``run``.
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
        """Return the progress and result of one run; None if there is no run yet.

        The run is the one whose id begins with ``run``, or the newest. Raises ``UsageError`` if ``run`` is
        given and no run's id begins with it.
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
        """Return every recorded run of this manifest, newest first.

        Empty if there is no state database yet.
        """
        with self.recall_state() or nullcontext() as state:
            found = state.reports.runs(*standing.mine(self._plan)) if state else ()
            return tuple(RunRow(**row) for row in found)

    @guarded
    def dead(self) -> tuple[DeadChunk, ...]:
        """Return the chunks that were set aside after failed attempts, with their errors.

        Empty if there are none, or if there is no state database yet.
        """
        with self.recall_state() or nullcontext() as state:
            return standing.dead(state, self._plan) if state else ()

    @guarded
    def lineage(self, table: str) -> tuple[Hop, ...]:
        """Return the links over which a table's rows came and went, one ``Hop`` for each.

        ``table`` is a dataset's name or the end of one. Raises ``UsageError`` if no such dataset is recorded.
        """
        with self.recall_state() or nullcontext() as state:
            if state is None:
                raise standing.unknown_table(table)
            return tuple(Hop(**row) for row in standing.on_record(state, table).lineage.of_table(table))

    @guarded
    def column_lineage(self, table: str) -> tuple[dict[str, Any], ...]:
        """Return the source column of each sink column, for the links that ``lineage`` returns.

        Each row has both columns with their types, how the sink column is made from the source column,
        ``masking``, ``lossy``, and the run. Raises ``UsageError`` if no dataset named ``table`` is recorded.
        """
        with self.recall_state() or nullcontext() as state:
            if state is None:
                raise standing.unknown_table(table)
            return tuple(standing.on_record(state, table).lineage.of_columns(table))

    @guarded
    def chunk_lineage(self, table: str) -> tuple[dict[str, Any], ...]:
        """Return every chunk that was read from or written to a table: its rows, status, digest and run.

        ``table`` is a dataset's name or the end of one. Raises ``UsageError`` if no such dataset is recorded.
        """
        with self.recall_state() or nullcontext() as state:
            if state is None:
                raise standing.unknown_table(table)
            return tuple(standing.on_record(state, table).reports.chunks_of(table))

    @guarded
    def row_lineage(self, table: str, row: str) -> tuple[Brought, ...]:
        """Return the chunks that brought the row with this key into a table, or may have; oldest first.

        ``row`` is the key's value, or ``COLUMN=VALUE`` pairs with commas between; the values of other
        columns, such as the cursor, narrow the answer. Raises ``UsageError`` if no dataset named ``table`` is
        recorded.
        """
        with self.recall_state() or nullcontext() as state:
            if state is None:
                raise standing.unknown_table(table)
            names = standing.on_record(state, table).reports.find_datasets(table)
            found = state.lineage.of_rows(names)
            return tuple(find(found, key_of(row, key_names(found))))

    @guarded
    def doctor(self) -> tuple[Finding, ...]:
        """Test versions, drivers, connections, grants and the clock; return one result for each test.

        A failed test raises no error: its ``ok`` is False.
        """
        return health.findings(self.assemble())

    @guarded
    def validate(
        self, *, select: Sequence[str] = (), level: Level | str | None = None, show: int | None = None
    ) -> tuple[Validated, ...]:
        """Compare each target table with its source, and return one result for each; change no table.

        ``select`` are names or patterns of tables, as in ``run``. ``level`` overrides the ``validate:`` of
        the links; where neither says one, it is ``rows``. ``show`` is how many rows that differ are returned
        for each table. With a watermark, the source's rows up to it are compared. The results have values of
        rows; the state database keeps verdict and numbers, and no value.
        """
        wanted = None if level is None else Level(level)
        return tuple(comparing.of_links(self.assemble(), select, wanted, show))

    @guarded
    def repair(
        self, *, select: Sequence[str] = (), show: int | None = None, max_deletes: str | int = "0"
    ) -> tuple[Validated, ...]:
        """Write the rows of each target again that differ from its source, and compare them once more.

        ``select`` and ``show`` are those of ``validate``. At most ``max_deletes`` rows of each target (a
        number, or a part such as ``1%``) are deleted: if more would have to be, nothing of it is changed.
        What was done is recorded, as counts. Raises ``UsageError`` for a table that cannot be repaired by its
        key, and if a run has not ended.
        """
        return repairing.repair(self.assemble(), select, show, str(max_deletes))

    @property
    def catalog(self) -> CatalogView:
        """Access to the source and target schemas of the manifest's links that are made from a catalogue.

        Its methods crawl, compare, map and create them, and accept changes. They raise ``UsageError`` if the
        manifest has no such links.
        """
        from hdm.api.catalog import CatalogView

        return CatalogView(self.manifest, self._plan, self._profiles)

    # -- deciding --------------------------------------------------------------

    @guarded
    def retry(self, *, table: str | None = None, chunk: str | None = None, reread: bool = False) -> Retried:
        """Let the next run try dead chunks again, and return them.

        These are all dead chunks, those of ``table``, or those whose id begins with ``chunk``. With
        ``reread``, the run reads their rows from the source again, even if a staged file has them. Raises
        ``UsageError`` if ``table`` or ``chunk`` is given and no dead chunk matches; without a state database,
        nothing is done.
        """
        with self.recall_state() or nullcontext() as state:
            if state is None:
                return Retried((), 0)
            return standing.retry(state, self._plan, table, chunk, reread=reread)

    @guarded
    def waive(
        self, *, by: str, reason: str, table: str | None = None, chunk: str | None = None
    ) -> tuple[DeadChunk, ...]:
        """Accept that the rows of dead chunks stay missing, and return these chunks.

        ``by`` names the person who decides, ``reason`` says why; both are recorded for good. ``table`` and
        the beginning of an id in ``chunk`` choose the chunks; without either, all dead chunks are waived.
        Raises ``UsageError`` if ``by`` or ``reason`` is empty, or if ``table`` or ``chunk`` is given and no
        dead chunk matches; without a state database, nothing is done.
        """
        if not by.strip() or not reason.strip():
            raise UsageError("--by and --reason must not be empty", hint="name the person and say why")
        with self.recall_state() or nullcontext() as state:
            return standing.waive(state, self._plan, by, reason, table, chunk) if state else ()

    @guarded
    def gc(self, *, dry_run: bool = False, staged: bool = False) -> Collected:
        """Remove the files that dead attempts left; return what was removed.

        First ends the leases of dead processes of this host. With ``staged``, also remove staged files that
        their sink's ``keep:`` no longer protects. With ``dry_run``, only list the files. Nothing is done if
        there is no state database.
        """
        made = self.assemble()
        with made.recall_state() or nullcontext() as state:
            if state is None:
                return Collected(())
            return garbage.collect(made, state, dry_run=dry_run, staged=staged)

    # -- for the command line ----------------------------------------------------

    def assemble(self) -> Assembly:
        """Make the sources, sinks and links that the manifest names, and return them together."""
        return assemble(self._plan, self._profiles, self.site)

    def preflight(self, select: Sequence[str] = (), full_refresh: Sequence[str] = ()) -> running.Preflight:
        """Make the manifest's components, and find the tables that they would move.

        ``select`` and ``full_refresh`` are names or patterns of tables; without any, all tables are chosen.
        Those of ``full_refresh`` are to be read as a whole.
        """
        return running.preflighted(self.assemble(), select, full_refresh)

    def recall_state(self) -> StateManager | None:
        """Open the state database and return it; return None if it does not exist."""
        return recall_state(self._plan, self._profiles)

    def why_nothing(self, otherwise: str = "") -> str:
        """Return a text for people that says why a list is empty.

        That is: nothing was run yet, or only other manifests were. If this manifest was run, it is the text
        ``otherwise``.
        """
        with self.recall_state() or nullcontext() as state:
            return no_runs(state, self._plan, otherwise) if state else NEVER_RUN
