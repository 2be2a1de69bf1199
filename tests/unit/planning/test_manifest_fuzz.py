"""Whatever stands in a manifest or a profile: a plan, or one error of the user's kind."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hdm.components.settings import Settings
from hdm.config.profile import load_profiles
from hdm.errors import ManifestError, ProfileError
from hdm.planning.manifest import load_manifest
from hdm.planning.plan import make_plan
from tests.unit.planning.test_manifest import ORIGINAL

ENVIRON = {"HDM_DATA_STAGING": "/d"}
PIECES = [
    "NO", "~", "on", "12:30", "<<template>>", "<<x>>", "$X", "${X}",
    "{", "}", "[", "]", ": ", "- ", "\n", "  ",
    "'", '"', "&a ", "*a", "!!int ", "|", "\t", "#", "null",
    "name", "type", "conf", "source", "sink", "scenarios",
    "watermark", "\u0000", "\x85", "\U0001f600",
    "<<: ", "? ", "0", "-1", "1e999", "[]", "{}", "''",
]  # fmt: skip


def attempt(path: Path) -> None:
    try:
        make_plan(load_manifest(path, "dev", ENVIRON))
    except ManifestError as error:
        assert error.exit_code == 2
        assert str(path) in error.message
        assert error.hint


@pytest.mark.parametrize("seed", range(150))
def test_a_manifest_with_anything_put_anywhere(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    text = ORIGINAL
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text))
        end = start + chance.choice([0, 0, 1, 5, 30])
        text = text[:start] + chance.choice(PIECES) + text[end:]
    path = tmp_path / "m.yml"
    path.write_bytes(text.encode())
    attempt(path)


@pytest.mark.parametrize("seed", range(150))
def test_a_manifest_with_any_value_replaced(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    lines = ORIGINAL.splitlines()
    number = chance.randrange(len(lines))
    key, colon, _ = lines[number].partition(":")
    lines[number] = key + colon + " " + chance.choice(PIECES)
    path = tmp_path / "m.yml"
    path.write_bytes("\n".join(lines).encode())
    attempt(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200))
@pytest.mark.slow
def test_any_bytes(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "m.yml"
    path.write_bytes(raw)
    attempt(path)


class Login(Settings):
    host: str
    port: int = 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.lists(st.sampled_from([*PIECES, "dev: ", "db: ", "host: ", "password: ", "env:X"])).map("".join)
)
@pytest.mark.slow
def test_any_profile(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.yml"
    path.touch(mode=0o600)
    path.write_bytes(text.encode())
    try:
        load_profiles(path, "dev", {}).connection("db", Login)
    except ProfileError as error:
        assert error.exit_code == 2
        assert error.hint
