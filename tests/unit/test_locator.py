"""providah's registry is where every class is found and every instance made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hdm import locator
from hdm.components import plugins, registry
from hdm.components.source import Source
from hdm.model import ComponentSpec


class Moon(Source):
    def describe(self) -> Any: ...

    def read(self, table: Any, chunk: Any) -> Any: ...


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(locator, "_known", {kind: dict(names) for kind, names in locator._known.items()})
    monkeypatch.setattr(plugins, "_loaded_points", {})
    monkeypatch.setattr(plugins, "_broken_files", {})
    yield


def test_everything_is_found_and_made_through_providah(monkeypatch: pytest.MonkeyPatch) -> None:
    from providah.factories.package_factory import PackageFactory

    asked: list[tuple[str, str]] = []
    real = PackageFactory.create

    def create(key: str, library: str, label: str, configuration: Any = None) -> Any:
        asked.append((library, key))
        return real(key, library=library, label=label, configuration=configuration)

    monkeypatch.setattr(PackageFactory, "create", create)
    locator._loader.cache_clear()  # what another test has found
    registry.register(Moon)
    registry.create("source", ComponentSpec("s", "moon", {}))
    registry.find("sink", "sqlite_sink")
    assert asked[-3:] == [("source", "moon"), ("source", "Moon"), ("sink", "sqlitesink")]


def test_a_name_that_is_added_again_means_the_new_class() -> None:
    locator.add("source", "star", "Star", lambda: Moon)
    locator.add("source", "star", "Star", lambda: Source)
    assert locator.class_of("source", "star") is Source
    assert (locator.knows("source", "star"), locator.knows("sink", "star")) == (True, False)
    assert "Star" in locator.names("source") and locator.name_of("source", "star") == "Star"


def test_other_words_lead_to_a_class_and_go_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = locator.changes()
    locator.add("source", "star", "Star", lambda: Moon, ["sun"])
    assert locator.changes() == before + 1
    assert locator.class_of("source", "sun") is Moon and locator.name_of("source", "sun") == "Star"
    assert locator.names("source").count("Star") == 1 and "sun" in locator.words("source")
    del locator._known["source"]["star"]
    assert not locator.knows("source", "sun") and "sun" not in locator.words("source")


def test_a_dialect_is_the_one_that_was_registered_last() -> None:
    from hdm.dialects import Dialect, dialect

    first, second = (type("LunarDialect", (Dialect,), {"name": "lunar"}) for _ in range(2))
    locator.add("dialect", "lunardialect", "LunarDialect", lambda: first, ["lunar"])
    assert type(dialect("Lunar")) is first and dialect("lunar") is dialect("LUNAR")
    locator.add("dialect", "lunardialect", "LunarDialect", lambda: second, ["lunar"])
    assert type(dialect("lunar")) is second
