"""The trail holds: every tampering with a state database is found by ``hdm state verify``.

The story has two runs of one manifest and one of its catalogue, a job with a chunk that was waived,
files, watermarks, checks, an acceptance, and a chained job; then each tampering is done to it.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

from hdm.model import Chunk, Dataset
from hdm.state import StateManager
from hdm.state.db.tables import metadata
from hdm.state.db.upgrade import upgrade
from hdm.state.queries import anchors
from hdm.state.records import CheckResult
from hdm.state.tx.transaction import CHAINED, GENESIS, chain_hash
from tests.unit.state.conftest import World, run_info, table

TEXT = "name: shop\nstages: []\n"


def story(store: StateManager) -> World:
    """All that a trail can tell of, once."""
    first = store.runs.open(replace(run_info("shop"), manifest_text=TEXT))
    store.runs.close(first, "failure", "SourceUnavailable", "the source went away")
    catalogue = store.runs.open(run_info("shop (catalog)"))
    store.crawls.keep(catalogue, "accepted:shop", {Dataset("src", "orders"): {"columns": ["id"]}})
    store.runs.close(catalogue, "success")
    world = World(store, key="shop")
    above = world.planned(4, losses=[("ssn", "cut to 4 characters")])
    for number in range(3):
        lease = world.claim()
        store.files.begin(lease, f"file:///stage/{lease.chunk_id}.parquet", "parquet")
        receipt = world.finish(lease, 10, target_rows=10, extracted=12, filtered=2)
        store.chunks.record_checks(lease, [CheckResult("NotNull", "id", '{"column": "id"}', "warn", None)])
        if number == 0:
            kept = receipt
    dead = world.claim()
    store.chunks.fail(dead, ValueError("x"), retry_in=None, phase="read")
    store.jobs.close(above.job_id)
    store.operators.waive(dead.chunk_id, "ann", "test data")
    chained = world.info("shop-b", stage_no=1, upstream_keys=("shop",), source=above.info.target,
                         target=table("shop.final", "dst", None))  # fmt: skip
    below = store.jobs.open(world.run, chained)
    part = Chunk(below.pipeline_key, below.info.source.dataset, 0, files=kept.files, upstream=kept.chunk_id)
    store.jobs.add_downstream_chunks(below, kept.chunk_id, [part])
    world.finish(world.claim(), 10, target_rows=10)
    store.jobs.close(above.job_id)
    store.runs.close(world.run, "success")
    return world


def breaks(store: StateManager, *known: anchors.Anchor) -> list[str]:
    return [f"{run[:6]} {what}" for run, what in store.trail.verify(known).breaks]


def anchor_of(store: StateManager) -> anchors.Anchor:
    (made,) = anchors.read(anchors.spell(store.trail.make_anchor()), "a.json")
    return made


def rehash(world: World, run: str) -> None:
    """What who may write everything does: a chain that is whole again, with its head."""
    rows = world.store._base.db.read(
        lambda conn: [
            dict(row)
            for row in conn.execute(
                text("SELECT * FROM hdm_event WHERE run_id = :run ORDER BY seq"), {"run": run}
            ).mappings()
        ]
    )
    before = GENESIS
    for place, row in enumerate(rows, 1):
        old, row["seq"], row["prev_hash"] = row["seq"], place, before
        before = row["hash"] = chain_hash(before, {name: row[name] for name in CHAINED})
        world.alter(
            "UPDATE hdm_event SET seq = :seq, prev_hash = :prev_hash, hash = :hash WHERE run_id = :run "
            "AND seq = :old",
            seq=place, prev_hash=row["prev_hash"], hash=row["hash"], run=run, old=old,
        )  # fmt: skip
    world.alter("UPDATE hdm_chain_head SET seq = :seq, hash = :hash WHERE run_id = :run",
                seq=len(rows), hash=before, run=run)  # fmt: skip


def _delete_run(world: World, run: str) -> None:
    for one in ("anchor", "chain_head", "event", "dataset_schema", "worker", "run_job"):
        world.alter(f"DELETE FROM hdm_{one} WHERE run_id = :run", run=run)
    world.alter("DELETE FROM hdm_run WHERE run_id = :run", run=run)


def _delete_the(which: str) -> Callable[[World], None]:
    def work(world: World) -> None:
        ((run,),) = world.query(f"SELECT run_id FROM hdm_run WHERE {which}")
        _delete_run(world, run)

    return work


def _cut_older(world: World) -> None:
    """The first run's end goes, and its head and row are made to fit."""
    ((run, seq),) = world.query(
        "SELECT h.run_id, h.seq FROM hdm_chain_head h JOIN hdm_run r ON r.run_id = h.run_id "
        "WHERE r.status = 'failure'"
    )
    world.alter("DELETE FROM hdm_event WHERE run_id = :run AND seq = :seq", run=run, seq=seq)
    world.alter(
        "UPDATE hdm_run SET status = 'in_progress', ended_at = NULL, error_class = NULL, error_msg = NULL "
        "WHERE run_id = :run", run=run,
    )  # fmt: skip
    rehash(world, run)


