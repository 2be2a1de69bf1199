"""From a manifest's path to what a verb needs, and to nothing if anything of it is wrong."""

from __future__ import annotations

import os
import subprocess

import pytest
from sqlalchemy import URL

from hdm import locator
from hdm import project as session
from hdm.components import registry
from hdm.errors import ManifestError, UsageError
from hdm.planning import open_state
from hdm.state import SQLiteStateManager, StateManager
from tests.flows.kit import direct, load, only, shop, stage
from tests.unit.linkkit import Run


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("HDM_HOME", str(tmp_path / "home"))
    return shop(tmp_path, 3, 3)


def opened(place, site=None):
    return session.open_project(str(place.folder / "m.yml"), "dev", str(place.folder / "p.yml"), site)


def test_a_project_is_read_whole_and_creates_nothing(place):
    before = place.files()
    project = opened(place)
    assert [p.source.dataset.name for p in project.preflight()] != []
    assert len(project.links) == 3
    assert set(project.specs) == set(project.links)
    assert project.recall_state() is None
    assert place.files() == before


def test_of_another_sites_links_nothing_is_made(place):
    here, there = direct(place, "orders"), direct(place, "items")
    there["sink"]["conf"]["env"] = "warehouse"  # whose profile is on the other machine only
    only(place, {**here, "site": "onprem"}, {**there, "site": "cloud"})
    project = opened(place, "onprem")
    assert (len(project.links), len(project.specs)) == (1, 2)
    with pytest.raises(UsageError, match="warehouse"):
        opened(place)


def test_a_site_that_no_link_has_is_refused_with_those_there_are(place):
    only(place, {**direct(place, "orders"), "site": "onprem"})
    with pytest.raises(UsageError, match="has site 'cloud'") as wrong:
        opened(place, "cloud")
    assert wrong.value.hint == "sites: onprem"


def test_a_run_is_found_by_the_beginning_of_its_id(place, run: Run):
    plan = session.read_plan(str(place.folder / "m.yml"), "dev")
    info = session.run_info(plan)
    first, second = run.state.runs.open(info), run.state.runs.open(info)
    assert session.find_run(run.state, plan, None) == second
    assert session.find_run(run.state, plan, first[:12]) == first
    with pytest.raises(UsageError, match="begins with 'zzz'"):
        session.find_run(run.state, plan, "zzz")


def git(folder, *words):
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com", *words],
        check=True,
        capture_output=True,
    )


def test_the_code_is_named_by_its_commit_and_whether_it_was_changed(place, tmp_path):
    assert session._git(tmp_path) == (None, False)
    git(tmp_path, "init")
    assert session._git(tmp_path) == (None, False)
    git(tmp_path, "add", "m.yml")
    git(tmp_path, "commit", "-m", "x")
    sha, dirty = session._git(tmp_path)
    assert (len(sha), dirty) == (40, False)
    (tmp_path / "m.yml").write_text("version: 1\n")
    assert session._git(tmp_path) == (sha, True)


