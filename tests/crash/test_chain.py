"""SIGKILL along the whole chain: SQLite -> files -> chunks -> S3 -> Snowflake's COPY.

The emulator holds what a dead session's transaction locked, as Snowflake does. It rolls definitions
back and enforces keys where Snowflake does neither: so no table here has an enforced key, and nothing
is defined inside a transaction (``BrokenContract`` if it were). What it cannot show is a server that
goes down in the middle of a COMMIT. The seed draws a quarter of the points and the passing at which each
kills; ``--long`` takes all of them, at the first passing and the last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.crash import invariants
from tests.crash.conftest import Fresh
from tests.crash.figures import FIGURES
from tests.crash.harness import Hdm
from tests.crash.invariants import Damage, watermarks_ahead
from tests.crash.shop import Shop, Target
from tests.crash.test_failpoints import kill
from tests.crash.test_upload import S3Bucket
from tests.runner.sample import Sample
from tests.servers import fakesnow, moto

POINTS = (
    "C2", "C4", "C6", "C7", "U1", "U2", "U3", "U4",
    "L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8", "V1", "V2", "W1", "W2", "W3",
)  # fmt: skip
PUT_POINTS = ("U2", "U3", "L3", "L5")
"""What a load through an internal stage adds: files put there, then copied."""
MOVED = ("orders", "stock")
EXTRACTED, CUT = 120, 60


class ChainShop(Shop):
    """The shop with the long way to Snowflake; ``put`` goes by an internal stage instead of S3."""

    def __init__(
        self, folder: Path, fresh: Fresh, s3: moto.S3, snowflake: fakesnow.Snowflake, *, put: bool
    ) -> None:
        self.put = put
        self.objects = S3Bucket(s3)
        self.scratch = folder / "scratch"
        self.snowflake = snowflake
        account = {**snowflake.fresh(), "network_timeout": 60}
        self._account = account
        if not put:
            self.ask(f"CREATE STAGE CHAIN URL = 's3://{self.objects.bucket}/stage/'")
        target = Target("snowflake", "SnowflakeS3CopySink", account, self.ask, quote='"')
        super().__init__(folder, fresh.state("sqlite"), target)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        connection = self.snowflake.connect(
            {key: value for key, value in self._account.items() if key != "network_timeout"}
        )
        try:
            with connection.cursor() as cursor:
                return [tuple(row) for row in cursor.execute(sql).fetchall()]
        finally:
            connection.close()

    def _write_profiles(self) -> None:
        super()._write_profiles()
        entries = yaml.safe_load(self.profiles.read_text())
        entries["dev"]["objects"] = self.objects.profile
        self.profiles.write_text(yaml.safe_dump(entries))

    def scratch_files(self) -> list[Path]:
        """The files that hdm needs for a moment, and what is left of them."""
        return [path for path in self.scratch.rglob("*") if path.is_file() and path.name != "lock"]

    def _manifest(self) -> dict[str, Any]:
        manifest = super()._manifest()
        stages = manifest["declared_data_links"]["stages"]
        longer: list[dict[str, Any]] = []
        for extract, load in zip(stages[::2], stages[1::2], strict=True):
            if extract["source"]["conf"]["table_name"] not in MOVED:
                continue
            mode = {"mode": extract["mode"]} if "mode" in extract else {}
            extract["source"]["conf"]["chunk"] = {"rows": EXTRACTED}
            pick = {**load["source"], "type": "FSChunkSource"}
            pick["conf"] = {**pick["conf"], "chunk": CUT}
            loaded = {"name": load["sink"]["name"], "type": "SnowflakeCopySink", "conf": {"env": "target"}}
            longer.append(extract)
            if self.put:
                folder = {"directory": str(self.stage)}
                cut = {"name": f"cut_{pick['name']}", "type": "FSSink", "conf": folder}
                longer.append({**mode, "source": pick, "sink": cut})
                pick = {**cut, "type": "FSSource"}
            else:
                there = {**self.objects.conf, "multipart_from": 0, "scratch": str(self.scratch)}
                up = {"name": f"up_{pick['name']}", "type": "S3Sink", "conf": there}
                longer.append({**mode, "source": pick, "sink": up})
                pick = {**up, "type": "S3Source", "conf": self.objects.conf}
                loaded |= {"type": "SnowflakeS3CopySink", "conf": {"env": "target", "stage_name": "CHAIN"}}
            longer.append({**mode, "source": pick, "sink": loaded})
        manifest["declared_data_links"]["stages"] = longer
        return manifest


def inspect(shop: ChainShop) -> Damage:
    """All that the shop's own invariants say, but for row numbers: COPY loads bytes as they are."""
    damage = Damage()
    for table in MOVED:
        invariants.compare(shop, table, damage)
    invariants._ledger_is_the_state(shop, damage)
    damage.ahead += watermarks_ahead(shop)
    invariants._books_balance(shop, damage)
    invariants._nothing_left(shop, damage)
    damage.orphans += len(strays(shop))
    return damage


