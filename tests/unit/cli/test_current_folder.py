"""``python -m hdm`` imports nothing from the folder it is called in, unless ``plugins:`` asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[3]


@pytest.mark.slow
def test_a_module_in_the_current_folder_is_not_imported(tmp_path: Path) -> None:
    for name in ("yaml", "click", "pydantic", "typing", "pyarrow"):
        (tmp_path / f"{name}.py").write_text("open('imported', 'a').write(__name__)\nraise SystemExit(9)\n")
    (tmp_path / "m.yaml").write_text("version: 2\n")
    env = {**os.environ, "PYTHONPATH": str(HOUSE)}
    done = subprocess.run(
        [sys.executable, "-m", "hdm", "plan", "m.yaml"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (tmp_path / "imported").exists(), done.stderr
    assert done.returncode == 2, done.stderr