def _receipt(world: World) -> None:
    ((chunk, receipt),) = world.query(
        f"SELECT chunk_id, receipt FROM hdm_chunk WHERE chunk_id = {DONE_CHUNK}"
    )
    world.alter(
        "UPDATE hdm_chunk SET rows_loaded = 11, receipt = :receipt WHERE chunk_id = :id",
        receipt=receipt.replace('"rows":10', '"rows":11'), id=chunk,
    )  # fmt: skip


def _cut(world: World) -> None:
    """The newest run's last event, and the head set to what is left."""
    ((seq,),) = world.query("SELECT seq FROM hdm_chain_head WHERE run_id = :run", run=world.run)
    world.alter("DELETE FROM hdm_event WHERE run_id = :run AND seq = :seq", run=world.run, seq=seq)
    world.alter(
        "UPDATE hdm_run SET status = 'in_progress', ended_at = NULL WHERE run_id = :run", run=world.run
    )
    rehash(world, world.run)


def _forge(world: World) -> None:
    """Another person waived it: in the table, in the event, and in a chain made anew."""
    world.alter("UPDATE hdm_dead_letter SET resolved_by = 'bob'")
    world.alter("UPDATE hdm_event SET payload = REPLACE(payload, '\"by\":\"ann\"', '\"by\":\"bob\"') "
                "WHERE event_type = 'chunk.waived'")  # fmt: skip
    rehash(world, world.run)


def _swap(world: World) -> None:
    for seq, to in ((3, 9999), (4, 3), (9999, 4)):
        world.alter("UPDATE hdm_event SET seq = :to WHERE run_id = :run AND seq = :seq",
                    to=to, seq=seq, run=world.run)  # fmt: skip


def _insert(world: World) -> None:
    world.alter(
        "INSERT INTO hdm_event (run_id, seq, event_type, at_db, payload, prev_hash, hash) "
        "SELECT run_id, 9999, 'chunk.waived', at_db, payload, hash, hash FROM hdm_event "
        "WHERE run_id = :run AND seq = 5",
        run=world.run,
    )


def sql(statement: str) -> Callable[[World], None]:
    def work(world: World) -> None:
        assert world.alter(statement) >= 1

    return work


def _first(column: str, of: str, rest: str = "") -> str:
    """One value of a table, in a form that MariaDB takes in a change of that table."""
    return f"(SELECT k FROM (SELECT MIN({column}) AS k FROM {of} {rest}) AS pick)"


