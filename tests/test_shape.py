"""The shape of the repository: small files, a known public face, nothing of one machine in it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import hdm
from tests import public_face

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOT_MODULES = {"__init__", "__main__", "_version", "errors", "failpoints", "locator", "project"}

TESTED_ELSEWHERE = {
    # Module, or folder of modules -> the test that is theirs, where it is not the mirrored file.
    "__init__": "test_shape.py",
    "cli/__init__": "test_layers.py",
    "api/": "flows/test_python_api.py",
    "proof/": "unit/proof/test_compare.py",
    "cli/compared": "flows/test_proof.py",
    "cli/sync": "flows/test_sync.py",
    "proof/applying": "flows/test_sync.py",
    "api/syncing": "flows/test_sync.py",
    "api/repairing": "flows/test_sync.py",
    "proof/differing": "flows/test_sync.py",
    "sql/patch": "flows/test_sync_keys.py",
    "model/change": "flows/test_sync.py",
    "state/jobs/repairs": "flows/test_sync.py",
    "planning/sync_links": "flows/test_mode_sync.py",
    "runtime/syncing": "flows/test_mode_sync.py",
    "sql/whereabouts": "flows/test_sync_names.py",
    "planning/look_ahead": "flows/test_look_ahead.py",
    "components/row_checks": "unit/components/test_check.py",
    "runtime/checking": "unit/runtime/test_link.py",
    "components/silence": "unit/connectors/test_half_open.py",
    "sql/server_calls": "unit/connectors/test_half_open.py",
    "planning/open_gaps": "flows/test_ways_out.py",
    "planning/unanswered": "unit/planning/test_preflight.py",
    "planning/tries": "unit/planning/test_planner.py",
    "planning/opening": "unit/planning/test_planner.py",
    "components/settings": "unit/config/test_profile.py",
    "runtime/host": "unit/runtime/test_thread_engine.py",
    "runtime/lease_keeper": "unit/runtime/test_worker.py",
    "components/builtin": "unit/components/test_registry.py",
    "config/spellings": "unit/planning/test_manifest.py",
    "config/manifest_model": "unit/planning/test_manifest.py",
    "config/batch_spellings": "unit/planning/test_manifest.py",
    "model/origin": "unit/runtime/test_column_lineage.py",
    "planning/recovery": "unit/planning/test_planner.py",
    "planning/presence": "flows/test_presence.py",
    "planning/epoch_plan": "unit/planning/test_planner.py",
    "model/holding": "flows/test_presence.py",
    "planning/job_lifecycle": "unit/planning/test_replacing.py",
    "planning/whole": "flows/test_whole_table.py",
    "config/validation": "unit/config/test_manifest_errors.py",
    "config/templates": "unit/planning/test_manifest.py",
    "catalog/base": "conformance/test_catalogs.py",
    "components/sink": "conformance/test_saboteurs.py",
    "testing/": "conformance/test_saboteurs.py",
    # The crawlers, the mapper and the writers are one machine: what goes in and what comes out.
    "catalog/crawlers/": "unit/catalog/test_crawlers_recorded.py",
    "catalog/assess": "flows/test_catalog_journey.py",
    "catalog/": "unit/catalog/test_parts.py",
    "sql/late": "unit/sql/test_window.py",
    "sql/cursor": "unit/sql/test_window.py",
    "model/window": "unit/sql/test_window.py",
    "sql/catalog": "conformance/test_catalogs.py",
    # Every dialect passes one suite; those with oddities of their own have a file besides.
    "dialects/": "conformance/test_dialects.py",
    # A system's codecs and middle levels are tested against the real system.
    "files/": "unit/connectors/test_local.py",
    "files/grown_files": "conformance/test_foreign_files.py",
    "files/partition_folders": "conformance/test_foreign_files.py",
    "files/formats/": "unit/files/formats/test_formats.py",
    "files/stores/azure": "unit/connectors/test_azure.py",
    "files/stores/gcs": "unit/connectors/test_gcs.py",
    "files/stores/sftp": "unit/connectors/test_sftp.py",
    "files/stores/": "unit/connectors/test_s3.py",
    "sql/odbc": "unit/connectors/test_odbc.py",
    "sql/": "unit/sql/test_sink.py",
    # The store has one door, and is tested through it.
    "state/queries/": "flows/test_commands.py",
    "state/jobs/sites": "unit/planning/test_other_sites.py",
    "state/": "unit/state/chunks/test_transitions.py",
    # Verbs and orchestrators are tested by running them.
    "cli/catalog": "flows/test_catalog_journey.py",
    "cli/assess": "flows/test_catalog_journey.py",
    "planning/open_state": "unit/test_project.py",
    "cli/": "flows/test_commands.py",
    "orchestrators/auto_": "flows/test_catalog_auto_batch.py",
    "orchestrators/": "flows/test_moves.py",
}


def tracked() -> list[Path]:
    """The files that a clone has, and those that are about to be added."""
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in os.fsdecode(listed).split("\0") if name and (ROOT / name).is_file()]


def lines(path: Path) -> int:
    return sum(1 for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


@pytest.mark.parametrize("folder", ["hdm", "demo", "benchmarks", "tests/servers"])
def test_no_module_has_many_more_than_300_lines(folder: str) -> None:
    long = {str(p.relative_to(ROOT)): lines(p) for p in (ROOT / folder).rglob("*.py") if lines(p) > 330}
    assert long == {}


def mirrors(module: str) -> Iterator[str]:
    """Where a module's own unit tests may lie: at the same path, or with its system or package."""
    folder, _, name = module.rpartition("/")
    words = name.strip("_").split("_")
    yield from (f"unit/{folder}/test_{'_'.join(words[:n])}.py" for n in range(len(words), 0, -1))
    above, _, package = folder.rpartition("/")
    yield f"unit/{above}/test_{package}.py"


