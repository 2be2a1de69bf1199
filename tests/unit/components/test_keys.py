"""Every key that hdm accepts says what it does, and is read by its code, or says that it does nothing.

A key counts as read where it is taken off something that is called like a configuration. What is read in
another way stands in ``OTHERWISE``, with the way; what does nothing is declared ``deprecated``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from hdm.catalog.rules import Rule
from hdm.components import registry
from hdm.components.builtin import BUILTIN
from hdm.components.keys import keys_of, models_in, summary
from hdm.components.settings import Settings
from hdm.config.described import descriptions
from hdm.config.manifest_model import ManifestWords
from hdm.config.profile import Profiles, load_profiles
from hdm.config.secrets import Secret
from hdm.model import ComponentSpec
from tests.flows.kit import load, only, shop, stage

HDM = Path(registry.__file__).parents[1]
HOLDERS = {
    "config", "profile", "conf", "self", "words", "link", "batch", "template", "check", "service",
    "component", "rule", "spec", "mark", "chunk", "watermark", "split", "credentials", "given",
    "options", "_options", "declared", "column",
    "name", "own", "bound", "upload",
}  # fmt: skip
OTHERWISE = {
    "params": "SqlSourceConfig._from_params takes it apart before it is validated",
    "ssl_ca": "connectors/mysql and the state's backend pass all that start with ssl_ on",
    "ssl_cert": "connectors/mysql and the state's backend pass all that start with ssl_ on",
    "ssl_key": "connectors/mysql and the state's backend pass all that start with ssl_ on",
    "version": "only one value is accepted",
    "connections": "runtime/shares takes it from the link's limits",
    "rows_per_second": "runtime/rate_limit takes it from the link's limits",
    "bytes_per_second": "runtime/rate_limit takes it from the link's limits",
    **{
        f"{system}*.Profile.url": "SqlProfile refuses it where takes_url is False"
        for system in ("Netezza", "Oracle", "Exadata", "SQLServer", "AzureSQLServer")
    },
    "env": "components/registry takes it out of the conf, where the component has a profile",
    **{
        f"Snowflake*.Profile.{key}": "connectors/snowflake/session passes it on by its name"
        for key in (
            "user",
            "password",
            "token",
            "role",
            "warehouse",
            "host",
            "port",
            "protocol",
            "passcode",
            "oauth_client_secret",
            "oauth_token_request_url",
            "oauth_authorization_url",
            "oauth_scope",
            "workload_identity_entra_resource",
            "secondary_roles",
        )
    },
    "manifest.*.proof.level": "api/comparing takes it from the words of the link's validate",
    "manifest.*.proof.accept": "api/comparing takes it from the words of the link's validate",
    **{
        f"PostgresStateManager.Profile.{key}": "state/backends passes it on by its name"
        for key in ("sslmode", "sslrootcert", "sslcert", "sslkey")
    },
    "S3*.Profile.insecure": "the profile itself accepts an address without https by it",
}
"""Keys, or patterns of ``Component.Config.key``, that are read in another way, and in which."""
_ABOVE = ("components", "planning", "runtime", "project.py", "orchestrators", "files/formats")
"""What reads the keys of any component."""
_OF_MODELS = {"model_validator", "field_validator"}
"""Reading a key in one of these says no more than that it is right."""


def models() -> dict[type[BaseModel], str]:
    """Every model of configuration, nested ones too, each with where it was found."""
    found: dict[type[BaseModel], str] = {}

    def walk(model: type[BaseModel], where: str) -> None:
        if model not in found:
            found[model] = where
            for key, info in model.model_fields.items():
                for inner in models_in(info.annotation):
                    walk(inner, f"{where}.{key}")

    for kind, classes in BUILTIN.items():
        for name in classes:
            cls = registry.find(kind, name)
            for part in ("Config", "Profile"):
                if (model := getattr(cls, part, None)) is not None:
                    walk(model, f"{name}.{part}")
    walk(ManifestWords, "manifest")
    walk(Rule, "rules")  # AutoBatchConfig keeps them as they were written
    return found


def undescribed(model: type[BaseModel]) -> Iterator[str]:
    """The model's keys without a description, or with one that says no more than the key's name."""
    said = descriptions(model)
    for key in model.model_fields:
        text = said.get(key, "")
        told = set(re.findall(r"\w+", text.lower())) - set(key.split("_")) - {"the", "a", "an", "of", "its"}
        if len(text) < 15 or len(told) < 3:
            yield key


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


@cache
def names_read(file: Path) -> frozenset[str]:
    """Attributes that are taken off configurations in a file."""
    checks = [
        node
        for node in ast.walk(tree(file))
        if isinstance(node, ast.FunctionDef) and _OF_MODELS & {holder(one) for one in node.decorator_list}
    ]
    passed = {id(node) for one in checks for node in ast.walk(one)}
    return frozenset(
        node.attr
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and id(node) not in passed
        and holder(node.value) in HOLDERS
    )


def file_of(module: str) -> Path | None:
    place = HDM.joinpath(*module.split(".")[1:])
    found = (place.with_suffix(".py"), place / "__init__.py")
    return next((one for one in found if module.startswith("hdm") and one.is_file()), None)


@cache
def imported(file: Path) -> frozenset[Path]:
    modules: list[str] = []
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
        elif isinstance(node, ast.Import):
            modules += [one.name for one in node.names]
    return frozenset(found for module in modules if (found := file_of(module)))


def code_of(cls: type) -> set[Path]:
    """The files whose code can read a component's keys: its classes', what those import, and what stands
    above all components. Not those of other systems."""
    classes = [*cls.__mro__, *getattr(getattr(cls, "Database", None), "__mro__", ())]
    todo = [found for one in classes if (found := file_of(one.__module__))]
    seen: set[Path] = set()
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += imported(file)
    for name in _ABOVE:
        seen |= {HDM / name} if name.endswith(".py") else set((HDM / name).rglob("*.py"))
    return {file for file in seen if "db" not in file.relative_to(HDM).parts}


def unread(model: type[BaseModel], where: str, read: Collection[str]) -> Iterator[str]:
    """The keys of a model, and of those in it, that nothing reads and that do not say so."""
    for key, info in model.model_fields.items():
        name = f"{where}.{key}"
        known = key in read or any(one == key or fnmatchcase(name, one) for one in OTHERWISE)
        if not known and not info.deprecated:
            yield name
        for inner in models_in(info.annotation):
            yield from unread(inner, name, read)


def holder(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return holder(inner)
    return ""


@pytest.mark.slow
def test_every_key_is_read_or_says_that_it_is_not() -> None:
    idle: list[str] = []
    for kind, classes in BUILTIN.items():
        for name in classes:
            cls = registry.find(kind, name)
            read = frozenset().union(*map(names_read, code_of(cls)))
            for part in ("Config", "Profile"):
                if (model := getattr(cls, part, None)) is not None:
                    idle += unread(model, f"{name}.{part}", read)
    everywhere = frozenset().union(*map(names_read, HDM.rglob("*.py")))
    idle += [*unread(ManifestWords, "manifest", everywhere), *unread(Rule, "rules", everywhere)]
    assert idle == [], "read these keys, or remove them, or declare them deprecated=... with what to do"


def test_every_key_says_what_it_does() -> None:
    silent = sorted({f"{m.__module__}.{m.__qualname__}.{key}" for m in models() for key in undescribed(m)})
    assert silent == [], "write a docstring under the field: what it does, its unit, what is so without it"


class Documented(Settings):
    rows: int = 5
    """Most rows that one chunk holds."""
    folder: str = "x"
    """Folder in which the files lie."""


class Silent(Documented):
    rows: int = 7
    schema_name: str = ""
    """The schema name."""
    env: str = ""
    """Env."""
    where: str = ""
    more: Documented | None = None
    """What is asked of the second one."""


def test_a_key_without_a_word_of_its_own_is_found() -> None:
    assert list(undescribed(Documented)) == []
    assert list(undescribed(Silent)) == ["rows", "schema_name", "env", "where"]


def test_keys_are_listed_with_those_that_they_hold() -> None:
    found = {key.name: key for key in keys_of(Silent)}
    assert list(found) == [*Silent.model_fields, "more.rows", "more.folder"]
    inner, outer = found["more.rows"], found["more"]
    assert (inner.type, inner.default, inner.description) == ("int", "5", "Most rows that one chunk holds.")
    assert (outer.type, outer.default, outer.required) == ("{rows, folder}", None, False)


def test_a_component_is_summed_up_in_its_first_sentence() -> None:
    class Two:
        """Unloads by CREATE TABLE ... AS, once
        per ``chunk``. Then reads."""

    assert summary(Two) == "Unloads by CREATE TABLE ... AS, once per `chunk`."
    assert summary(type("Bare", (), {})) == ""


def test_no_exception_is_stale() -> None:
    keys = {key for model in models() for key in model.model_fields}
    assert {one.rpartition(".")[2] for one in OTHERWISE} <= keys


@pytest.mark.slow
def test_a_key_that_does_nothing_says_so(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=3, items=3)
    link = stage("orders", place, checksum={"column": "nosuch"}, database="other")
    only(place, link, load(place))
    for verb in ("plan", "run"):
        said = place.hdm(verb).err
        assert "source 'src_orders': 'checksum' has no effect since hdm 0.1.0" in said
        assert "source 'src_orders': 'database' has no effect since hdm 0.1.0" in said


def test_idle_keys_of_links_connections_and_folders_say_so(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=3, items=3)
    link = {**stage("orders", place), "name": "first"}
    link["sink"]["conf"]["env"] = "folder"
    done = only(place, link, load(place)).hdm("plan")
    assert done.code == 0
    assert "manifest: 'name' has no effect since hdm 0.1.0: links are told apart" in done.err
    assert f"sink '{link['sink']['name']}': 'env' has no effect" in done.err


def said_of(known: Profiles, kind: str, spec: ComponentSpec) -> list[str]:
    """What the entry that the component asks for has said of it, without the reasons."""
    del known.notes[:]
    model = registry.find(kind, spec.type).Profile
    known.connection(spec.conf["env"], model)
    return [note[: note.index("no effect") + len("no effect")] for note in known.notes]


def test_an_idle_key_of_a_connection_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "p.yml"
    file.write_text("dev:\n  a: {host: x, database: d, driver: y}\n")
    file.chmod(0o600)
    known = load_profiles(file, "dev")
    for kind, entry, line in (
        ("Postgres", "a", 2),
        ("MySQL", "a", 2),
        ("Oracle", "a", 2),
    ):
        spec = ComponentSpec("s", f"{kind}Source", {"env": entry, "table_name": "t"})
        assert [f"{file}:{line}: connection '{entry}': 'driver' has no effect"] == said_of(
            known, "source", spec
        )
    spec = ComponentSpec("s", "SQLServerSource", {"env": "a", "table_name": "t"})
    assert said_of(known, "source", spec) == []
    spec = ComponentSpec("state", "MySQLStateManager", {"env": "a"})
    assert len(said_of(known, "state_manager", spec)) == 1


@pytest.mark.parametrize("system", ["Oracle", "SQLServer", "AzureSQLServer", "Netezza"])
def test_a_url_where_there_is_none_is_refused(system: str) -> None:
    with pytest.raises(ValidationError, match="this system has no url"):
        registry.find("source", f"{system}Source").Profile.model_validate({"url": Secret("x://y")})


def test_a_stage_is_made_of_two_things() -> None:
    config = registry.find("sink", "SnowflakeS3CopySink").Config
    config.model_validate({"stage_name": "S", "url": "s3://b", "storage_integration": "i"})
    with pytest.raises(ValidationError, match="both url and storage_integration"):
        config.model_validate({"stage_name": "S", "url": "s3://b"})


def test_mistakes_of_several_components_are_told_at_once(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=3, items=3)
    links = [
        stage("orders", place, colums=["id"]),
        stage("items", place, where=7),
        load(place, env="nowhere"),
    ]
    links[0]["sink"]["conf"]["compression"] = "rar"
    done = only(place, *links).hdm("plan")
    assert done.code == 2
    for said in ("unknown key 'colums'", "'where'", "'compression'", "nowhere"):
        assert said in done.err
