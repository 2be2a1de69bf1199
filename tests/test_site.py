"""The site of the documentation is built strictly, and strictly means something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import site
from tests.public_face import MODULES


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    site.stage(place / "pages")
    return place


def test_every_page_is_built_and_every_link_leads_somewhere(staged: Path) -> None:
    done = site.build(staged)
    assert done.returncode == 0, done.stdout + done.stderr
    html = {path.relative_to(staged / "site").as_posix() for path in (staged / "site").rglob("*.html")}
    assert {"index.html", "docs/tutorial/index.html", "docs/decisions/index.html"} <= html
    assert {f"docs/api/{module}/index.html" for module in MODULES} <= html
    shown = (staged / "site/docs/api/hdm/index.html").read_text(encoding="utf-8")
    assert "Tests one rule on the rows of one chunk" in shown and 'id="check"' in shown
    assert "```" not in (staged / "site/docs/howto/embed/index.html").read_text(encoding="utf-8")
    assert 'class="mermaid"' in (staged / "site/docs/architecture/index.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_link_or_an_anchor_that_leads_nowhere_ends_the_build(staged: Path) -> None:
    bad = staged / "pages/docs/howto/bad.md"
    bad.write_text("# Bad\n\n[page](nowhere.md) [anchor](operate.md#nowhere)\n")
    try:
        done = site.build(staged)
    finally:
        bad.unlink()
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    assert done.returncode != 0
    assert "page does not exist" in said and "anchor does not exist" in said, said
    assert said.count("docs/howto/bad.md:3:") == 2


def test_a_page_that_is_in_no_section_is_named(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/lost.md").write_text("# Lost\n")
    with pytest.raises(KeyError, match=r"docs/lost\.md"):
        site.nav(tmp_path)