def written_tests() -> set[str]:
    return {path.relative_to(ROOT / "tests").as_posix() for path in (ROOT / "tests").rglob("test_*.py")}


@cache
def lonely() -> list[str]:
    """Modules with code, of which no unit test has the name."""
    tests = written_tests()
    named = {module: {path.replace("//", "/") for path in mirrors(module)} for module in modules_with_code()}
    return [module for module, own in named.items() if not own & tests]


def has_code(path: Path) -> bool:
    return any(
        isinstance(node, ast.FunctionDef | ast.ClassDef)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )


def modules_with_code() -> list[str]:
    paths = [path for path in sorted((ROOT / "hdm").rglob("*.py")) if has_code(path)]
    return [path.relative_to(ROOT / "hdm").with_suffix("").as_posix() for path in paths]


def test_unit_tests_mirror_the_modules() -> None:
    missing = [module for module in lonely() if not any(map(module.startswith, TESTED_ELSEWHERE))]
    assert missing == [], "write tests/unit/<the same path>, or say in TESTED_ELSEWHERE which test is theirs"


def test_no_exception_to_the_mirror_is_stale() -> None:
    assert set(TESTED_ELSEWHERE.values()) - written_tests() == set()
    modules = lonely()
    assert [at for at in TESTED_ELSEWHERE if not any(one.startswith(at) for one in modules)] == []


def test_the_public_face_is_as_it_was() -> None:
    """A name that goes breaks somebody's connector; the message says which, and how a change is accepted."""
    assert public_face.verdict() == "", public_face.verdict()


def test_a_change_of_the_public_face_is_shown_name_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: hdm.Project, *, only: str) -> None: ...

    monkeypatch.setattr(hdm, "__all__", [name for name in hdm.__all__ if name != "payload"])
    monkeypatch.setattr(hdm.Project, "run", run)
    monkeypatch.setattr(hdm.Check, "afterwards", lambda self: None, raising=False)
    said = public_face.verdict()
    assert "gone:    hdm.payload (" in said
    assert "changed: hdm.Project.run (self, *, select: " in said
    assert "to hdm.Project.run (self: hdm.Project, *, only: str) -> None" in said
    assert "new:     hdm.Check.afterwards (self)" in said
    assert "new:     hdm.RowCheck.afterwards (self)" in said
    assert said.count("\n") == 6 and said.splitlines()[-1].startswith("Others build on these names.")
    assert "make public" in said


def test_nothing_lies_at_the_root_but_the_public_few() -> None:
    assert {path.stem for path in (ROOT / "hdm").glob("*.py")} == ROOT_MODULES


