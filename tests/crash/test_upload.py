"""SIGKILL around uploads: SQLite -> files -> object store -> PostgreSQL. Nothing is lost, doubled
or left behind, uploads in parts and uncommitted blocks included. The seed draws the passing at which
each point kills; ``--long`` takes the first, the middle and the last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hdm.files.atomic_file import SCRATCH
from tests.crash.conftest import Fresh
from tests.crash.figures import FIGURES
from tests.crash.harness import Hdm
from tests.crash.invariants import inspect, watermarks_ahead
from tests.crash.shop import Shop
from tests.crash.test_failpoints import count_passes, kill, recover
from tests.runner.sample import Sample
from tests.servers import azurite, gcs, moto, sshd

POINTS = ("U1", "U2", "U3", "U4", "C2", "C3", "C4", "C5", "C6", "C7")
STORES = ("s3", "azure", "gcs", "sftp")
ROWS_PER_CHUNK = 120


class S3Bucket:
    """Where the files go, and what lies there."""

    sink, source = "S3Sink", "S3Source"

    def __init__(self, server: moto.S3) -> None:
        self._client, self.bucket = server.client(), server.fresh()
        self.conf = {"env": "objects", "bucket_name": self.bucket, "prefix": "stage"}
        self.profile = dict(server.profile)

    def objects(self) -> dict[str, bytes]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
        return {key: self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}

    def unfinished(self) -> list[str]:
        found = self._client.list_multipart_uploads(Bucket=self.bucket)
        return [one["Key"] for one in found.get("Uploads", ())]


class AzureContainer:
    """The same in a container."""

    sink, source = "AzureBlobSink", "AzureBlobSource"

    def __init__(self, server: azurite.Azurite) -> None:
        name = server.fresh()
        self._client = server.service().get_container_client(name)
        self.conf = {"env": "objects", "container": name, "prefix": "stage"}
        self.profile = {"account_url": server.account_url, "account_key": server.key}

    def objects(self) -> dict[str, bytes]:
        names = [one.name for one in self._client.list_blobs()]
        return {name: self._client.download_blob(name).readall() for name in names}

    def unfinished(self) -> list[str]:
        whole = {one.name for one in self._client.list_blobs()}
        return [
            one.name for one in self._client.list_blobs(include=["uncommittedblobs"]) if one.name not in whole
        ]


class GCSBucket:
    """The same in a bucket of Google Cloud Storage, which has no list of unfinished uploads."""

    sink, source = "GCSSink", "GCSSource"

    def __init__(self, server: gcs.GCS) -> None:
        name = server.fresh()
        self._bucket = server.bucket(name)
        self.conf = {"env": "objects", "bucket_name": name, "prefix": "stage"}
        self.profile = dict(server.profile)

    def objects(self) -> dict[str, bytes]:
        return {one.name: one.download_as_bytes() for one in self._bucket.list_blobs()}

    def unfinished(self) -> list[str]:
        return []


class SFTPFolder:
    """A folder of an SFTP server, in which uploads have temporary names."""

    sink, source = "SFTPSink", "SFTPSource"

    def __init__(self, server: sshd.SSHD) -> None:
        self.folder = Path(server.fresh())
        self.conf = {"env": "objects", "directory": str(self.folder)}
        self.profile = dict(server.profile)

    def _files(self) -> dict[str, Path]:
        found = [path for path in self.folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path for path in found}

    def objects(self) -> dict[str, bytes]:
        return {key: path.read_bytes() for key, path in self._files().items() if path.suffix != SCRATCH}

    def unfinished(self) -> list[str]:
        return [key for key, path in self._files().items() if path.suffix == SCRATCH]


class LongShop(Shop):
    """The shop with an object store between its files and its target."""

    def __init__(self, folder: Path, fresh: Fresh, objects: Any) -> None:
        self.objects = objects
        self.scratch = folder / "scratch"
        super().__init__(folder, fresh.state("sqlite"), fresh.target("postgres"))

    def _write_profiles(self) -> None:
        super()._write_profiles()
        entries = yaml.safe_load(self.profiles.read_text())
        entries["dev"]["objects"] = self.objects.profile
        self.profiles.write_text(yaml.safe_dump(entries))

    def _manifest(self) -> dict[str, Any]:
        manifest = super()._manifest()
        stages = manifest["declared_data_links"]["stages"]
        longer: list[dict[str, Any]] = []
        for extract, load in zip(stages[::2], stages[1::2], strict=True):
            extract["source"]["conf"]["chunk"] = {"rows": ROWS_PER_CHUNK}
            mode = {"mode": extract["mode"]} if "mode" in extract else {}
            name = extract["sink"]["name"].replace("stage", "objects")
            upload = {
                **self.objects.conf,
                **({} if self.objects.sink == "SFTPSink" else {"multipart_from": 0}),
                "scratch": str(self.scratch),
                "keep": "verified",
            }
            extract["sink"]["conf"]["keep"] = "verified"
            longer += [
                extract,
                {**mode, "source": load["source"], "sink": self._end(name, self.objects.sink, upload)},
                {
                    **mode,
                    "source": self._end(name, self.objects.source, self.objects.conf),
                    "sink": load["sink"],
                },
            ]
        manifest["declared_data_links"]["stages"] = longer
        return manifest

    @staticmethod
    def _end(name: str, kind: str, conf: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "type": kind, "conf": conf}


PLACES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "s3": ("s3_server", S3Bucket),
    "azure": ("azurite_server", AzureContainer),
    "gcs": ("gcs_server", GCSBucket),
    "sftp": ("sshd_server", SFTPFolder),
}


@pytest.fixture
def make_long_shop(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], LongShop]:
    count = 0

    def make(store: str) -> LongShop:
        nonlocal count
        count += 1
        folder = tmp_path / f"shop{count}"
        folder.mkdir()
        fixture, place = PLACES[store]
        return LongShop(folder, Fresh(request, folder), place(request.getfixturevalue(fixture)))

    return make


@pytest.fixture(scope="module")
def passes() -> dict[str, Counter[str]]:
    return {}


def strays(shop: LongShop) -> list[str]:
    """Objects that no manifest names, unfinished uploads, and files left in the scratch folder."""
    objects = shop.objects.objects()
    said = b"".join(body for key, body in objects.items() if key.endswith(".manifest.json"))
    loose = [key for key in objects if key.endswith(".parquet") and key.encode() not in said]
    local = [str(path) for path in shop.scratch.rglob("*") if path.is_file() and path.name != "lock"]
    return [*loose, *shop.objects.unfinished(), *local]


@pytest.mark.draw("store", STORES, 1)
@pytest.mark.draw("point", POINTS, 4)
def test_kill_around_uploads(
    store: str,
    point: str,
    hdm: Hdm,
    make_long_shop: Callable[[str], LongShop],
    passes: dict[str, Counter[str]],
    sample: Sample,
) -> None:
    if store not in passes:
        shop = make_long_shop(store)
        passes[store] = count_passes(hdm, shop)
        hdm.run(["gc", *shop.args], shop.env)  # a slow machine may have lost a lease, and its file stays
        assert strays(shop) == []
    count = passes[store][point]
    assert count, f"a run never passes {point}"
    for nth in sample.of(f"{store} {point}", sorted({1, (count + 1) // 2, count})):
        shop = make_long_shop(store)
        kill(hdm, shop, f"{point}:{nth}:kill")
        assert watermarks_ahead(shop) == 0
        recover(hdm, shop)
        damage = inspect(shop)
        damage.orphans += len(strays(shop))
        FIGURES.note(f"uploads to {store}", 1, damage)
        assert not damage.any, f"{damage}, {strays(shop)} in {shop.folder}"


@pytest.mark.draw("store", [one for one in STORES if one != "gcs"], 1)
def test_a_janitor_takes_up_what_an_upload_left(
    store: str, hdm: Hdm, make_long_shop: Callable[[str], LongShop]
) -> None:
    """The proof that the suite sees leftovers: they are there before ``hdm gc``, gone after it."""
    shop = make_long_shop(store)
    first = 3 if store == "sftp" else 1  # two uploads ask its server; their remains go by the next run
    kill(hdm, shop, f"U2:{first}:kill")
    assert shop.objects.unfinished()
    assert hdm.run(shop.args, shop.env).code == 0
    assert shop.objects.unfinished()
    assert hdm.run(["gc", *shop.args], shop.env).code == 0
    assert strays(shop) == []


@pytest.mark.draw("store", STORES, 1)
def test_staged_files_go_once_all_is_verified(
    store: str, hdm: Hdm, make_long_shop: Callable[[str], LongShop]
) -> None:
    shop = make_long_shop(store)
    kill(hdm, shop, "L4:2:kill")
    assert hdm.run(["gc", "--staged", *shop.args], shop.env).code == 0
    kill(hdm, shop, "V1:4:kill")  # at most one of six loads was verified before
    kill(hdm, shop, "G2:2:kill", args=["gc", "--staged", *shop.args])
    assert hdm.run(shop.args, shop.env).code == 0
    assert hdm.run(["gc", "--staged", *shop.args], shop.env).code == 0
    assert not [key for key in shop.objects.objects() if key.endswith(".parquet")]
    assert not list(shop.stage.rglob("*.parquet"))
    kept = [key for key in shop.objects.objects() if key.endswith(".manifest.json")]
    recover(hdm, shop)
    damage = inspect(shop)
    assert not damage.any, damage
    assert set(kept) <= set(shop.objects.objects())
    shop.add_orders(9000, 40, 999)
    assert hdm.run(shop.args, shop.env).code == 0
    assert not inspect(shop, cleaned=False).any
