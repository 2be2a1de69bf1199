"""The command ``hdm new``: writes a module, its test and a manifest for a new component.

All three work as they are.
"""

from __future__ import annotations

import keyword
import os
import re
import unicodedata
from importlib import resources
from pathlib import Path

import click

from hdm.cli.output import say_lines
from hdm.components import registry
from hdm.errors import UsageError

KINDS = ("source", "sink", "check", "database", "catalog")
_FILES = {
    # End of a blueprint's file name -> name of the written file.
    ".py": "{module}.py",
    "_test.py": "test_{module}.py",
    ".yml": "{module}.yml",
    ".profiles.yml": "{module}.profiles.yml",
}
_LONGEST = 60


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--folder", default=".", show_default=True, help="Where the files are written; made if it is not there."
)
def command_new(kind: str, name: str, folder: str) -> int:
    """Write a module, its test and a manifest for a component of your own, NAME.

    NAME is one or more words: plant_orders, or PlantOrders. All three work as they are, on example data:
    the test runs the conformance suite, the manifest runs. Then replace the example data by your system.
    No file is overwritten.
    """
    words = _words(name, kind)
    names = _names(words, kind)
    _free(kind, names)
    place = Path(folder)
    wanted = {place / path.format(**names): text for path, text in _blueprints(kind, names).items()}
    taken = [str(path) for path in wanted if os.path.lexists(path)]
    if taken:
        raise UsageError(
            f"{', '.join(taken)}: there already, and nothing was written",
            hint="take another name, or another --folder",
        )
    _write(place, wanted)
    say_lines("\n".join(f"wrote {path}" for path in wanted))
    say_lines(_next(place, names, profiles=any(path.name.endswith(".profiles.yml") for path in wanted)))
    return 0


def _words(name: str, kind: str) -> list[str]:
    """Return the words of a name such as ``PlantOrders`` or ``plant_orders``, without a kind at its end.

    Raises ``UsageError`` for a name that is not made of words.
    """
    cut = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    words = [word.lower() for word in re.split(r"[_-]+", cut) if word]
    if words and words[-1] == kind and len(words) > 1:
        words.pop()
    plain = name.isascii() and bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9]*([_-][A-Za-z0-9]+)*", name))
    if not plain or len(name) > _LONGEST or words in ([kind], []):
        shown = "".join(one if unicodedata.category(one)[0] != "C" else "?" for one in name[:_LONGEST])
        raise UsageError(
            f"'{shown}' cannot name a {kind}",
            hint=f"write one or more words of letters and digits, at most {_LONGEST} signs: plant_orders",
        )
    return words


def _names(words: list[str], kind: str) -> dict[str, str]:
    """Return the placeholders of a blueprint, each with its text."""
    prefix = "".join(word.capitalize() for word in words)
    name = "_".join(words)
    return {
        "name": name if not keyword.iskeyword(name) else f"my_{name}",
        "module": f"{name}_{kind}",
        "Prefix": prefix,
        "Class": f"{prefix}{kind.capitalize()}",
    }


def _free(kind: str, names: dict[str, str]) -> None:
    """Raise ``UsageError`` if hdm or an installed plugin has a class of that name."""
    classes = {kind: names["Class"]}
    if kind == "database":
        classes = {one: f"{names['Prefix']}{one.capitalize()}" for one in ("source", "sink", "catalog")}
    for one, wanted in classes.items():
        if registry.canonical(one, wanted) is not None:
            raise UsageError(
                f"there is a {one} {wanted} already", hint=f"take another name, such as my_{names['name']}"
            )


def _blueprints(kind: str, names: dict[str, str]) -> dict[str, str]:
    """Return each file's name, with the placeholder ``{module}``, and its text."""
    found = {}
    folder = resources.files("hdm.cli") / "blueprints"
    for ending, path in _FILES.items():
        blueprint = folder / f"{kind}{ending}.txt"
        if blueprint.is_file():
            found[path] = _filled(blueprint.read_text(encoding="utf-8"), names)
    return found


def _filled(text: str, names: dict[str, str]) -> str:
    return re.sub(r"@(\w+)@", lambda hit: names[hit[1]], text)


def _write(place: Path, wanted: dict[Path, str]) -> None:
    """Write the files; raise ``UsageError`` if one exists. Only the owner may read a profiles file."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        for path, text in wanted.items():
            mode = 0o600 if path.name.endswith(".profiles.yml") else 0o666
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or place}: {error.strerror}", hint="choose another --folder"
        ) from None


def _next(place: Path, names: dict[str, str], *, profiles: bool) -> str:
    module = names["module"]
    there = "" if place == Path() else f"cd {place} && "
    given = f" --profiles {module}.profiles.yml" if profiles else ""
    return (
        f"next: {there}python -m pytest test_{module}.py\n"
        f"then: hdm run {module}.yml -e dev{given}\n"
        f"last: put your system in the place of what stands for it in {module}.py"
    )
