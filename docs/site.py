"""The documentation as a site: python -m docs.site FOLDER, which is made anew.

Pages keep their places in the repository, so that their links hold here and on its host. Added are a page for
each public module, written from its docstrings, and the navigation. The build is strict: a link or an anchor
that leads nowhere ends it with 1.
"""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from tests import public_face

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^(```\w+) [a-z]+$", re.M)
"""A fence with a name by which tests find it; the site's Markdown takes such a line for text."""
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")
FRONT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
SECTIONS = {
    # Title -> the pages below it, in order; a folder stands for all of it.
    "Start": ("README.md", "docs/tutorial.md", "docs/architecture.md", "docs/glossary.md", "docs/README.md"),
    "How to": ("docs/howto",),
    "Reference": ("docs/reference",),
    "Python": ("docs/api",),
    "Decisions": ("docs/decisions",),
    "Project": ("CONTRIBUTING.md", "CHANGELOG.md", "docs/changes", "SECURITY.md"),
}
CONFIG = """\
[project]
site_name = "hdm"
site_description = "hdm moves data warehouses"
docs_dir = "pages"
site_dir = "site"
nav = {nav}

[project.theme]
font = false
features = ["navigation.sections", "navigation.top", "content.code.copy"]

[project.markdown_extensions]
tables = {{}}
toc = {{permalink = true}}
attr_list = {{}}

[project.markdown_extensions.pymdownx.superfences]
custom_fences = [{{name = "mermaid", class = "mermaid", format = "pymdownx.superfences.fence_code_format"}}]
"""


def stage(pages: Path) -> None:
    """Copy every page, and what they link to, to where it lies in the repository; write the rest."""
    sources = [ROOT / name for name in FRONT] + sorted((ROOT / "docs").rglob("*.md"))
    for source in sources:
        page = pages / source.relative_to(ROOT)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_with_files(source, pages), encoding="utf-8")
    (pages / "docs/api").mkdir()
    for module in public_face.MODULES:
        text = "\n".join(api(module))
        (pages / f"docs/api/{module}.md").write_text(text, encoding="utf-8")


def _with_files(source: Path, pages: Path) -> str:
    """The page's text with links to folders leading to their first page; linked files are copied."""

    def lead(link: re.Match[str]) -> str:
        target = (source.parent / link[1]).resolve()
        if target.is_dir():
            return f"{link[1].rstrip('/')}/README.md"
        if target.is_file() and target.suffix != ".md" and target.is_relative_to(ROOT):
            copy = pages / target.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(target, copy)
        return link[1]

    return FENCE.sub(r"\1", LINK.sub(lead, source.read_text(encoding="utf-8")))


def api(module: str) -> Iterator[str]:
    """A public module's page: its docstring, then each name with how it is called and what it does."""
    found = import_module(module)
    surface = public_face.surface((module,))
    yield f"# {module}\n\n{inspect.getdoc(found) or ''}\n"
    for name in public_face.names_of(module):
        value = getattr(found, name)
        path = f"{module}.{name}"
        yield f"## {name}\n\n```python\n{path} {surface[path]}\n```\n"
        yield f"{_said(value)}\n"
        yield from _members(value, {key: text for key, text in surface.items() if key.startswith(f"{path}.")})


def _members(cls: Any, members: dict[str, str]) -> Iterator[str]:
    for path, text in members.items():
        name = path.rpartition(".")[2]
        said = "" if text.startswith(("field", "member")) else _said(getattr(cls, name, None))
        shown = text.replace("`", "")
        yield f"- `{name}` `{shown}`" + (f": {' '.join(said.split())}" if said else "")
    yield ""


def _said(value: Any) -> str:
    own = not isinstance(value, str | int | float | tuple | dict | list)
    return (inspect.getdoc(value) or "") if own else ""


def nav(pages: Path) -> list[dict[str, list[str]]]:
    """Every page below its section; ``KeyError`` names one that has none."""
    placed: dict[str, list[str]] = {}
    left = {path.relative_to(pages).as_posix() for path in pages.rglob("*.md")}
    for title, places in SECTIONS.items():
        for place in places:
            below = sorted(page for page in left if page == place or page.startswith(f"{place}/"))
            placed.setdefault(title, []).extend(
                sorted(below, key=lambda one: (not one.endswith("README.md"), one))
            )
            left.difference_update(below)
    if left:
        raise KeyError(f"in no section of docs/site.py: {', '.join(sorted(left))}")
    return [{title: found} for title, found in placed.items()]


def toml(value: Any) -> str:
    """Lists, tables and texts as TOML writes them in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def build(place: Path) -> subprocess.CompletedProcess[str]:
    """Build what is staged in ``place``/pages into ``place``/site, strictly."""
    (place / "zensical.toml").write_text(CONFIG.format(nav=toml(nav(place / "pages"))), encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "-f", "zensical.toml"]
    return subprocess.run(
        command, cwd=place, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=120
    )


def main(words: list[str]) -> int:
    """Build into the folder that is named."""
    if len(words) != 1:
        sys.stderr.write("say where: python -m docs.site FOLDER\n")
        return 2
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        stage(place / "pages")
        done = build(place)
        if done.returncode:
            sys.stderr.write(done.stdout + done.stderr)
            return 1
        shutil.rmtree(words[0], ignore_errors=True)
        shutil.copytree(place / "site", words[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
