"""The pages of docs/howto: whatever Python they show is clean under mypy --strict."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import test_howto, test_howto_database
from tests.conformance.test_howto import python, shown


@pytest.mark.slow
def test_it_is_clean_under_mypy_strict(tmp_path: Path) -> None:
    """All pages at once: mypy reads hdm and its libraries but once."""
    for page in (test_howto.PAGE, test_howto.SINK_PAGE, test_howto_database.PAGE):
        shown(page, tmp_path)
    modules = sorted(path.name for path in tmp_path.glob("*.py"))
    assert {"acme.py", "plant.py", "vault.py", "test_acme.py", "test_plant.py", "test_vault.py"} < {*modules}
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = True\n[mypy-pyarrow.*]\nignore_missing_imports = True\n"
    )
    done = python(tmp_path, "-m", "mypy", "--config-file", "mypy.ini", *modules)
    assert done.returncode == 0, done.stdout
