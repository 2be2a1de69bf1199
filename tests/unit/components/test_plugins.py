"""Plugins come from files and folders beside the manifest, and a broken one stops nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hdm import locator
from hdm.components import plugins, registry
from hdm.errors import UnknownComponent
from hdm.model import ComponentSpec


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(locator, "_known", {kind: dict(names) for kind, names in locator._known.items()})
    monkeypatch.setattr(plugins, "_loaded_points", {})
    monkeypatch.setattr(plugins, "_broken_files", {})
    yield


FOLDER = {
    "base.py": "from hdm import Source\nclass Base(Source):\n    def read(self, table, chunk): ...\n",
    "comet.py": "from .base import Base\nclass CometSource(Base):\n    def describe(self): ...\n"
    "class _Hidden(CometSource): ...\n",
    "broken.py": "import no_such_module_at_all\n",
    "_private.py": "raise RuntimeError('not to be imported')\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "extra"
    made.mkdir()
    for name, text in FOLDER.items():
        (made / name).write_text(text)
    return made


def test_a_folder_brings_its_public_classes_and_a_broken_file_stops_nothing_else(folder: Path) -> None:
    (said,) = registry.load_plugins(["extra"], folder.parent)
    assert said == f"{folder / 'broken.py'}: ModuleNotFoundError: No module named 'no_such_module_at_all'"
    assert registry.canonical("source", "comet_source") == "CometSource"
    assert type(registry.create("source", ComponentSpec("c", "comet_source", {}))).__name__ == "CometSource"
    assert "Base" not in registry.names("source"), "it leaves describe() to its subclasses"
    assert "_Hidden" not in registry.names("source")
    with pytest.raises(UnknownComponent, match=r"plugins that could not be loaded: .*broken\.py"):
        registry.find("source", "Meteor")


def test_loaded_twice_a_folder_is_the_same(folder: Path) -> None:
    registry.load_plugins([str(folder)])
    first = registry.find("source", "CometSource")
    registry.load_plugins(["./extra/comet.py"], folder.parent)
    assert registry.find("source", "CometSource") is first


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("extra/broken.py", "the plugin file 'extra/broken.py' cannot be loaded: ModuleNotFoundError"),
        ("./nowhere", "there is no plugin file or folder './nowhere' in "),
        ("nowhere.py", "there is no plugin file or folder 'nowhere.py' in "),
    ],
)
def test_a_file_or_path_that_is_wrong_is_named(folder: Path, wanted: str, said: str) -> None:
    with pytest.raises(UnknownComponent) as caught:
        registry.load_plugins([wanted], folder.parent)
    assert caught.value.message.startswith(said)


def test_what_a_file_imports_from_elsewhere_is_not_its_own(folder: Path) -> None:
    (folder / "uses.py").write_text(
        "from hdm.connectors.sqlite import SQLiteSource\nfrom hdm import Source\n"
    )
    registry.load_plugins(["extra/uses.py"], folder.parent)
    assert registry.find("source", "SQLiteSource").__module__ == "hdm.connectors.sqlite"
