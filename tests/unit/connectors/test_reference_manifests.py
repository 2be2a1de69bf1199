"""Every complete manifest and profile of docs/reference/connectors.md is one that hdm takes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from hdm.components import registry
from hdm.config.profile import load_profiles
from hdm.planning.manifest import load_manifest

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/connectors.md"


def pairs() -> list[tuple[str, str, str]]:
    """Heading, manifest and profiles of each section that shows both."""
    found = []
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]:
        blocks = re.findall(r"^```yaml\n(.*?)^```", section, re.M | re.S)
        manifests = [one for one in blocks if "version: 1" in one]
        profiles = [one for one in blocks if one.startswith("# profiles.yml")]
        found += [(section.splitlines()[0], *pair) for pair in zip(manifests, profiles, strict=True)]
    return found


def test_there_are_some() -> None:
    assert "JDBC" in [heading for heading, _, _ in pairs()]


@pytest.mark.parametrize(("heading", "manifest", "profiles"), pairs())
def test_a_manifest_and_its_profiles_are_taken(
    heading: str, manifest: str, profiles: str, tmp_path: Path
) -> None:
    (tmp_path / "m.yml").write_text(manifest, encoding="utf-8")
    place = tmp_path / "p.yml"
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        file.write(profiles)
    environ = dict.fromkeys(re.findall(r"env:(\w+)", profiles), "a secret")
    known = load_profiles(place, "dev", environ)
    links = load_manifest(tmp_path / "m.yml", None, environ).stages
    assert links, heading
    for link in links:
        for kind, one in (("source", link.source), ("sink", link.sink)):
            cls = registry.find(kind, one.type)
            conf = cls.Config.model_validate(dict(one.conf))
            env = one.conf.get("env")
            cls(conf, known.connection(env, cls.Profile) if env else None, name=one.name)
