"""What changed since the last release: a file for each change in docs/changes/, so that no merge conflicts.

python docs/changes.py                   show what waits
python docs/changes.py check             end with 1 if a file says no room or no effect
python docs/changes.py subject FILE      the same of a commit's first line (a commit-msg hook)
python docs/changes.py release VERSION   move all into CHANGELOG.md, below the version's heading
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BESIDES = ("docs", "tests", "build", "demo", "benchmarks", "migrations")
"""Rooms that are no folder of hdm/."""
FORM = re.compile(r"([a-z_]+(?:, [a-z_]+)*): (\S.*)", re.DOTALL)
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)\s]+)\)")
WAITING = "## Unreleased"


def rooms(root: Path = ROOT) -> set[str]:
    """Every word that may stand before the colon."""
    names = {path.stem for path in (root / "hdm").glob("[a-z]*") if path.suffix in ("", ".py")}
    return names | set(BESIDES)


def fault(text: str, root: Path = ROOT) -> str:
    """What is wrong with ``room: effect``, and what to write; empty if nothing is."""
    form = FORM.fullmatch(text.strip())
    if form is None:
        return "write the room, a colon and the effect: 'cli: hdm new writes ...'"
    strange = [room for room in form[1].split(", ") if room not in rooms(root)]
    if strange:
        return f"there is no room '{strange[0]}'; there are: {', '.join(sorted(rooms(root)))}"
    if len(form[2].split()) < 3:
        return "say the effect in a sentence: what one can do now, or what does not happen any more"
    return ""


def fragments(root: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """Every file with its text, by name."""
    for path in sorted((root / "docs/changes").iterdir()):
        if path.name != "README.md":
            yield path, path.read_text(encoding="utf-8")


def faults(root: Path = ROOT) -> list[str]:
    """A line for each file that is not as it must be."""
    found = []
    for path, text in fragments(root):
        wrong = fault(text, root) if path.suffix == ".md" else "a change stands in a file that ends in .md"
        if wrong:
            found.append(f"{path.relative_to(root)}: {wrong}")
    return found


def collected(root: Path = ROOT) -> str:
    """The changelog's lines: one for each file, by room."""
    lines = []
    for _, text in sorted(fragments(root), key=lambda one: (one[1].partition(":")[0], one[0].name)):
        lines.append("- " + LINK.sub(_from_the_root, text.strip()).replace("\n", "\n  "))
    return "\n".join(lines) + "\n" if lines else ""


def _from_the_root(link: re.Match[str]) -> str:
    """A link as CHANGELOG.md has to write it."""
    return f"]({posixpath.normpath(posixpath.join('docs/changes', link[1]))})"


def release(version: str, root: Path = ROOT) -> None:
    """Move every file into CHANGELOG.md, above what was gathered there before; no file is left."""
    page = root / "CHANGELOG.md"
    text, heading, lines = page.read_text(encoding="utf-8"), f"## {version}", collected(root)
    if WAITING in text:
        text = text.replace(f"{WAITING}\n\n", f"{heading}\n\n{lines}", 1)
    else:
        before, mark, after = text.partition("\n## ")
        text = f"{before}\n{heading}\n\n{lines}{mark}{after}"
    page.write_text(text, encoding="utf-8")
    for path, _ in list(fragments(root)):
        path.unlink()


def main(words: list[str]) -> int:
    """Do what the words ask; 1 if something is not as it must be."""
    wrong = faults()
    if words[:1] == ["subject"] and len(words) == 2:
        subject = Path(words[1]).read_text(encoding="utf-8").partition("\n")[0]
        own = subject.startswith(("Merge ", "Revert ", "fixup! ", "squash! "))
        said = "" if own else fault(subject)
        wrong = [f"the commit's first line: {said}"] if said else []
    elif words[:1] == ["release"] and len(words) == 2 and re.fullmatch(r"\d+\.\d+\.\d+", words[1]):
        if not wrong:
            release(words[1])
    elif not words:
        sys.stdout.write(collected())
    elif words != ["check"]:
        wrong = ["say nothing, check, subject FILE or release X.Y.Z"]
    sys.stderr.write("".join(f"{line}\n" for line in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
