"""The service locator: names in any spelling, plugins, providah, mistakes with places."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from hdm import locator
from hdm.components import plugins, registry
from hdm.components.settings import Settings
from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.config.profile import load_profiles
from hdm.config.secrets import Secret
from hdm.config.yaml_reader import parse_yaml
from hdm.dialects import dialect
from hdm.errors import ManifestError, ProfileError, UnknownComponent, UsageError
from hdm.model import ComponentSpec


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(locator, "_known", {kind: dict(names) for kind, names in locator._known.items()})
    monkeypatch.setattr(plugins, "_loaded_points", {})
    monkeypatch.setattr(plugins, "_broken_files", {})
    yield


class Depth(Settings):
    rows: int | None = None


class PlantOrders(Source):
    class Config(Settings):
        folder: str
        chunk: Depth | None = None
        tags: tuple[str, ...] = ()

    class Profile(Settings):
        host: str
        password: Secret | None = None

    def describe(self) -> Any: ...

    def read(self, table: Any, chunk: Any) -> Any: ...


class Local(PlantOrders):
    Profile = None

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        if config.folder == "explode":
            raise ValueError("its own trouble")


def spec(text: str, type_name: str = "plant_orders") -> ComponentSpec:
    conf = parse_yaml(text.encode(), "m.yml")
    return ComponentSpec("orders", type_name, conf, conf.place[:2])


@pytest.mark.slow
def test_builtin_names_are_unique_and_lazy() -> None:
    for kind in registry.KINDS:
        folded = [registry.fold(name) for name in registry.names(kind)]
        assert len(set(folded)) == len(folded)
    code = (
        "import sys, hdm.components.registry as r; r.canonical('source', 'oracle_source');"
        "assert not [m for m in sys.modules if m.startswith('hdm.connectors.')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("spelling", ["NetezzaSource", "netezza_source", "NETEZZASOURCE", "Netezza-Source"])
def test_any_spelling(spelling: str) -> None:
    assert registry.canonical("source", spelling) == "NetezzaSource"
    assert registry.canonical("sink", spelling) is None


@pytest.mark.parametrize(
    ("kind", "alias", "name"),
    [
        ("orchestrator", "declared_orchestrator", "DeclaredOrchestrator"),
        ("orchestrator", "batch_orchestrator", "BatchOrchestrator"),
        ("orchestrator", "auto_batch_orchestrator", "AutoBatchOrchestrator"),
        ("orchestrator", "auto_orchestrator", "AutoBatchOrchestrator"),
        ("state_manager", "SqLiteStateManager", "SQLiteStateManager"),
        ("state_manager", "MariaDBStateManager", "MySQLStateManager"),
        ("source", "PostgreSQLSource", "PostgresSource"),
        ("source", "GoogleSource", "GCSSource"),
        ("sink", "GoogleSink", "GCSSink"),
        ("check", "not_null", "NotNull"),
    ],
)
def test_aliases(kind: str, alias: str, name: str) -> None:
    assert registry.canonical(kind, alias) == name


def test_register_finds_the_kind() -> None:
    assert registry.register(PlantOrders) is PlantOrders
    assert registry.find("source", "PLANT_ORDERS") is PlantOrders
    assert "PlantOrders" in registry.names("source")
    registry.register(PlantOrders)
    with pytest.raises(UsageError, match="derives from none") as caught:
        registry.register(Settings)
    assert caught.value.hint


def test_a_name_that_is_taken() -> None:
    registry.register(PlantOrders)
    twin = type("PlantOrders", (PlantOrders,), {"__module__": "other"})
    with pytest.raises(UsageError, match="two classes are registered"):
        registry.register(twin)
    shadow = type("NetezzaSource", (PlantOrders,), {"__module__": "other"})
    with pytest.raises(UsageError, match="that hdm brings"):
        registry.register(shadow)


@pytest.mark.parametrize(
    ("base", "attribute", "word", "owner"),
    [
        ("hdm.dialects:Dialect", "name", "Postgres", "PostgresDialect"),
        ("hdm.files:Format", "name", "csv", "Csv"),
        ("hdm.files:Store", "scheme", "file", "LocalStore"),
        ("hdm.catalog:Crawler", "system", "sqlite", "SQLiteCrawler"),
        ("hdm.catalog:Writer", "system", "mysql", "MySQLWriter"),
    ],
)
def test_what_a_plugins_class_calls_itself_is_its_own(
    base: str, attribute: str, word: str, owner: str
) -> None:
    module, _, name = base.partition(":")
    template = getattr(importlib.import_module(module), name)
    kind = registry.kind_of(type("X", (template,), {}))
    with pytest.raises(UsageError, match=f"by which the .* '{owner}' is found"):
        registry.register(type("Thief", (template,), {attribute: word}))
    assert registry.canonical(kind, "thief") is None
    mine = registry.register(type("Mine", (template,), {attribute: "mine_alone"}))
    for spelling in ("Mine", "mine_alone", "MINE-ALONE"):
        assert registry.find(kind, spelling) is mine
    heir = registry.register(type("Heir", (mine,), {}))
    assert registry.find(kind, "heir") is heir and registry.find(kind, "mine_alone") is mine


def test_an_unknown_name_is_answered_with_the_near_one() -> None:
    registry.register(PlantOrders)
    with pytest.raises(UnknownComponent) as caught:
        registry.find("source", "PlantOrder")
    assert str(caught.value) == (
        "no source is registered as 'PlantOrder'\n  hint: did you mean 'PlantOrders'?"
    )
    with pytest.raises(ManifestError) as placed:
        registry.create("source", spec("\nfolder: x", "PlantOrder"))
    assert (placed.value.file, placed.value.line) == ("m.yml", 2)


def test_create_through_providah(tmp_path: Path) -> None:
    registry.register(PlantOrders)
    path = tmp_path / "p.yml"
    path.write_text("dev: {plant: {host: h, password: create-canary}}")
    path.chmod(0o600)
    profiles = load_profiles(path, "dev", {})
    for key in ("env", "connection"):
        made = registry.create("source", spec(f"{key}: plant\nfolder: /x"), profiles)
        assert type(made) is PlantOrders
        assert made.name == "orders"
        assert made.config.folder == "/x"
        assert made.profile.host == "h"
    with pytest.raises(ProfileError, match=r"m.yml|p.yml") as caught:
        registry.create("source", spec("env: palnt\nfolder: /x"), profiles)
    assert "did you mean 'plant'?" in str(caught.value)


def test_two_classes_of_one_name_do_not_confuse_providah() -> None:
    def make() -> type[Source]:
        return type("Twin", (Local,), {"__module__": "twins"})

    for cls in (make(), make()):
        locator._known["source"].pop("twin", None)
        registry.register(cls)
        assert type(registry.create("source", spec("folder: x", "twin"))) is cls


def test_what_a_constructor_raises_is_not_hidden() -> None:
    registry.register(Local)
    with pytest.raises(ValueError, match="its own trouble"):
        registry.create("source", spec("folder: explode", "local"))


@pytest.mark.parametrize(
    ("text", "type_name", "line", "column", "said", "hint"),
    [
        ("foldr: x\nfolder: y", "local", 1, 1, "unknown key 'foldr'", "did you mean 'folder'?"),
        ("chunk: {rows: 1}", "local", 1, 1, "key 'folder' is missing", "add 'folder"),
        ("folder: NO", "local", 1, 9, "YAML reads NO as the boolean false", 'quote it: folder: "NO"'),
        ("folder: 12", "local", 1, 9, "YAML reads 12 as a number", 'quote it: folder: "12"'),
        ("folder: ", "local", 1, 8, "'folder' is empty", "write a value"),
        ("folder: {a: b}", "local", 1, 9, "'folder' must be a valid string", "correct"),
        ("folder: x\nchunk: {rows: yes}", "local", 2, 15, "wants a number", "write a number"),
        ("folder: x\nchunk: {rwos: 1}", "local", 2, 9, "unknown key 'chunk.rwos'", "did you mean 'rows'?"),
        ("folder: x\nchunk: {rows: lots}", "local", 2, 15, "'chunk.rows' must be a valid integer", "number"),
        ("folder: x\ntags: [a, NO]", "local", 2, 11, "YAML reads NO", "quote it"),
        ("folder: x\ntags: a", "local", 2, 7, "'tags' must be a valid tuple", "write a list"),
        ("folder: x\nenv: a", "local", 1, 1, "takes no connection", "remove 'env'"),
        ("folder: x", "plant_orders", 1, 1, "needs a connection", "add 'env:'"),
        ("folder: x\nenv: NO", "plant_orders", 2, 6, "wants the name of a connection", "quote"),
        ("folder: x\nenv: a\nconnection: b", "plant_orders", 3, 1, "two connections", "keep one"),
    ],
)
def test_a_mistake_in_a_conf_has_its_place(
    text: str, type_name: str, line: int, column: int, said: str, hint: str
) -> None:
    registry.register(PlantOrders)
    registry.register(Local)
    with pytest.raises(ManifestError) as caught:
        registry.create("source", spec(text, type_name))
    error = caught.value
    assert (error.file, error.line, error.column) == ("m.yml", line, column)
    assert said in error.message
    assert hint in str(error)


def test_a_plain_mapping_has_mistakes_without_places() -> None:
    registry.register(Local)
    with pytest.raises(ManifestError, match="unknown key 'foldr'"):
        registry.create("source", ComponentSpec("a", "local", {"folder": "x", "foldr": "y"}))
    assert registry.create("source", ComponentSpec("a", "local", {"folder": "x"})).config.folder == "x"


PLUGIN = """
from hdm import Settings, Sink, register

