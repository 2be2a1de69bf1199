"""Profiles: found, private, resolved late, and wrong in the right place."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import model_validator

from hdm.components.settings import Settings
from hdm.config.profile import environment, home, load_profiles
from hdm.config.secrets import Secret, redact
from hdm.connectors.duckdb import DuckDBProfile
from hdm.connectors.sqlite import SQLiteProfile
from hdm.errors import ProfileError
from hdm.state.backends import FileProfile


class File(Settings):
    path: str | None = None

    @model_validator(mode="after")
    def _one(self) -> File:
        if self.path is None:
            raise ValueError("give path")
        return self


class Server(Settings):
    host: str
    port: int = 5432
    user: str | None = None
    password: Secret | None = None
    tls: bool = True
    driver: Any = None


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


TEXT = """\
dev:
  db: {host: localhost, port: 5, password: dev-literal-canary}
  refs: {host: env:DB_HOST, user: env:DB_USER, password: env:DB_PASSWORD}
prod:
  db: {host: far.example, password: keyring:hdm/prod}
empty:
"""


def test_an_environment_at_the_top_level(tmp_path: Path) -> None:
    path = write(tmp_path / "p.yml", TEXT)
    profiles = load_profiles(path, "dev", {})
    assert profiles.names() == ["db", "refs"]
    made = profiles.connection("db", Server)
    assert (made.host, made.port) == ("localhost", 5)
    assert made.password is not None
    assert made.password.reveal() == "dev-literal-canary"
    assert "canary" not in repr(profiles.entry("db")) + str(profiles.entries)
    for thing, said in ((profiles, "profiles cannot"), (profiles.entries, "Secret"), (made, "Secret")):
        with pytest.raises(TypeError, match=said):
            pickle.dumps(thing)
    assert "canary" not in repr(made) + repr(profiles) + made.model_dump_json()
    assert load_profiles(path, "prod", {}).connection("db", Server).host == "far.example"
    assert load_profiles(path, "empty", {}).names() == []
    assert load_profiles(path, None, {"HDM_ENV": "prod"}).env == "prod"


def test_what_the_environment_is_called() -> None:
    assert environment("x", {"HDM_ENV": "y"}) == "x"
    assert environment(None, {"HDM_ENV": "y"}) == "y"
    assert environment(None, {}) == "dev"


def test_where_the_file_is_looked_for(tmp_path: Path) -> None:
    folder = tmp_path / ".hashmap_data_migrator"
    folder.mkdir(mode=0o700)
    path = write(folder / "hdm_profiles.yml", TEXT)
    for name in ("HDM_HOME", "HOME", "USERPROFILE"):
        assert home({name: str(tmp_path)}) == folder
        assert load_profiles(None, "dev", {name: str(tmp_path)}).path == path
    assert home({"HDM_HOME": str(folder)}) == folder
    assert home({"HDM_HOME": str(tmp_path), "HOME": "/elsewhere"}) == folder
    other = write(tmp_path / "other.yml", "dev: {x: {host: h}}")
    assert load_profiles(None, "dev", {"HOME": str(tmp_path), "HDM_PROFILES": str(other)}).names() == ["x"]
    assert load_profiles(path, "dev", {"HDM_PROFILES": str(other)}).path == path
    with pytest.raises(ProfileError, match="no home folder"):
        home({})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o601])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "p.yml", TEXT, mode)
    with pytest.raises(ProfileError, match="others can read") as caught:
        load_profiles(path, "dev", {})
    assert caught.value.hint == f"chmod 600 {path}"
    assert caught.value.exit_code == 2
    path.chmod(0o400)
    assert load_profiles(path, "dev", {}).names()


def test_only_the_default_folder_must_be_private(tmp_path: Path) -> None:
    folder = tmp_path / ".hashmap_data_migrator"
    folder.mkdir()
    folder.chmod(0o755)
    path = write(folder / "hdm_profiles.yml", TEXT)
    with pytest.raises(ProfileError, match="others can enter") as caught:
        load_profiles(None, "dev", {"HOME": str(tmp_path)})
    assert caught.value.hint == f"chmod 700 {folder}"
    assert load_profiles(path, "dev", {}).names()


def test_a_missing_file_matters_once_it_is_needed(tmp_path: Path) -> None:
    profiles = load_profiles(None, "dev", {"HOME": str(tmp_path)})
    with pytest.raises(ProfileError, match="does not exist, and the connection 'db' is needed") as caught:
        profiles.connection("db", Server)
    assert "chmod 600" in str(caught.value.hint)
    with pytest.raises(ProfileError, match="does not exist"):
        load_profiles(tmp_path / "nowhere.yml", "dev", {})


def test_references_are_followed_only_when_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = load_profiles(write(tmp_path / "p.yml", TEXT), "dev", {})
    with pytest.raises(ProfileError, match=r"dev.refs.host: .*'DB_HOST' is not set"):
        profiles.connection("refs", Server)
    monkeypatch.setenv("DB_HOST", "the-host")
    monkeypatch.setenv("DB_USER", "the-user")
    made = profiles.connection("refs", Server)
    assert (made.host, made.user) == ("the-host", "the-user")
    assert made.password is not None
    with pytest.raises(ProfileError, match=r"dev.refs.password: .*'DB_PASSWORD' is not set"):
        made.password.reveal()


def test_every_literal_secret_of_the_file_is_masked_from_the_start(tmp_path: Path) -> None:
    text = (
        "dev:\n  never_used: {nested: {password: nested-canary}, secrets: [list-canary], host: plain-host}\n"
    )
    load_profiles(write(tmp_path / "p.yml", text), "dev", {})
    assert redact("nested-canary list-canary plain-host") == "*** *** plain-host"


@pytest.mark.parametrize(
    ("text", "line", "column", "said", "hint"),
    [
        ("dve: {}\n", 1, 1, "no environment 'dev'", "did you mean 'dve'?"),
        ("dev: [db]\n", 1, 6, "must be a mapping of connections", "dev:"),
        ("dev: {dbs: {host: h}}\n", 1, 6, "no connection 'db'", "did you mean 'dbs'?"),
        ("dev: {db: text}\n", 1, 11, "must be a mapping", "db:"),
        ("dev:\n  db: {hsot: x, host: h}\n", 2, 8, "unknown key 'hsot'", "did you mean 'host'?"),
        ("dev:\n  db: {port: 1}\n", 2, 7, "key 'host' is missing", "add 'host"),
        ("dev:\n  db: {host: h, port: many}\n", 2, 23, "'port' must be a valid integer", "write a number"),
        ("dev:\n  db: {host: h, port: yes}\n", 2, 23, "'port' wants a number", "write a number"),
        ("dev:\n  db: {host: NO}\n", 2, 14, "'host' wants text", "quote"),
        ("dev:\n  db: {host: h, password: 987654}\n", 2, 27, "'password' wants text", "quote"),
        ("dev:\n  db: {host: h, password: 0987654}\n", 2, 27, "means different numbers", "quote"),
        ("dev:\n  db: {host: h, password: on}\n", 2, 27, "'password' wants text", "quote"),
        ("dev:\n  db: {host: h, tls: maybe}\n", 2, 22, "'tls' must be a valid boolean", "true"),
        ("dev: {db: {host: h, password: 'vault:987654'}}\n", 1, 31, "HashiCorp Vault", "env:NAME"),
        ("dev: {db: {host: h}, db: {host: i}}\n", 1, 22, "stands twice", "remove"),
    ],
)
def test_a_mistake_has_a_place_and_never_a_value(
    tmp_path: Path, text: str, line: int, column: int, said: str, hint: str
) -> None:
    path = write(tmp_path / "p.yml", text)
    with pytest.raises(ProfileError) as caught:
        load_profiles(path, "dev", {}).connection("db", Server)
    error = caught.value
    assert (error.line, error.column) == (line, column)
    assert said in error.message
    assert hint in str(error)
    assert error.exit_code == 2
    assert "987654" not in str(error)
    assert "many" not in str(error)


@pytest.mark.parametrize(
    ("entry", "said", "hint"),
    [
        ("{password: !hunter2222}", "is not valid YAML", "quote the value"),
        ("\n    password: !hunter2222", "this tag is not allowed", "write it in quotes"),
        ("{password: !hunter2222 x}", "this tag is not allowed", "write it in quotes"),
        ("{password: !hunter2222 [x]}", "this tag is not allowed", "write it in quotes"),
        ("\n    password: !hunter!2222", "is not valid YAML", "quote the value"),
        ("\n    password: !", "this tag is not allowed", "write it in quotes"),
        ("{password: *hunter2222}", "this alias has no anchor before it", "write it in quotes"),
        ("{user: &hunter2222 x, password: *hunter222}", "this alias has no anchor", "write it in quotes"),
        ("&hunter2222 {password: *hunter2222}", "this alias refers to what", "write the value out"),
        ("{<<: *hunter2222}", "this alias has no anchor before it", "write it in quotes"),
        ("{host: h, password:hunter2222}", "this key has no blank after", "write a blank after the colon"),
        ("{password:hunter2222, password:hunter2222}", "this key has no blank", "write a blank after"),
        ("\n    host: h\n    password:hunter2222:", "this key has no blank", "write a blank after"),
        ("{host: h, user:hunter2222}", "this key is unknown", "write a blank after the colon"),
        ("{host: h, password: x,hunter2222}", "this key is unknown", "write one of"),
        ("{host: h, password=hunter2222}", "this key is unknown", "host"),
        ("{host: h, password=hunter2222: 5}", "this key is unknown", "host"),
        ("{host: h, passwordhunter}", "this key is unknown", "did you mean 'password'"),
        ("{host: h, password: x,hunter2222,hunter2222}", "this key stands twice", "remove one"),
        ("{host: h, password: x,2222}", "this key is read as a number", "write it in quotes"),
    ],
)
def test_no_mistake_shows_what_may_be_a_secret(tmp_path: Path, entry: str, said: str, hint: str) -> None:
    path = write(tmp_path / "p.yml", f"dev:\n  db: {entry}\n")
    with pytest.raises(ProfileError) as caught:
        load_profiles(path, "dev", {}).connection("db", Server)
    assert said in caught.value.message
    assert hint in str(caught.value)
    assert "hunter" not in str(caught.value)
    assert "2222" not in str(caught.value).replace(str(path), "")


@pytest.mark.parametrize("written", ["", "#hunter2222", "&hunter2222", "~", "null"])
def test_a_password_of_nothing_is_a_mistake(tmp_path: Path, written: str) -> None:
    path = write(tmp_path / "p.yml", f"dev:\n  db:\n    host: h\n    password: {written}\n")
    with pytest.raises(ProfileError, match=r"p\.yml:4:\d+: connection: 'password' is empty") as caught:
        load_profiles(path, "dev", {}).connection("db", Server)
    assert "write '' for none" in str(caught.value.hint)
    assert "hunter" not in str(caught.value)


def test_no_password_is_left_out_or_quoted(tmp_path: Path) -> None:
    text = "dev:\n  out: {host: h, user: }\n  quoted: {host: h, password: ''}\n"
    profiles = load_profiles(write(tmp_path / "p.yml", text), "dev", {})
    assert profiles.connection("out", Server).password is None
    found = profiles.connection("quoted", Server).password
    assert found is not None
    assert found.reveal() == ""


@pytest.mark.parametrize("model", [SQLiteProfile, DuckDBProfile, FileProfile])
@pytest.mark.parametrize("entry", ['path: "/x\\0y"', 'dbpath: "/x\\0y", database: d', 'database: "x\\0y"'])
def test_no_path_holds_a_nul(tmp_path: Path, model: type[Settings], entry: str) -> None:
    path = write(tmp_path / "p.yml", f"dev:\n  db: {{{entry}}}\n")
    with pytest.raises(ProfileError, match="is wrong: holds a NUL character") as caught:
        load_profiles(path, "dev", {}).connection("db", model)
    assert (caught.value.line, "\0" in str(caught.value)) == (2, False)


def test_the_original_keys_and_nested_mappings(tmp_path: Path) -> None:
    text = "dev:\n  nz: {host: h, driver: {name: org.netezza.Driver, path: env:JAR}}\n"
    profiles = load_profiles(write(tmp_path / "p.yml", text), "dev", {})
    os.environ["JAR"] = "nzjdbc.jar"
    try:
        made = profiles.connection("nz", Server)
    finally:
        del os.environ["JAR"]
    assert made.driver == {"name": "org.netezza.Driver", "path": "nzjdbc.jar"}


def test_what_a_whole_entry_lacks(tmp_path: Path) -> None:
    profiles = load_profiles(write(tmp_path / "p.yml", "dev:\n  lake: {}\n"), "dev", {})
    with pytest.raises(ProfileError, match=r"p.yml:2:9: connection 'lake' is wrong: give path") as caught:
        profiles.connection("lake", File)
    assert caught.value.hint == "correct the keys of this mapping"


def test_variables_are_not_filled_in_profiles(tmp_path: Path) -> None:
    path = write(tmp_path / "p.yml", "dev: {db: {host: h, password: pa$HOME}}\n")
    made = load_profiles(path, "dev", {}).connection("db", Server)
    assert made.password is not None
    assert made.password.reveal() == "pa$HOME"