def strays(shop: ChainShop) -> list[str]:
    """Objects that no manifest names, unfinished uploads, scratch files, tables beside the target."""
    objects = shop.objects.objects()
    said = b"".join(body for key, body in objects.items() if key.endswith(".manifest.json"))
    loose = [key for key in objects if key.endswith(".parquet") and key.encode() not in said]
    local = [str(path) for path in shop.scratch_files()]
    known = {*MOVED, "_hdm_load_ledger"}
    tables = [str(name) for (name,) in shop.ask("SELECT table_name FROM information_schema.tables")]
    beside = [name for name in tables if name.lower() not in known and "_head" not in name.lower()]
    return [*loose, *shop.objects.unfinished(), *local, *beside]


@pytest.fixture
def make_chain(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    s3_server: moto.S3,
    snowflake_server: fakesnow.Snowflake,
) -> Callable[..., ChainShop]:
    count = 0

    def make(*, put: bool = False) -> ChainShop:
        nonlocal count
        count += 1
        folder = tmp_path / f"shop{count}"
        folder.mkdir()
        return ChainShop(folder, Fresh(request, folder), s3_server, snowflake_server, put=put)

    return make


@pytest.fixture(scope="module")
def passes() -> dict[bool, Counter[str]]:
    """By an internal stage or not -> how often a run passes each point."""
    return {}


def count_passes(hdm: Hdm, shop: ChainShop) -> Counter[str]:
    trace = shop.folder / "trace.txt"
    run = hdm.run(shop.args, {**shop.env, "HDM_FAILPOINT_TRACE": str(trace)})
    assert run.code == 0, run.text()
    damage = inspect(shop)
    assert not damage.any, f"{damage}, {strays(shop)}"
    return Counter(trace.read_text().split())


def until_done(hdm: Hdm, shop: ChainShop) -> None:
    """Run again until all is done: what a dead session's transaction locks is waited for at first,
    and ends only when its own chunk is tried again."""
    for _ in range(4):
        run = hdm.run(shop.args, shop.env)
        if run.code == 0:
            return
        assert run.code == 1 and "000625" in run.text(), run.text()
    raise AssertionError(run.text())


def kill_and_recover(
    point: str, hdm: Hdm, make: Callable[[], ChainShop], count: int, kind: str, sample: Sample
) -> None:
    assert count, f"a run never passes {point}"
    for nth in sample.of(f"{kind} {point}", sorted({1, count})):
        shop = make()
        kill(hdm, shop, f"{point}:{nth}:kill")
        assert watermarks_ahead(shop) == 0
        until_done(hdm, shop)
        assert hdm.run(["gc", *shop.args], shop.env).code == 0
        damage = inspect(shop)
        FIGURES.note(kind, 1, damage)
        assert not damage.any, f"{damage}, {strays(shop)} in {shop.folder}"


@pytest.mark.draw("point", POINTS, 5)
def test_kill_along_the_chain(
    point: str,
    hdm: Hdm,
    make_chain: Callable[..., ChainShop],
    passes: dict[bool, Counter[str]],
    sample: Sample,
) -> None:
    if False not in passes:
        passes[False] = count_passes(hdm, make_chain())
    kill_and_recover(point, hdm, make_chain, passes[False][point], "chain by S3 to Snowflake", sample)


@pytest.mark.draw("point", PUT_POINTS, 1)
def test_kill_around_an_internal_stage(
    point: str,
    hdm: Hdm,
    make_chain: Callable[..., ChainShop],
    passes: dict[bool, Counter[str]],
    sample: Sample,
) -> None:
    if True not in passes:
        passes[True] = count_passes(hdm, make_chain(put=True))
    kill_and_recover(
        point, hdm, lambda: make_chain(put=True), passes[True][point], "chain by PUT to Snowflake", sample
    )
