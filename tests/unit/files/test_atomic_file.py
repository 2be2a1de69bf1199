"""A file that is new, whole and durable, or not there at all."""

import errno
import hashlib
import os
import resource
import sqlite3  # noqa: F401 -- while a folder is locked, so may be what is imported late
from types import SimpleNamespace

import duckdb  # noqa: F401
import pytest

from hdm.connectors.duckdb import DuckDBDatabase, DuckDBProfile
from hdm.connectors.local import FSChunkSource, FSSink, FSSource
from hdm.connectors.sqlite import SQLiteDatabase, SQLiteProfile
from hdm.errors import TransientError, UsageError
from hdm.files.atomic_file import SCRATCH, NewFile, create, disk_error, has_room
from hdm.model import Mode
from hdm.planning.open_state import old_state_url, recall_state
from tests.unit.linkkit import TABLE


def test_a_sealed_file_is_what_was_written_and_says_so(tmp_path):
    content = os.urandom(100_000)
    with NewFile(tmp_path / "a") as file:
        for start in range(0, len(content), 7_000):
            assert file.write(memoryview(content)[start : start + 7_000]) > 0
        assert file.tell() == file.size == 100_000
        file.seal()
    assert (tmp_path / "a").read_bytes() == content
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_an_existing_file_or_link_is_never_opened(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").symlink_to(tmp_path / "elsewhere")
    for name in ("a", "b"):
        with pytest.raises(FileExistsError):
            NewFile(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert not (tmp_path / "elsewhere").exists()


def test_a_disk_that_kept_less_than_was_written_is_found(tmp_path):
    with NewFile(tmp_path / "a") as file:
        file.write(b"0123456789")
        os.truncate(tmp_path / "a", 4)
        with pytest.raises(OSError, match="4 of 10 bytes"):
            file.seal()


def test_a_system_that_writes_nothing_is_no_endless_loop(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", lambda fd, data: 0)
    with NewFile(tmp_path / "a") as file, pytest.raises(OSError, match="wrote nothing"):
        file.write(b"x")


def test_closing_twice_is_once(tmp_path):
    file = NewFile(tmp_path / "a")
    file.close()
    file.close()
    assert file.closed


def test_a_full_disk_is_worth_another_try(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with NewFile(tmp_path / "a") as file, pytest.raises(OSError) as caught:
            file.write(b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    error = disk_error(caught.value, "a file")
    assert isinstance(error, TransientError)
    assert "no room" in error.message


def test_the_floor_is_kept(tmp_path):
    with pytest.raises(OSError, match="floor"):
        NewFile(tmp_path / "a", floor=2**62)
    assert list(tmp_path.iterdir()) == []


def test_the_floor_is_asked_again_while_a_file_grows(tmp_path, monkeypatch):
    monkeypatch.setattr(NewFile, "_PROBE", 10)
    asked = []
    real = os.statvfs
    monkeypatch.setattr(os, "statvfs", lambda path: asked.append(path) or real(path))
    with NewFile(tmp_path / "a", floor=1) as file:
        for _ in range(4):
            file.write(b"x" * 11)
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.ENOSPC, TransientError, "no room"),
        (errno.EDQUOT, TransientError, "no room"),
        (errno.EACCES, UsageError, "cannot write"),
        (errno.EROFS, UsageError, "cannot write"),
        (errno.EIO, TransientError, "cannot write"),
    ],
)
def test_a_disks_trouble_is_the_users_or_passes(number, kind, said):
    error = disk_error(OSError(number, os.strerror(number)), "the file")
    assert type(error) is kind
    assert said in error.message
    assert "the file" in error.message


@pytest.mark.parametrize("nameless", [True, False])
def test_create_makes_it_whole_once(tmp_path, monkeypatch, nameless):
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE")
    create(tmp_path / "a", b"first")
    with pytest.raises(FileExistsError):
        create(tmp_path / "a", b"second")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"first"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert SCRATCH.startswith(".")


@pytest.fixture
def locked(tmp_path):
    """A folder that the user who runs the test may not search while it runs."""
    folder, user = tmp_path / "locked", os.geteuid()
    folder.mkdir(mode=0)
    if not user:
        os.setresuid(65534, 65534, user)
    yield folder
    os.setresuid(user, user, user)
    folder.chmod(0o700)


def test_below_a_locked_folder_there_is_no_room(locked):
    assert not has_room(locked / "a")
    assert not has_room(locked / "a" / "b")


@pytest.mark.parametrize(
    "look",
    [
        lambda at: list(FSSource(FSSource.Config(directory=at)).tables()),
        lambda at: list(FSChunkSource(FSChunkSource.Config(directory=at, chunk=1)).tables()),
        lambda at: FSSink(FSSink.Config(directory=at)).accepts(TABLE, Mode.APPEND),
        lambda at: SQLiteProfile(dbpath=at, database="a").file,
        lambda at: DuckDBProfile(dbpath=at, database="a").file,
        lambda at: SQLiteDatabase(SQLiteProfile(path=at)).is_there(),
        lambda at: DuckDBDatabase(DuckDBProfile(path=at)).is_there(),
        lambda at: SQLiteDatabase(SQLiteProfile(path=at)).can_be_made(),
        lambda at: DuckDBDatabase(DuckDBProfile(path=at)).can_be_made(),
        lambda at: SQLiteDatabase(SQLiteProfile(path=at)).connect(),
        lambda at: DuckDBDatabase(DuckDBProfile(path=at)).connect(),
        lambda at: SQLiteDatabase(SQLiteProfile(path=at)).connect(write=True),
        lambda at: DuckDBDatabase(DuckDBProfile(path=at)).connect(write=True),
        lambda at: old_state_url(None, at, None),
        lambda at: recall_state(SimpleNamespace(state=None), None),
    ],
)
def test_what_lies_below_a_locked_folder_is_the_users_to_open(locked, look, monkeypatch):
    monkeypatch.setenv("HDM_HOME", str(locked / "a"))
    with pytest.raises(UsageError) as caught:
        look(str(locked / "a"))
    assert str(locked / "a") in caught.value.message
    assert caught.value.hint