@register
class Moonbase(Sink):
    class Config(Settings):
        dome: str
    def dataset(self, table): ...
    def target(self, table): ...
    def write(self, table, chunk, attempt, payload, mode): ...
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("plugged"):
            del sys.modules[name]


def test_a_module_that_the_manifest_names(modules: Path) -> None:
    (modules / "plugged_moon.py").write_text(PLUGIN)
    assert registry.canonical("sink", "moonbase") is None
    registry.load_plugins(["plugged_moon"])
    assert registry.canonical("sink", "MOON_BASE") == "Moonbase"
    assert isinstance(registry.create("sink", ComponentSpec("m", "moonbase", {"dome": "x"})), Sink)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = ", "SyntaxError"),
    ],
)
def test_a_module_that_cannot_be_imported(modules: Path, text: str, said: str) -> None:
    (modules / "plugged_broken.py").write_text(text)
    with pytest.raises(UnknownComponent, match="plugged_broken") as caught:
        registry.load_plugins(["plugged_broken"])
    assert said in caught.value.message
    assert caught.value.hint


def test_entry_points(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (modules / "plugged_entry.py").write_text(
        PLUGIN.replace("@register\n", "").replace("Moonbase", "Marsbase")
    )
    (modules / "plugged_bad.py").write_text("raise RuntimeError('bad day')")
    points = [
        EntryPoint("a_bad_one", "plugged_bad", plugins.GROUP),
        EntryPoint("marsbase", "plugged_entry:Marsbase", plugins.GROUP),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == plugins.GROUP else [])
    assert registry.canonical("sink", "mars_base") == "Marsbase"
    assert "plugged_bad" not in plugins._loaded_points, "a plugin of another name comes later"
    with pytest.raises(UnknownComponent, match="bad day") as caught:
        registry.find("sink", "nothing_like_it")
    assert "a_bad_one" in caught.value.message


def test_what_lies_beside_an_entry_points_class_comes_with_it(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (modules / "plugged_pair.py").write_text(
        PLUGIN.replace("@register\n", "").replace("Moonbase", "Pairbase")
        + "from hdm.dialects import Dialect\nclass PairDialect(Dialect):\n    name = 'pair'\n"
    )
    points = [EntryPoint("pairbase", "plugged_pair:Pairbase", plugins.GROUP)]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    with pytest.raises(UnknownComponent):
        dialect("pair")
    assert registry.canonical("sink", "pairbase") == "Pairbase"
    assert dialect("pair").name == "pair"


def test_all_installed_plugins_are_listed_once_they_are_asked_for(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (modules / "plugged_listed.py").write_text(
        PLUGIN.replace("@register\n", "").replace("Moonbase", "Listed")
    )
    (modules / "plugged_worse.py").write_text("raise RuntimeError('bad day')")
    points = [
        EntryPoint("worse", "plugged_worse", plugins.GROUP),
        EntryPoint("Listed", "plugged_listed:Listed", plugins.GROUP),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    assert "Listed" not in registry.names("sink")
    for _ in range(2):
        assert registry.load_installed() == ["worse (plugged_worse): RuntimeError: bad day"]
    assert "Listed" in registry.names("sink")


def test_every_builtin_module_that_is_there_keeps_its_word() -> None:
    for kind in registry.KINDS:
        for name in () if kind == "catalog" else registry.BUILTIN[kind]:
            if importlib.util.find_spec(registry.BUILTIN[kind][name]) is not None:
                assert registry.find(kind, name).__name__ == name
