"""providah's registry is where every class is found and every instance made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hdm.components import locator, plugins, registry
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