DONE_CHUNK = _first("chunk_id", "hdm_chunk", "WHERE status = 'verified'")
TAMPERINGS: dict[str, Callable[[World], None]] = {
    "an event edited": sql("UPDATE hdm_event SET payload = '{}' WHERE event_type = 'job.planned'"),
    "an event deleted": sql("DELETE FROM hdm_event WHERE event_type = 'chunk.dead'"),
    "an event inserted": _insert,
    "events reordered": _swap,
    "who started a run": sql("UPDATE hdm_run SET started_by = 'bob' WHERE status = 'failure'"),
    "a run's manifest": sql(f"UPDATE hdm_run SET manifest_sha256 = '{'1' * 64}' WHERE status = 'failure'"),
    "a run's host": sql("UPDATE hdm_run SET host = 'there' WHERE status = 'failure'"),
    "how a run ended": sql("UPDATE hdm_run SET status = 'success' WHERE status = 'failure'"),
    "why a run failed": sql("UPDATE hdm_run SET error_msg = 'nothing' WHERE status = 'failure'"),
    "a run's row": sql("DELETE FROM hdm_run WHERE status = 'failure'"),
    "a dataset": sql("DELETE FROM hdm_dataset WHERE name = 'shop.final'"),
    "rows of a chunk that brought none": sql("UPDATE hdm_chunk SET rows_loaded = 1 WHERE receipt IS NULL"),
    "a text that is no receipt": sql("UPDATE hdm_chunk SET receipt = '{' WHERE receipt IS NOT NULL"),
    "a file's format": sql("UPDATE hdm_artifact SET format = 'csv'"),
    "which attempt wrote a file": sql("UPDATE hdm_artifact SET attempt = 9"),
    "which row a dead letter is of": sql("UPDATE hdm_dead_letter SET row_no = 5"),
    "which target took a job": sql("UPDATE hdm_job SET target_id = 'another'"),
    "a manifest's text": sql("UPDATE hdm_manifest SET body = 'name: other'"),
    "a run in the middle": _delete_the("manifest_name = 'shop (catalog)'"),
    "the first run": _delete_the("status = 'failure'"),
    "a worker's host": sql("UPDATE hdm_worker SET host = 'there'"),
    "who waived": sql("UPDATE hdm_dead_letter SET resolved_by = 'bob'"),
    "why it was waived": sql("UPDATE hdm_dead_letter SET reason = 'fine'"),
    "why a chunk died": sql("UPDATE hdm_dead_letter SET error_msg = 'nothing'"),
    "a dead letter": sql("DELETE FROM hdm_dead_letter"),
    "a watermark": sql("UPDATE hdm_watermark SET value = '99' WHERE seq = 2"),
    "a watermark inserted": sql(
        "INSERT INTO hdm_watermark (pipeline_key, dataset_id, seq, column_name, value_type, value, job_id, "
        "chunk_no, committed_at) SELECT pipeline_key, dataset_id, 99, column_name, value_type, '999', "
        "job_id, chunk_no, committed_at FROM hdm_watermark WHERE seq = 2"
    ),
    "a file's sha256": sql(f"UPDATE hdm_artifact SET sha256 = '{'0' * 64}'"),
    "a file's bytes": sql("UPDATE hdm_artifact SET bytes = 1"),
    "a file": sql("DELETE FROM hdm_artifact"),
    "a file that is gone": sql("UPDATE hdm_artifact SET state = 'DELETED'"),
    "rows loaded": sql(f"UPDATE hdm_chunk SET rows_loaded = 11 WHERE chunk_id = {DONE_CHUNK}"),
    "rows read": sql(f"UPDATE hdm_chunk SET rows_extracted = 11 WHERE chunk_id = {DONE_CHUNK}"),
    "rows filtered": sql(f"UPDATE hdm_chunk SET rows_filtered = 1 WHERE chunk_id = {DONE_CHUNK}"),
    "rows rejected": sql(f"UPDATE hdm_chunk SET rows_rejected = 1 WHERE chunk_id = {DONE_CHUNK}"),
    "a receipt and its rows": _receipt,
    "an older run's cut end": _cut_older,
    "a chunk's status": sql("UPDATE hdm_chunk SET status = 'verified' WHERE status = 'waived'"),
    "a chunk's bounds": sql(f"UPDATE hdm_chunk SET hi = '5' WHERE chunk_id = {DONE_CHUNK}"),
    "a chunk's attempts": sql(f"UPDATE hdm_chunk SET attempt = 1 + attempt WHERE chunk_id = {DONE_CHUNK}"),
    "who held a chunk": sql(f"UPDATE hdm_chunk SET lease_owner = 'bob' WHERE chunk_id = {DONE_CHUNK}"),
    "when it was loaded": sql(
        f"UPDATE hdm_chunk SET sinking_end_time = '2020-01-01T00:00:00.000000Z' WHERE chunk_id = {DONE_CHUNK}"
    ),
    "a job's target": sql("UPDATE hdm_job SET sink_name = 'elsewhere' WHERE stage_no = 1"),
    "a job's status": sql("UPDATE hdm_job SET status = 'failure' WHERE status = 'success'"),
    "a run's part in a job": sql("DELETE FROM hdm_run_job"),
    "a lineage edge": sql("UPDATE hdm_lineage_edge SET row_count = 9"),
    "a lineage edge deleted": sql("DELETE FROM hdm_lineage_edge"),
    "a column's lineage": sql("UPDATE hdm_column_lineage SET lossy = 0 WHERE lossy = 1"),
    "a comparison": sql("UPDATE hdm_validation SET status = 'fail' WHERE kind = 'row_count'"),
    "a check's result": sql("UPDATE hdm_validation SET target_value = 'x' WHERE kind = 'NotNull'"),
    "a check's result deleted": sql("DELETE FROM hdm_validation WHERE kind = 'NotNull'"),
    "an acceptance": sql(
        "UPDATE hdm_dataset_schema SET columns_json = '{}' WHERE dataset_id IN "
        "(SELECT dataset_id FROM hdm_dataset WHERE kind = 'accepted')"
    ),
    "a schema": sql("DELETE FROM hdm_dataset_schema WHERE change_kind = 'new'"),
    "a dataset's name": sql("UPDATE hdm_dataset SET name = 'other' WHERE name = 'shop.final'"),
    "what was followed": sql("DELETE FROM hdm_follow"),
    "what a job follows": sql("DELETE FROM hdm_job_upstream"),
    "an upgrade": sql("DELETE FROM hdm_schema_history WHERE version = '0005'"),
    "which upgrade it was": sql("UPDATE hdm_schema_history SET version = '0004' WHERE version = '0005'"),
}
ANCHORED: dict[str, Callable[[World], None]] = {
    "a cut end": _cut,
    "a chain made anew": _forge,
}
SAMPLE = (
    "who started a run", "a manifest's text", "who waived", "a watermark", "a file's sha256", "rows loaded",
    "a chunk's bounds", "a job's target", "a column's lineage", "a check's result", "an acceptance",
    "a lineage edge", "a run in the middle", "a cut end",
)  # fmt: skip
"""What is also done on PostgreSQL and MariaDB, one after the other."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite state with the story in it."""
    path = tmp_path_factory.mktemp("story") / "state.db"
    with StateManager.open(f"sqlite:///{path}") as store:
        story(store)
        assert breaks(store) == []
    return path


