"""docs/changes/: each says its room and its effect; a release gathers them. And the hooks before a commit."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("changes", ROOT / "docs/changes.py")
assert SPEC and SPEC.loader
changes = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(changes)


def test_each_change_says_its_room_and_its_effect() -> None:
    assert changes.faults() == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("hdm new writes a module", "write the room, a colon and the effect"),
        ("cli hdm new writes a module", "write the room"),
        ("", "write the room"),
        ("kitchen: hdm cooks three meals", "there is no room 'kitchen'"),
        ("cli, kitchen: hdm cooks three meals", "there is no room 'kitchen'"),
        ("cli: more", "say the effect in a sentence"),
        ("state: a chunk is\ncommitted once\n", ""),
        ("cli, state: a chunk is committed once", ""),
        ("errors: there is one more", ""),
    ],
)
def test_what_lacks_a_room_or_an_effect_is_refused(text: str, wrong: str) -> None:
    assert changes.fault(text).startswith(wrong) and bool(changes.fault(text)) == bool(wrong)


def copy(folder: Path, **fragments: str) -> Path:
    (folder / "docs/changes").mkdir(parents=True)
    (folder / "docs/changes/README.md").write_text("")
    for name in ("cli", "state"):
        (folder / "hdm" / name).mkdir(parents=True)
    (folder / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n- Old.\n\n## 0.1.0\n\nFirst.\n")
    for name, text in fragments.items():
        (folder / "docs/changes" / f"{name}.md").write_text(text)
    return folder


def test_a_release_gathers_all_by_room_and_leaves_none(tmp_path: Path) -> None:
    place = copy(
        tmp_path,
        a="state: the chunk\nis there.\n",
        b="cli: one verb ([more](../x.md#y), [far](https://e.org)).\n",
    )
    changes.release("0.2.0", place)
    said = (place / "CHANGELOG.md").read_text()
    verb = "- cli: one verb ([more](docs/x.md#y), [far](https://e.org)).\n"
    new = f"## 0.2.0\n\n{verb}- state: the chunk\n  is there.\n- Old.\n\n## 0.1.0\n\nFirst.\n"
    assert said == f"# Changelog\n\n{new}"
    assert [path.name for path in (place / "docs/changes").iterdir()] == ["README.md"]
    (place / "docs/changes/c.md").write_text("cli: and one more verb.")
    changes.release("0.3.0", place)
    said = (place / "CHANGELOG.md").read_text()
    assert said == f"# Changelog\n\n## 0.3.0\n\n- cli: and one more verb.\n\n{new}"


def test_a_file_that_is_no_page_is_named(tmp_path: Path) -> None:
    place = copy(tmp_path, good="cli: one verb more.")
    (place / "docs/changes/bad.txt").write_text("cli: one verb more.")
    assert changes.faults(place) == ["docs/changes/bad.txt: a change stands in a file that ends in .md"]


@pytest.mark.parametrize(
    ("subject", "code"),
    [("cli: hdm new writes a test\n\nmore: text", 0), ("Merge branch 'x'", 0), ("more work", 1), ("cli:", 1)],
)
def test_a_commits_subject_is_held_to_the_same(subject: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "message").write_text(subject)
    assert changes.main(["subject", str(tmp_path / "message")]) == code


def test_the_hooks_run_what_is_installed_and_fetch_nothing() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}
    assert {"ruff", "format", "changes", "subject", "mypy"} == {hook["id"] for hook in hooks}
    assert {hook["entry"].split()[0].rpartition("/")[0] for hook in hooks} == {".venv/bin"}


def test_the_hooks_stop_what_is_wrong(tmp_path: Path) -> None:
    """pre-commit itself, without a network, in a repository with one good and one bad change."""
    place = copy(tmp_path, bad="kitchen: hdm cooks three meals")
    shutil.copy(ROOT / ".pre-commit-config.yaml", place)
    shutil.copy(ROOT / "docs/changes.py", place / "docs")
    (place / ".venv").symlink_to(Path(sys.prefix))
    env = {
        **{name: text for name, text in os.environ.items() if not name.startswith("GIT_")},
        "PRE_COMMIT_HOME": str(tmp_path / "cache"), "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(tmp_path),
        "https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9",
    }  # fmt: skip

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=place, env=env, capture_output=True, text=True, check=False)

    hooks = (sys.executable, "-m", "pre_commit", "run", "--all-files")
    call("git", "init", "-q")
    call("git", "add", "-A", "--", "docs", "hdm", ".pre-commit-config.yaml", "CHANGELOG.md")
    stopped = call(*hooks, "changes")
    assert stopped.returncode == 1 and "there is no room 'kitchen'" in stopped.stdout, stopped.stdout
    (place / "docs/changes/bad.md").write_text("cli: one verb more.")
    passed = call(*hooks, "changes")
    assert passed.returncode == 0 and "Passed" in passed.stdout, passed.stdout + passed.stderr