def test_without_git_there_is_no_commit(place, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert session._git(place.folder) == (None, False)


@pytest.mark.slow
def test_the_state_is_made_on_first_use_private_and_found_again(place):
    project = opened(place)
    with project.open_state() as state:
        assert isinstance(state, StateManager)
        assert state.lease_ttl == open_state.DEFAULT_TTL
    folder = place.home / ".hashmap_data_migrator"
    assert (folder / "state.db").stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0
    with project.recall_state() as state:
        assert state.runs.latest("m", "dev") is None


class OwnManager(StateManager):
    """What a plugin derives."""


class OwnStateManager(SQLiteStateManager):
    """A state database at a place of its own, for which no connection is named."""

    Profile = None
    Manager = OwnManager

    def url(self):
        return URL.create("sqlite", database=os.environ["OWN_STATE"])


class WrongStateManager(OwnStateManager):
    Manager = dict


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(locator, "_known", {kind: dict(names) for kind, names in locator._known.items()})
    registry.register(OwnStateManager)
    registry.register(WrongStateManager)


@pytest.mark.usefixtures("registered")
@pytest.mark.slow
def test_a_plugins_state_manager_is_the_one_that_is_opened(place, tmp_path, monkeypatch):
    monkeypatch.setenv("OWN_STATE", str(tmp_path / "own" / "state.db"))
    place.manifest["state_manager"] = {"name": "state", "type": "OwnStateManager"}
    project = opened(place.write())
    assert project.recall_state() is None
    with project.open_state() as state:
        assert type(state) is OwnManager
    with project.recall_state() as state:
        assert type(state) is OwnManager
    assert (tmp_path / "own" / "state.db").exists() and not place.home.exists()


@pytest.mark.usefixtures("registered")
def test_a_manager_that_is_none_is_refused(place, tmp_path, monkeypatch):
    monkeypatch.setenv("OWN_STATE", str(tmp_path / "state.db"))
    place.manifest["state_manager"] = {"name": "state", "type": "WrongStateManager"}
    with pytest.raises(UsageError, match="the Manager of WrongStateManager is not derived from StateManager"):
        opened(place.write()).open_state()


def test_hdms_own_state_manager_still_needs_its_connection(place):
    place.manifest["state_manager"] = {"name": "state", "type": "PostgresStateManager"}
    with pytest.raises(ManifestError, match="PostgresStateManager needs a connection"):
        opened(place.write())


@pytest.mark.parametrize(("given", "seconds"), [("3", 3.0), ("0.5", 0.5), ("", 30.0), ("86400", 86400.0)])
def test_a_lease_lasts_as_long_as_is_asked(monkeypatch, given, seconds):
    monkeypatch.setenv("HDM_LEASE_TTL", given)
    assert open_state._ttl() == seconds


@pytest.mark.parametrize("given", ["0", "-1", "soon", "nan", "86401", "inf"])
def test_a_lease_that_is_no_time_is_refused(monkeypatch, given):
    monkeypatch.setenv("HDM_LEASE_TTL", given)
    with pytest.raises(UsageError, match="HDM_LEASE_TTL"):
        open_state._ttl()


def test_an_old_state_is_a_file_or_a_profile_entry(place):
    project = opened(place)
    assert open_state.old_state_url(project.plan, str(place.source), project.profiles) == (
        f"sqlite:///{place.source}"
    )
    assert "target.db" in str(open_state.old_state_url(project.plan, "dst", project.profiles))
    with pytest.raises(UsageError, match="neither a file nor a connection 'none'"):
        open_state.old_state_url(project.plan, "none", project.profiles)


def test_a_link_below_a_table_is_refused(place):
    """It would be told of no chunk, and say that all is done."""
    first, second = direct(place, "orders"), direct(place, "items")
    second["source"]["name"] = first["sink"]["name"]
    only(place, first, second)
    with pytest.raises(ManifestError, match=r"m.yml:\d+:\d+: .* a sink \(SQLiteSink\) that stages no files"):
        opened(place)


@pytest.mark.parametrize("where", ["beside", "above"])
def test_a_source_that_looks_elsewhere_than_its_sink_stages_is_refused(place, where):
    """Each of its chunks would end dead. A folder above the sink's will do."""
    above, below = stage("orders", place), load(place)
    folder = place.stage.parent / "other" if where == "beside" else place.stage.parent
    below["source"]["conf"]["directory"] = str(folder)
    only(place, above, below)
    if where == "above":
        assert len(opened(place).links) == 2
        return
    with pytest.raises(ManifestError, match=r"m.yml:\d+:\d+: .* looks for its files in another place"):
        opened(place)


def test_a_table_below_files_is_refused(place):
    """It would be read whole for each of them."""
    first, second = stage("orders", place), direct(place, "items")
    second["source"]["name"] = first["sink"]["name"]
    only(place, {**first, "site": "onprem"}, {**second, "site": "cloud"})
    for site in (None, "cloud"):
        with pytest.raises(ManifestError, match=r"m.yml:\d+:\d+: .* SQLiteSource reads no staged files"):
            opened(place, site)
