"""What must hold after every scenario, asked of the target, the files and the state by SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hdm.components import registry
from hdm.state import StateManager
from tests.crash.shop import TABLES, Shop

OPEN = "('pending', 'leased', 'written')"


@dataclass
class Damage:
    """What was found, as numbers; ``breaks`` says in words what else is wrong."""

    lost: int = 0
    duplicated: int = 0
    ahead: int = 0
    orphans: int = 0
    breaks: list[str] = field(default_factory=list)

    @property
    def any(self) -> bool:
        return bool(self.lost or self.duplicated or self.ahead or self.orphans or self.breaks)

    def add(self, other: Damage) -> None:
        self.lost += other.lost
        self.duplicated += other.duplicated
        self.ahead += other.ahead
        self.orphans += other.orphans
        self.breaks += other.breaks


def inspect(shop: Shop, *, cleaned: bool = True) -> Damage:
    """Every invariant after a run that ended with 0. ``cleaned``: hdm gc was run as well."""
    damage = Damage()
    for table in TABLES:
        compare(shop, table, damage)
        if shop.target.has(table):
            _rows_are_traceable(shop, table, damage)
        else:
            damage.breaks.append(f"{table} is not in the target")
    _ledger_is_the_state(shop, damage)
    damage.ahead += watermarks_ahead(shop)
    _books_balance(shop, damage)
    damage.breaks += trail_breaks(shop)
    if cleaned:
        _nothing_left(shop, damage)
    return damage


def trail_breaks(shop: Shop) -> list[str]:
    """Where the state's tables and the events that tell of them differ, and broken chains."""
    manager = registry.find("state_manager", shop.state.manager)
    settings = manager({}, manager.Profile.model_validate(shop.state.profile))
    with StateManager.open(settings.url(), create=False) as store:
        return [f"run {run[:12]}: {text}" for run, text in store.trail.verify().breaks]


def watermarks_ahead(shop: Shop) -> int:
    """Watermarks that pass a chunk of their job which is not committed and ends at or below them."""
    found = 0
    newest = shop.state.query(
        "SELECT w.job_id, w.value FROM hdm_watermark w WHERE w.value IS NOT NULL AND w.seq = "
        "(SELECT MAX(v.seq) FROM hdm_watermark v WHERE v.pipeline_key = w.pipeline_key)"
    )
    for job_id, value in newest:
        rows = shop.state.query(
            f"SELECT upto FROM hdm_chunk WHERE job_id = '{job_id}' AND status IN {OPEN} AND upto IS NOT NULL"
        )
        found += sum(int(upto) <= int(value) for (upto,) in rows)
    return found


def compare(shop: Shop, table: str, damage: Damage) -> None:
    source, target = shop.rows_of_source(table), shop.rows_of_target(table)
    if source == target:
        return
    rest = list(target)
    for row in source:
        if row in rest:
            rest.remove(row)
        else:
            damage.lost += 1
    damage.duplicated += len(rest)


def _rows_are_traceable(shop: Shop, table: str, damage: Damage) -> None:
    query = shop.target.query
    total, distinct = query(
        f"SELECT COUNT(*), COUNT(DISTINCT CONCAT(_hdm_chunk_id, ':', _hdm_row_no)) FROM {table}"
    )[0]
    if total != distinct:
        damage.breaks.append(f"{table}: {total - distinct} rows share chunk and number")
    for chunk_id, count, low, high in query(
        f"SELECT _hdm_chunk_id, COUNT(*), MIN(_hdm_row_no), MAX(_hdm_row_no) FROM {table} "
        "GROUP BY _hdm_chunk_id"
    ):
        if high - low + 1 != count:
            damage.breaks.append(f"{table}: row numbers of {chunk_id[:12]} have gaps")
        known = shop.state.query(f"SELECT status FROM hdm_chunk WHERE chunk_id = '{chunk_id}'")
        if [status for (status,) in known] not in (["committed"], ["verified"]):
            damage.breaks.append(f"{table}: rows of chunk {chunk_id[:12]}, which is {known}")


def _ledger_is_the_state(shop: Shop, damage: Damage) -> None:
    names, of = shop.target.names("chunk_id, row_count"), shop.target.names("_hdm_load_ledger")
    ledger = dict(shop.target.query(f"SELECT {names} FROM {of}"))
    state = shop.state.query(
        "SELECT c.chunk_id, c.rows_loaded FROM hdm_chunk c JOIN hdm_job j ON j.job_id = c.job_id "
        "WHERE j.sink_name LIKE 'target%' AND c.status IN ('committed', 'verified')"
    )
    for chunk_id, rows in state:
        if ledger.get(chunk_id) != rows:
            damage.breaks.append(f"ledger and state differ on chunk {chunk_id[:12]}")


def _books_balance(shop: Shop, damage: Damage) -> None:
    query = shop.state.query
    for job, unexplained in query(
        "SELECT job_id, SUM(rows_extracted) - SUM(rows_loaded) - SUM(rows_filtered) - SUM(rows_rejected) "
        "FROM hdm_chunk WHERE status IN ('committed', 'verified') GROUP BY job_id "
        "HAVING SUM(rows_extracted) <> SUM(rows_loaded) + SUM(rows_filtered) + SUM(rows_rejected)"
    ):
        damage.breaks.append(f"job {job[:12]}: {unexplained} rows unexplained")
    for chunk_id, count in query(
        "SELECT chunk_id, COUNT(DISTINCT attempt) FROM hdm_event "
        "WHERE to_status = 'committed' GROUP BY chunk_id HAVING COUNT(DISTINCT attempt) > 1"
    ):
        damage.breaks.append(f"chunk {chunk_id[:12]} has {count} committers")
    left = query(f"SELECT COUNT(*) FROM hdm_chunk WHERE status IN {OPEN} OR status = 'dead'")[0][0]
    if left:
        damage.breaks.append(f"{left} chunks are not settled")


def _nothing_left(shop: Shop, damage: Damage) -> None:
    temporary = shop.state.query("SELECT COUNT(*) FROM hdm_artifact WHERE state = 'TMP'")[0][0]
    named = {uri for (uri,) in shop.state.query("SELECT uri FROM hdm_artifact WHERE state <> 'DELETED'")}
    named |= {uri for path in shop.stage.rglob("*.manifest.json") for uri in _uris(path.read_text())}
    stray = [
        path
        for path in shop.stage.rglob("*")
        if path.is_file() and path.suffix == ".parquet" and not any(uri.endswith(str(path)) for uri in named)
    ]
    partial = [path for path in shop.stage.rglob("*") if path.is_file() and ".tmp" in path.name]
    damage.orphans += temporary + len(stray) + len(partial)


def _uris(manifest: str) -> list[str]:
    """The files that a manifest object names, whatever epoch or lost state it is of."""
    return re.findall(r'[^"\\\\]+\.parquet', manifest)
