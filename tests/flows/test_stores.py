"""The manifests of docs/reference/object-stores.md, over servers: S3 -> Cloud Storage -> folder, and SFTP."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.flows.kit import ROOT, Place, shop
from tests.servers import gcs, moto, sshd

PAGE = (ROOT / "docs/reference/object-stores.md").read_text("utf-8")


def shown(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A manifest of the page, and the entries of the profile below it."""
    block = r"```yaml\n# {}[^\n]*\n(.*?)```"
    both = block.format(re.escape(f"{name}:")) + r"\n\n" + block.format("hdm_profiles")
    manifest, profile = re.findall(both, PAGE, re.DOTALL)[0]
    return yaml.safe_load(manifest), yaml.safe_load(profile)["dev"]


def test_from_s3_through_cloud_storage_into_a_folder(
    tmp_path: Path, s3_server: moto.S3, gcs_server: gcs.GCS
) -> None:
    place = Place(tmp_path)
    place.manifest, entries = shown("gcs.yml")
    assert set(entries) == {"s3", "gcs"}
    exports, stage = s3_server.fresh(), gcs_server.fresh()
    names = {"plant-exports": exports, "plant-stage": stage, "/srv/landed": str(place.stage)}
    for name, value in names.items():
        place.manifest = _with(place.manifest, name, value)
    place.profiles = {"s3": s3_server.profile, "gcs": gcs_server.profile}
    place.write()
    rows = pa.table({"id": range(100), "word": [f"word {n}" for n in range(100)]})
    for number in range(2):
        out = io.BytesIO()
        pq.write_table(rows.slice(50 * number, 50), out)
        s3_server.client().put_object(Bucket=exports, Key=f"orders/{number}.parquet", Body=out.getvalue())
    done = place.hdm("run")
    assert done.code == 0, done.said
    landed = [pq.read_table(path, partitioning=None) for path in sorted(place.stage.rglob("*.parquet"))]
    assert sorted(id_ for one in landed for id_ in one["id"].to_pylist()) == list(range(100))
    assert {one.name.split("/")[0] for one in gcs_server.bucket(stage).list_blobs()} <= {
        "hdm", "_hdm_probe", "_hdm_probe_parts",
    }  # fmt: skip
    again = place.hdm("run")
    assert again.code == 0, again.said
    assert len(list(place.stage.rglob("*.parquet"))) == len(landed)


def test_from_a_database_through_sftp_into_a_warehouse(tmp_path: Path, sshd_server: sshd.SSHD) -> None:
    place = shop(tmp_path, orders=120, items=5)
    place.manifest, entries = shown("sftp.yml")
    assert set(entries["sftp"]) <= set(sshd_server.profile)
    place.manifest = _with(place.manifest, "/stage", sshd_server.fresh())
    place.profiles = {
        "shop": {"path": str(place.source)},
        "warehouse": {"path": str(tmp_path / "w.duckdb")},
        "sftp": sshd_server.profile,
    }
    place.write()
    for _ in range(2):
        done = place.hdm("run")
        assert done.code == 0, done.said
        with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as target:
            found = target.execute("SELECT * FROM orders ORDER BY id").fetchall()
        assert [tuple(row) for row in found] == sorted(place.source_rows("orders"))


def _with(value: Any, old: str, new: str) -> Any:
    """The manifest with one value instead of another, wherever it stands."""
    if isinstance(value, dict):
        return {name: _with(one, old, new) for name, one in value.items()}
    if isinstance(value, list):
        return [_with(one, old, new) for one in value]
    return new if value == old else value
