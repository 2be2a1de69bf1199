"""For every check that hdm ships: it passes the intact connector and catches one broken in that way."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hdm import declare, testing
from hdm.catalog.patterns import Selection
from hdm.components.check import Check
from hdm.components.row_checks import Range
from hdm.connectors.sqlite import SQLiteCatalog, SQLiteProfile, SQLiteSink, SQLiteSource
from hdm.dialects.postgres import PostgresDialect
from hdm.dialects.sqlite import SQLiteDialect
from hdm.errors import HdmError, Recovery
from hdm.files.stores.base import LocalStore
from hdm.testing import awkward_table, catalogs, checks, dialects, leaks, sinks, sources, stores
from tests.conformance import catalog_saboteurs as c
from tests.conformance import check_saboteurs as k
from tests.conformance import saboteurs as s
from tests.conformance.relational import CONF, DDL, fill, some_rows
from tests.conformance.systems import CANARY, System, sqlite_system

SOURCES: dict[str, type[Any]] = {
    "every_row_once": s.LosesNulls,
    "schema_is_kept": s.ForgetsNotNull,
    "describe_is_stable": s.DescribesAnew,
    "plan_is_deterministic": s.NumbersFromOne,
    "chunk_is_replayable": s.ReadsOnce,
    "order_does_not_matter": s.GoesForwardOnly,
    "nothing_new_reads_nothing": s.ForgetsTheWatermark,
    "only_new_rows_are_read": s.ForgetsTies,
    "watermark_is_never_ahead": s.PromisesTooMuch,
    "chunks_stay_as_planned": s.ReadsToTheEnd,
    "empty_is_empty": s.MakesUpARow,
    "batches_are_bounded": s.JoinsBatches,
    "reading_closes_what_it_opens": s.KeepsOpen,
    "stopping_closes_what_it_opens": s.KeepsOpenIfStopped,
    "snapshot_is_released": s.HoldsItsSnapshot,
    "errors_are_classified": s.RawErrors,
    "manifests_can_name_it": s.LosesNulls,
    "unknown_keys_are_refused": s.TakesAnyKey,
    "repr_shows_no_secret": s.ShowsItsSecret,
}
SINKS: dict[str, type[Any]] = {
    "rows_arrive_exactly": s.EmptiesBecomeNull,
    "every_batch_arrives": s.KeepsTheLastBatch,
    "chunks_add_up": s.EmptiesBeforeEachChunk,
    "exploding_stream_leaves_nothing": s.CommitsTheHalf,
    "twice_is_once": s.EachAttemptCounts,
    "rivals_leave_one": s.EachAttemptCounts,
    "committed_tells_the_truth": s.RemembersInMemory,
    "ledger_lists_the_chunk": s.KeepsNoLedger,
    "prepare_again_keeps_rows": s.StartsAfresh,
    "discard_spares_the_winner": s.DiscardsAll,
    "first_file_is_the_first": s.NamesAnotherFile,
    "empty_chunk_counts": s.ForgetsEmptyChunks,
    "replace_swaps_at_the_end": s.ReplacesAtOnce,
    "merge_updates_by_key": s.MergesByNothing,
    "ledger_keeps_the_counts": s.DropsTheCounts,
    "lost_lease_leaves_nothing": s.WorksOnWithoutALease,
    "wide_rows_arrive": s.CutsText,
    "target_is_stable": s.NamesByInstance,
    "writing_closes_what_it_opens": s.SinkKeepsOpen,
    "errors_are_classified": s.SinkRawErrors,
    "manifests_can_name_it": s.KeepsNoLedger,
    "unknown_keys_are_refused": s.SinkTakesAnyKey,
    "repr_shows_no_secret": s.SinkShowsItsSecret,
}
STORES: dict[str, type[LocalStore]] = {
    "bytes_come_back": s.CutsObjects,
    "nothing_shows_before_put": s.WritesInPlace,
    "names_are_taken_once": s.Overwrites,
    "one_of_many_wins": s.LooksBeforeItLeaps,
    "list_is_complete": s.OnePageOnly,
    "stat_tells_the_truth": s.CountsOneMore,
    "missing_is_said_so": s.MissingIsEmpty,
    "delete_removes_one": s.AlwaysDeleted,
    "escapes_are_refused": s.GoesAnywhere,
    "addresses_lead_back": s.QuotesNothing,
    "uploads_are_aborted": s.NeverTidies,
    "nothing_stays_open": s.StoreKeepsOpen,
}
DIALECTS: dict[str, type[Any]] = {
    "names_survive_quoting": s.QuotesOnce,
    "impossible_names_are_refused": s.CutsNames,
    "names_beside_fit": s.CutsNamesBeside,
    "numbers_are_numbers": s.BelievesNumbers,
    "texts_stay_inside_their_quotes": s.EscapesNothing,
    "literals_round_trip": s.RendersRoughly,
    "every_kind_is_kept_or_declared": s.LosesFractions,
    "own_types_stay": s.ChangesOwnTypes,
    "statements_parse": s.Misspells,
    "statements_hold_hostile_names": s.ListsNamesBare,
    "conditions_are_strict": s.PassesAnyComparison,
    "errors_are_sorted": s.BuriesDeadlocks,
    "errors_show_no_values": s.QuotesRows,
}
CATALOGS: dict[str, type[Any]] = {
    "all_objects_are_found": c.ForgetsChecks,
    "two_crawls_are_equal": c.CountsItsCrawls,
    "json_keeps_everything": c.GivesWhatJsonLacks,
    "only_the_selection_is_found": c.CrawlsEverything,
    "created_again_it_is_the_same": c.LosesNotNull,
    "nothing_is_left_to_do_afterwards": c.SkipsIndexes,
    "drift_is_seen": c.RemembersItsCrawl,
    "refusals_are_errors": c.SwallowsErrors,
}
CHECKS: dict[str, type[Check]] = {
    "good_rows_pass": k.Complains,
    "bad_rows_do_not": k.Sleeps,
    "batches_do_not_matter": k.CountsBatches,
    "chunks_are_apart": k.Remembers,
    "no_value_shows": k.Quotes,
    "manifests_can_name_it": k.Sleeps,
    "unknown_keys_are_refused": k.TakesAnyKey,
}
SUITES: list[tuple[Any, dict[str, type[Any]]]] = [
    (sources, SOURCES), (sinks, SINKS), (stores, STORES), (dialects, DIALECTS),
    (catalogs, CATALOGS), (checks, CHECKS),
]  # fmt: skip
CATALOG_SCRIPT = """
CREATE TABLE a (id INTEGER PRIMARY KEY, n NUMERIC(10,2) NOT NULL DEFAULT 0, CHECK (n >= 0));
CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a (id));
CREATE INDEX ix ON b (a);
"""
CATALOG_HOLDS = {
    "tables": 2, "columns": 4, "defaults": 1, "primary keys": 2, "foreign keys": 1, "checks": 1,
    "indexes": 1, "identities": 2,
}  # fmt: skip
ONE_NUMBER = declare("trial://", "trial", {"n": "int64"})
CAUGHT = (AssertionError, HdmError, OSError, pytest.fail.Exception)


@pytest.fixture(autouse=True)
def closed_at_last() -> Any:
    yield
    while s.LEFT_OPEN:
        s.LEFT_OPEN.pop().close()


@pytest.fixture
def system(tmp_path: Path) -> System:
    return sqlite_system(tmp_path)


def made(cls: type[Any], words: dict[str, Any], conf: dict[str, Any]) -> Any:
    return cls(cls.Config.model_validate(conf), SQLiteProfile.model_validate(words), name="one")


def trial(
    check: Callable[..., None], catches: type[Any], intact: type[Any], run: Callable[[Any], None]
) -> None:
    run(intact)
    with pytest.raises(CAUGHT):
        run(catches)


@pytest.mark.parametrize(("module", "known"), SUITES, ids=[m.__name__ for m, _ in SUITES])
def test_every_check_has_a_saboteur(module: Any, known: dict[str, Any]) -> None:
    assert {name[6:] for name in vars(module) if name.startswith("check_")} == set(known)
    assert {check.__name__[6:] for check in module.CHECKS} == set(known)


def test_no_suite_is_forgotten() -> None:
    names = [one.name for one in pkgutil.iter_modules(testing.__path__)]
    modules = [importlib.import_module(f"hdm.testing.{name}") for name in names]
    holding = {m.__name__ for m in modules if any(name.startswith("check_") for name in vars(m))}
    assert holding == {module.__name__ for module, _ in SUITES}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.slow
def test_source(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BATCH_BOUND", 2_000)
    folders = iter((tmp_path / "1", tmp_path / "2"))

    def run(cls: type[Any]) -> None:
        folder = next(folders)
        folder.mkdir()
        system = sqlite_system(folder)
        for table in ("t", "vacant"):
            system.run(DDL.format(table))
        fill(system, "t", some_rows())

        def grow() -> list[tuple[Any, ...]]:
            new: list[tuple[Any, ...]] = [(100, 19, "tie"), (101, 20, "new"), (103, None, "null")]
            fill(system, "t", new)
            return new

        source, empty = (
            made(cls, system.profile_words, {"table_name": table, **CONF}) for table in ("t", "vacant")
        )
        gone = made(cls, system.gone_words, {"table_name": "t"})
        given = sources.Given(source, some_rows(), grow, empty, gone, CANARY)
        given.run(getattr(sources, f"check_{name}"))

    trial(run, SOURCES[name], SQLiteSource, run)


@pytest.mark.parametrize("name", SINKS)
@pytest.mark.slow
def test_sink(name: str, tmp_path: Path) -> None:
    folders = iter((tmp_path / "1", tmp_path / "2"))

    def run(cls: type[Any]) -> None:
        folder = next(folders)
        folder.mkdir()
        system = sqlite_system(folder)
        sink, gone = made(cls, system.profile_words, {}), made(cls, system.gone_words, {})
        given = sinks.Given(sink, awkward_table(), system.read_back, gone, CANARY)
        given.run(getattr(sinks, f"check_{name}"))

    trial(run, SINKS[name], SQLiteSink, run)


@pytest.mark.parametrize("name", STORES)
def test_store(name: str, tmp_path: Path) -> None:
    check = getattr(stores, f"check_{name}")
    folders = iter((tmp_path / "1", tmp_path / "2"))
    trial(check, STORES[name], LocalStore, lambda cls: check(cls(next(folders))))


@pytest.mark.parametrize("name", DIALECTS)
def test_dialect(name: str, system: System) -> None:
    errors = [(psycopg.errors.DeadlockDetected("text"), Recovery.RETRY), (sqlite3.Error("x"), Recovery.RETRY)]
    unknown = [("OVERRIDING SYSTEM VALUE ", "")]
    run_sql = system.run if name == "literals_round_trip" else None
    intact = SQLiteDialect if name == "literals_round_trip" else PostgresDialect

    def run(cls: type[Any]) -> None:
        dialects.Given(cls(), errors, run_sql, unknown).call(getattr(dialects, f"check_{name}"))

    trial(run, DIALECTS[name], intact, run)


@pytest.mark.parametrize("name", CATALOGS)
def test_catalog(name: str, tmp_path: Path) -> None:
    folders = iter((tmp_path / "1", tmp_path / "2"))

    def run(cls: type[Any]) -> None:
        folder = next(folders)
        folder.mkdir()
        catalog, other = (
            cls(cls.Config(), SQLiteProfile(path=str(folder / file)), name="one") for file in ("a.db", "b.db")
        )
        system = sqlite3.connect(folder / "a.db")
        system.executescript(CATALOG_SCRIPT)
        system.close()
        given = catalogs.Given(catalog, other, catalog.crawl(Selection()), CATALOG_HOLDS)
        given.call(getattr(catalogs, f"check_{name}"))

    trial(run, CATALOGS[name], SQLiteCatalog, run)


@pytest.mark.parametrize("name", CHECKS)
def test_check(name: str) -> None:
    def run(cls: type[Check]) -> None:
        rows = [(5,), (None,)]
        given = checks.Given(cls, ONE_NUMBER, {"column": "n", "min": 0}, rows, [*rows, (-4711,)])
        given.run(getattr(checks, f"check_{name}"))

    trial(getattr(checks, f"check_{name}"), CHECKS[name], Range, run)


def test_an_error_while_reading_is_classified_too(tmp_path: Path) -> None:
    system = sqlite_system(tmp_path)
    system.run(DDL.format("t"))
    fill(system, "t", some_rows())

    def run(cls: type[Any]) -> None:
        conf = {"table_name": "t", **CONF}
        source, gone = (made(cls, words, conf) for words in (system.profile_words, system.gone_words))
        sources.check_errors_are_classified(source, gone, CANARY)

    trial(run, s.ReadsNothingOfNothing, SQLiteSource, run)


def test_a_gap_that_is_none_is_an_error() -> None:
    leaks.judge("x", {"x": "it cannot"}, lambda: pytest.fail("indeed"))
    with pytest.raises(pytest.fail.Exception):
        leaks.judge("x", {"x": "it cannot"}, lambda: None)
    with pytest.raises(AssertionError):
        leaks.judge("x", {"x": " "}, lambda: None)