@pytest.mark.parametrize("secret", ["test", "shop", "success", "a", "row_count"])
@pytest.mark.slow
def test_a_password_that_is_a_word_of_the_trail_breaks_nothing(tmp_path: Path, secret: str) -> None:
    """Masked are a person's and a driver's words, never what is compared with a row."""
    url = f"sqlite:///{tmp_path / 'state.db'}"
    with StateManager.open(url, mask=lambda said: said.replace(secret, "***")) as store:
        story(store)
        assert breaks(store) == []


class Tamperer(World):
    """Someone who may write the database as he likes, foreign keys or not."""

    def __init__(self, store: StateManager) -> None:
        self.store, self.key = store, "shop"
        self.engine = create_engine(store._base.db.url, poolclass=NullPool)
        self.dialect = self.engine.dialect.name
        ((run,),) = self.query("SELECT run_id FROM hdm_trail")
        self.run = run or ""
        self.anchor = anchor_of(store)

    def alter(self, sql: str, **values: Any) -> int:
        with self.engine.begin() as conn:
            for statement in _UNBOUND[self.dialect]:
                conn.execute(text(statement))
            return conn.execute(text(sql), values).rowcount


_UNBOUND = {
    "sqlite": (),  # its foreign keys are off unless asked for
    "postgresql": ("SET LOCAL session_replication_role = replica",),
    "mysql": ("SET foreign_key_checks = 0",),
}


@pytest.fixture
def tamperer(original: Path, tmp_path: Path) -> Iterator[Tamperer]:
    for part in original.parent.iterdir():
        shutil.copy(part, tmp_path / part.name)
    with StateManager.open(f"sqlite:///{tmp_path / original.name}") as store:
        yield Tamperer(store)


@pytest.mark.parametrize("name", TAMPERINGS)
@pytest.mark.slow
def test_a_tampering_is_found(tamperer: Tamperer, name: str) -> None:
    TAMPERINGS[name](tamperer)
    assert breaks(tamperer.store)