NAMED_OUTSIDE = {
    # File -> why it may tell systems apart by name, although it is none of theirs.
    "dialects/__init__.py": "the registry: which module a dialect's name leads to",
    "components/builtin.py": "the registry: which module a component's name leads to, and what it needs",
    "catalog/expressions.py": "how sqlglot's trees of one system read in another",
    "catalog/defaults.py": "how a default of one system reads in another",
    "catalog/crawlers/odbc.py": "schemas that systems keep for themselves; mysql is the name of one",
    "catalog/admission.py": "what of a stranger's text passes for which system, in one place to be reviewed",
    "catalog/known_functions.py": "the functions that may pass, system beside system to be compared",
    "catalog/parsing.py": "sqlglot's own names of its dialects",
    "state/db/": "SQLAlchemy's own names of its dialects",
}


def systems() -> frozenset[str]:
    """Names of all systems, and other spellings of them."""
    tree = ast.parse((ROOT / "hdm/dialects/__init__.py").read_text(encoding="utf-8"))
    homes = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and "HOMES" in ast.unparse(node)
    )
    tables = (node for node in homes if isinstance(node, ast.Dict))
    return frozenset(strings([key for table in tables for key in table.keys if key is not None]))


def strings(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The string constants among these expressions, and in the collections among them."""
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Tuple | ast.List | ast.Set):
            yield from strings(node.elts)


def told_apart(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and string of every comparison, key of a table, member of a set and case of a match."""
    for node in ast.walk(tree):
        found: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            found = [node.left, *node.comparators]
        elif isinstance(node, ast.Dict):
            found = [key for key in node.keys if key is not None]
        elif isinstance(node, ast.Set):
            found = [node]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("set", "frozenset"):
            found = [*node.args]
        elif isinstance(node, ast.MatchValue):
            found = [node.value]
        yield from ((getattr(node, "lineno", 0), text) for text in strings(found))


def is_a_systems_own(module: str, names: frozenset[str]) -> bool:
    """Whether the file is one of a single system: ``<system>.py``, ``<system>_*.py`` or ``map_<system>.py``
    of a room that has such files, or anything in its connector's folder."""
    rooms = ("dialects/", "connectors/", "catalog/crawlers/", "catalog/writers/", "catalog/map_")
    room = next((one for one in rooms if module.startswith(one)), None)
    own = re.split(r"[/.]|_", module[len(room or "") :])[0]
    return room is not None and own in names


def test_no_system_is_told_by_its_name_outside_its_own_files() -> None:
    """What differs is a value or a method of one dialect: a comparison elsewhere is one that a new system
    would have to be added to."""
    names, found = systems(), []
    assert {"postgres", "mariadb", "mssql", "synapse"} <= names
    for path in sorted((ROOT / "hdm").rglob("*.py")):
        module = path.relative_to(ROOT / "hdm").as_posix()
        if is_a_systems_own(module, names) or module.startswith(tuple(NAMED_OUTSIDE)):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [f"{module}:{line}: {name!r}" for line, name in told_apart(tree) if name in names]
    assert found == [], "make it an attribute of Dialect (hdm/dialects/facts.py, hdm/dialects/traits.py)"


@pytest.mark.parametrize(
    "code",
    [
        'x == "mysql"', '"mysql" != x', 'x in ("oracle", "mysql")', 'table = {"mysql": 1}',
        'some = frozenset({"mysql"})', 'some = frozenset(["mysql"])', 'match x:\n  case "mysql": pass',
    ],
)  # fmt: skip
def test_every_way_to_tell_a_system_by_its_name_is_seen(code: str) -> None:
    assert "mysql" in {name for _, name in told_apart(ast.parse(code))}


def test_the_exceptions_of_systems_names_are_files() -> None:
    assert [one for one in NAMED_OUTSIDE if not (ROOT / "hdm" / one).exists()] == []


def test_no_migration_imports_hdm() -> None:
    """A migration is frozen; what it imports is not."""
    found = {
        path.name
        for path in (ROOT / "migrations/versions").glob("*.py")
        if re.search(r"^\s*(from|import) hdm\b", path.read_text(encoding="utf-8"), re.M)
    }
    assert found == set()


def test_one_version() -> None:
    assert PROJECT["project"]["version"] == hdm.__version__
    assert f"## {hdm.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_file_speaks_of_one_machine() -> None:
    places = {str(ROOT), str(Path.home()), sys.prefix}
    here = [re.escape(place) + "/" for place in places if len(Path(place).parts) > 2]
    general = [
        r"/home/(?!user\b)[a-z]\w*/",
        r"/Users/\w+/",
        r"[A-Z]:\\Users\\",
        r"-----BEGIN [A-Z ]*PRIVATE KEY",
    ]
    pattern = re.compile("|".join(here + general))
    found = {}
    for path in tracked():
        if path == Path(__file__).resolve():
            continue
        match = pattern.search(path.read_text(encoding="utf-8", errors="replace"))
        if match:
            found[str(path.relative_to(ROOT))] = match.group()
    assert found == {}


def test_what_was_put_off_is_not_left_lying_about() -> None:
    words = re.compile(r"\b(TODO|FIXME)\b|raise NotImplementedError|pytest\.skip\(|pragma: no cover")
    found = {
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix == ".py" and path != Path(__file__).resolve() and words.search(path.read_text("utf-8"))
    }
    assert found == set()


UNLOCKED = {"teradatasql", "hdbcli"}
"""Drivers that no test installs: they are under their makers' own licences, and one has 127 MB."""


def test_the_lock_names_every_direct_dependency() -> None:
    locked = {
        line.split("==")[0]
        for line in (ROOT / "requirements/lock.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    project = PROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    direct = {re.split(r"[^A-Za-z0-9._-]", text)[0].lower() for group in groups for text in group}
    normal = {re.sub(r"[-_.]+", "-", name) for name in direct} - {"hdm"}
    assert normal - locked == UNLOCKED


def test_every_link_between_the_pages_leads_somewhere() -> None:
    dead = set()
    for page in (path for path in tracked() if path.suffix == ".md"):
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target.split("#")[0]).exists():
                dead.add(f"{page.relative_to(ROOT)}: {target}")
    assert dead == set()


@pytest.mark.slow
def test_the_wheel_carries_everything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, timeout=300, stdin=subprocess.DEVNULL)
    (wheel,) = tmp_path.glob("hdm-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "hdm").rglob("*.py")}
    blueprints = {str(path.relative_to(ROOT)) for path in (ROOT / "hdm/cli/blueprints").iterdir()}
    pages = {str(path.relative_to(ROOT)) for path in (ROOT / "hdm").rglob("*.html")}
    assert pages
    assert (modules | blueprints | pages) - names == set()
    assert {"hdm/py.typed", "hdm/_migrations/env.py"} <= names
    assert any(name.startswith("hdm/_migrations/versions/") and name.endswith(".py") for name in names)
    assert not any(name.startswith(("tests/", "demo/", "benchmarks/")) for name in names)


FOREIGN = {"redirect_request", "format_commands", "missing_host_key", "readinto"}
"""Methods that a library calls: urllib, click, paramiko, io."""
PLAIN = {"property", "staticmethod", "classmethod", "cached_property"}


def unused(texts: Mapping[str, str], elsewhere: Collection[str] = ()) -> list[str]:
    """Functions and classes that no other line of these modules names, and that nobody else is to use."""
    words = Counter(word for text in texts.values() for word in re.findall(r"\w+", text))
    made = {name for text in texts.values() for name in re.findall(r"(?:def|class) (\w+)", text)}
    once = {name for name in made if words[name] == 1}
    return [
        f"{where}:{node.name}"
        for where, text in texts.items()
        if not once.isdisjoint(re.findall(r"(?:def|class) ((?!check_|__)\w+)", text))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and {getattr(one, "id", None) for one in node.decorator_list} <= PLAIN
        and node.name in once
        and not node.name.startswith(("__", "check_"))
        and node.name not in FOREIGN
        and node.name not in elsewhere
    ]


def test_nothing_is_left_that_nobody_uses() -> None:
    texts = {str(path): path.read_text(encoding="utf-8") for path in sorted((ROOT / "hdm").rglob("*.py"))}
    assert unused(texts, {"anchor_run"}) == []  # for those who keep the end of one run's chain elsewhere


def test_what_nobody_uses_is_found() -> None:
    text = "class A:\n    @property\n    def b(s): ...\n    @click.command\n    def c(s): ...\ndef d(): A()"
    assert unused({"m": text}) == ["m:d", "m:b"]
