"""The manifests and the profile of the repository are right, and so is what the reference shows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from hdm.components.registry import connection_name
from hdm.config.profile import load_profiles
from hdm.planning.manifest import load_manifest
from hdm.planning.plan import make_plan

ROOT = Path(__file__).resolve().parents[2]
ENVIRON = {"HDM_DATA_STAGING": "/stage", "HOME": "/nowhere"}


@pytest.mark.parametrize("path", sorted((ROOT / "manifests").glob("*.yml")), ids=lambda path: path.name)
def test_an_example_is_a_whole_plan(path: Path) -> None:
    made = make_plan(load_manifest(path, "prod", ENVIRON))
    assert made.links or made.open_templates
    assert made.notes == ()


@pytest.mark.parametrize("name", ["declared", "batch", "chain"])
def test_every_connection_of_an_example_is_in_the_example_profile(name: str, tmp_path: Path) -> None:
    copy = shutil.copy(ROOT / "profiles/example.yml", tmp_path / "p.yml")
    copy.chmod(0o600)
    profiles = load_profiles(copy, "prod", ENVIRON)
    made = make_plan(load_manifest(ROOT / f"manifests/{name}.yml", "prod", ENVIRON))
    specs = [spec for link in made.links for spec in (link.source, link.sink)]
    if made.state is not None:
        specs.append(made.state)
    wanted = {connection_name(spec) for spec in specs} - {None}
    assert wanted
    assert wanted <= set(profiles.names())


def test_the_chain_is_one_chain_in_two_places() -> None:
    first, second, split, upload, copy = make_plan(
        load_manifest(ROOT / "manifests/chain.yml", "prod", ENVIRON)
    ).links
    assert split.upstream == (first.key, second.key)
    assert (upload.upstream, copy.upstream) == ((split.key,), (upload.key,))
    assert [link.site for link in (first, split, upload, copy)] == ["onprem", "onprem", "onprem", "cloud"]


def test_what_the_reference_shows_is_yaml_that_hdm_reads(tmp_path: Path) -> None:
    text = (ROOT / "docs/reference/manifest.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    for number, block in enumerate(blocks):
        assert yaml.safe_load(block)
        if block.startswith(("declared", "template")):
            path = tmp_path / f"{number}.yml"
            path.write_text(block)
            assert make_plan(load_manifest(path, "dev", ENVIRON)).links