UNSEALED = {
    "anchor": ["anchored_at", "location"],
    "artifact": ["created_on", "deleted_on", "state"],
    "chunk": ["error_class", "error_msg", "lease_expires_at", "not_before", "progress_bytes",
              "progress_rows", "updated_on"],
    "dataset": ["kind"],
    "dead_letter": ["created_on", "dl_id"],
    "manifest": ["kept_at"],
    "run_job": ["joined_at"],
    "schema_history": ["applied_at", "applied_by", "sha256"],
    "validation": ["normalisation", "validation_id"],
    "worker": ["clock_skew_ms", "heartbeat_at", "state"],
}  # fmt: skip
"""Columns whose change nothing tells: what passes, what no one reads, and what only names a row."""
LEFT_ALONE = ("lease", "boundary")


def _other(value: Any) -> Any:
    if isinstance(value, int):
        return value + 1
    return "1" if value is None else f"{value[:-1]}{'1' if value.endswith('0') else '0'}"


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(one.removeprefix("hdm_") for one in metadata.tables))
def test_every_column_and_every_row_is_held_against_the_events(tamperer: Tamperer, name: str) -> None:
    """One value of a table changed, or one row gone, with nothing else: found, or named above."""
    columns = [one.name for one in metadata.tables[f"hdm_{name}"].columns]
    missed = []
    for place, values in enumerate(tamperer.query(f"SELECT rowid, {', '.join(columns)} FROM hdm_{name}")[:2]):
        row, *held = values
        for column, value in zip(columns, held, strict=True):
            if column == "id":
                continue  # the rowid itself
            words = {"row": row, "value": _other(value), "old": value}
            try:
                tamperer.alter(f"UPDATE hdm_{name} SET {column} = :value WHERE rowid = :row", **words)
            except IntegrityError:
                continue
            if not breaks(tamperer.store):
                missed.append(column)
            tamperer.alter(f"UPDATE hdm_{name} SET {column} = :old WHERE rowid = :row", **words)
        assert breaks(tamperer.store) == []
        if place:
            tamperer.alter(f"DELETE FROM hdm_{name} WHERE rowid = :row", row=row)
            assert breaks(tamperer.store) or name in LEFT_ALONE
    assert name in LEFT_ALONE or set(missed) <= set(UNSEALED.get(name, ()))


@pytest.mark.parametrize("name", ANCHORED)
@pytest.mark.slow
def test_what_a_chain_cannot_tell_is_found_by_an_anchor(tamperer: Tamperer, name: str) -> None:
    assert breaks(tamperer.store, tamperer.anchor) == []
    ANCHORED[name](tamperer)
    assert breaks(tamperer.store) == []
    assert breaks(tamperer.store, tamperer.anchor)


def test_runs_go_on_where_their_order_was_deleted_and_it_is_found(tamperer: Tamperer) -> None:
    tamperer.alter("DELETE FROM hdm_trail")
    assert " the newest run is not the one that hdm_trail names" in breaks(tamperer.store)
    run = tamperer.store.runs.open(run_info("shop"))
    assert any(f"{run[:6]} " in text or "is number 1" in text for text in breaks(tamperer.store))


def test_the_newest_run_gone_without_a_trace_is_found_by_an_anchor(tamperer: Tamperer) -> None:
    ((number, before),) = tamperer.query("SELECT number, run_id FROM hdm_trail")
    newest = tamperer.store.runs.open(run_info("shop"))
    anchor = anchor_of(tamperer.store)
    _delete_run(tamperer, newest)
    found = breaks(tamperer.store)
    assert found == [
        " the newest run is not the one that hdm_trail names", f" run number {number + 1} is gone",
    ]  # fmt: skip
    tamperer.alter("UPDATE hdm_trail SET number = :number, run_id = :run", number=number, run=before)
    assert breaks(tamperer.store) == []
    assert f"{newest[:6]} the anchor of" in breaks(tamperer.store, anchor)[1]


@pytest.mark.parametrize("backend", ["postgres", "mariadb"])
def test_a_sample_of_them_on_servers(backend: str, request: pytest.FixtureRequest) -> None:
    with StateManager.open(request.getfixturevalue(f"fresh_{backend}")().url) as store:
        story(store)
        tamperer = Tamperer(store)
        assert breaks(store, tamperer.anchor) == []
        seen: list[str] = []
        for name in SAMPLE:
            (TAMPERINGS | ANCHORED)[name](tamperer)
            now = breaks(store, tamperer.anchor)
            assert set(now) - set(seen), name
            seen = now


OLD = Path(__file__).parents[3] / "fixtures" / "state_0_1_0.sql"
"""A state database of hdm 0.1.0: a run that ended, with a waived chunk, and one that is open."""
SEALED = OLD.with_name("state_0007.sql")
"""The story as it was recorded under schema 0007, when a job's seal did not name its columns."""


def upgraded(script: Path, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script.read_text(encoding="utf-8"))
    upgrade(f"sqlite:///{path}")


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[Tamperer]:
    upgraded(SEALED, tmp_path / "state.db")
    with StateManager.open(f"sqlite:///{tmp_path / 'state.db'}") as store:
        yield Tamperer(store)


@pytest.mark.slow
def test_seals_hold_after_a_migration_added_a_column(sealed: Tamperer) -> None:
    assert sealed.query("SELECT target_id FROM hdm_job") == [(None,), (None,)]
    assert breaks(sealed.store) == []
    world = story(sealed.store)
    assert breaks(world.store) == []


@pytest.mark.parametrize(
    "name",
    ["a job's target", "which target took a job", "a worker's host", "a watermark", "a schema", "who waived",
     "a column's lineage"],
)  # fmt: skip
@pytest.mark.slow
def test_a_tampering_with_seals_of_an_older_schema_is_found(sealed: Tamperer, name: str) -> None:
    TAMPERINGS[name](sealed)
    assert breaks(sealed.store)


LATER = """
import sys
from sqlalchemy import Column, Text, text
from hdm.state.db.tables import metadata
for table in metadata.tables.values():
    table.append_column(Column("later", Text))
from hdm.state import StateManager
with StateManager.open(sys.argv[1]) as store:
    print(store.trail.verify().breaks)
"""


@pytest.mark.slow
def test_seals_hold_whatever_column_a_later_migration_adds(tamperer: Tamperer) -> None:
    """Asked of an hdm that knows one column more of every table."""
    for name in metadata.tables:
        tamperer.alter(f"ALTER TABLE {name} ADD COLUMN later TEXT DEFAULT 'x'")

    def asked() -> str:
        words = [sys.executable, "-c", LATER, str(tamperer.engine.url)]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

    assert asked() == "[]"
    TAMPERINGS["a job's target"](tamperer)
    assert "not as event" in asked()


@pytest.fixture
def older(tmp_path: Path) -> Iterator[Tamperer]:
    path = tmp_path / "state.db"
    upgraded(OLD, path)
    with StateManager.open(f"sqlite:///{path}") as store:
        yield Tamperer(store)


@pytest.mark.slow
def test_a_trail_of_an_older_hdm_is_verified_as_far_as_it_goes(older: Tamperer) -> None:
    verdict = older.store.trail.verify()
    assert (verdict.breaks, verdict.chains, verdict.older) == ([], 2, 2)
    ((key,),) = older.query("SELECT pipeline_key FROM hdm_job WHERE status = 'in_progress'")
    older.alter("UPDATE hdm_worker SET heartbeat_at = '2020-01-01T00:00:00.000000Z'")
    world = World(older.store, key=key)
    assert older.query("SELECT COUNT(*) FROM hdm_run WHERE status = 'aborted'") == [(1,)]
    older.store.jobs.open(world.run, world.info(key))
    world.finish(world.claim())
    older.store.runs.close(world.run, "success")
    assert breaks(older.store) == []
    _delete_the("status = 'aborted'")(older)
    assert any("it found 2 runs of an older hdm, and there are 1" in text for text in breaks(older.store))


@pytest.mark.parametrize(
    "name",
    ["an event edited", "who waived", "rows loaded", "a run's manifest", "a chunk's status", "a lineage edge",
     "a file's sha256", "a comparison"],
)  # fmt: skip
@pytest.mark.slow
def test_a_tampering_with_an_older_trail_is_found(older: Tamperer, name: str) -> None:
    if name == "a run's manifest":
        older.alter(f"UPDATE hdm_run SET manifest_sha256 = '{'1' * 64}'")
    else:
        TAMPERINGS[name](older)
    assert breaks(older.store)
