import os
import stat
import threading

import pytest

from hdm.errors import UsageError
from hdm.files.atomic_file import NewFile
from hdm.files.stores.base import LocalStore


def read(store, key):
    with store.open(key) as stream:
        return stream.read()


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "deep" / "root")


@pytest.mark.parametrize(
    "key", ["../x", "a/../../x", "/etc/passwd", "a//b", "", ".", "a/.", "a\x00b", "a\\b"]
)
def test_keys_stay_below_the_root(store, key):
    for act in (store.open, store.stat, store.delete, store.uri, lambda k: store.put_new(k, b"x")):
        with pytest.raises(UsageError):
            act(key)


def test_links_are_refused(store, tmp_path):
    store.put_new("real/a", b"1")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "b").write_bytes(b"secret")
    (store.root / "linked").symlink_to(tmp_path / "outside")
    (store.root / "real" / "b").symlink_to(tmp_path / "outside" / "b")
    for key in ("linked/b", "real/b"):
        for act in (store.open, store.delete, lambda k: store.put_new(k, b"x"), store.scratch):
            with pytest.raises(UsageError, match="link"):
                act(key)
    assert [s.key for s in store.list()] == ["real/a"]
    assert (tmp_path / "outside" / "b").read_bytes() == b"secret"


def test_uris_come_back_as_keys_and_foreign_ones_do_not(store):
    for key in ("a/b c.parquet", "ü%20/x#y?z"):
        assert store.key(store.uri(key)) == key
    for uri in ("file:///etc/passwd", "s3://bucket/a", store.uri("a") + "/../../x", "a"):
        with pytest.raises(UsageError):
            store.key(uri)


def test_one_of_many_creators_wins(store):
    won, lost = [], []
    gate = threading.Barrier(8)

    def create(number):
        gate.wait()
        try:
            store.put_new("a/one", b"%d" % number)
            won.append(number)
        except FileExistsError:
            lost.append(number)

    threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)
    assert read(store, "a/one") == b"%d" % won[0]
    assert os.listdir(store.root / "a") == ["one"]


def test_without_nameless_files_nothing_is_left_either(store, monkeypatch):
    monkeypatch.delattr(os, "O_TMPFILE")
    store.put_new("a/one", b"1")
    with pytest.raises(FileExistsError):
        store.put_new("a/one", b"2")
    assert os.listdir(store.root / "a") == ["one"]
    assert read(store, "a/one") == b"1"


def test_a_scratch_file_becomes_the_object_once(store):
    for content, wins in ((b"first", True), (b"second", False)):
        scratch = store.scratch("t/a.parquet")
        with NewFile(scratch) as file:
            file.write(content)
            file.seal()
        assert store.stat("t/a.parquet") is None or not wins
        if wins:
            assert store.put_new("t/a.parquet", scratch).size == 5
        else:
            with pytest.raises(FileExistsError):
                store.put_new("t/a.parquet", scratch)
    assert read(store, "t/a.parquet") == b"first"
    assert [s.key for s in store.list("t/")] == ["t/a.parquet"]
    assert [s.key for s in store.list("t/", scratch=True)] == ["t/a.parquet", "t/a.parquet.tmp"]


def test_listing_is_by_prefix_and_order(store):
    for key in ("t/b.2", "t/b.1", "t/b.10", "t/b/c", "u/b.1", "ta"):
        store.put_new(key, b"x")
    assert [s.key for s in store.list("t/b.1")] == ["t/b.1", "t/b.10"]
    assert [s.key for s in store.list("t/")] == ["t/b.1", "t/b.10", "t/b.2", "t/b/c"]
    assert [s.key for s in store.list("t")] == ["t/b.1", "t/b.10", "t/b.2", "t/b/c", "ta"]
    assert list(store.list("none/")) == []
    assert store.delete("t/b.1")
    assert not store.delete("t/b.1")


def test_everything_is_private(store):
    old = os.umask(0)
    try:
        store.put_new("a/b/c", b"x")
        with NewFile(store.scratch("a/b/d")) as file:
            file.seal()
        modes = {p: stat.S_IMODE(p.lstat().st_mode) for p in [store.root, *store.root.rglob("*")]}
    finally:
        os.umask(old)
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_file_and_folder_are_synced_in_order(store, monkeypatch):
    calls = []
    for name in ("fsync", "link"):
        real = getattr(os, name)

        def spy(*args, _real=real, _name=name, **kwargs):
            folder = _name == "fsync" and stat.S_ISDIR(os.fstat(args[0]).st_mode)
            calls.append("folder" if folder else _name)
            return _real(*args, **kwargs)

        monkeypatch.setattr(os, name, spy)
    scratch = store.scratch("a")
    calls.clear()
    with NewFile(scratch) as file:
        file.write(b"x")
        file.seal()
    store.put_new("a", scratch)
    assert calls == ["fsync", "link", "folder"]
    calls.clear()
    store.put_new("b", b"x")
    assert calls == ["fsync", "link", "folder"]


def test_short_writes_are_finished(store, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
    with NewFile(store.scratch("a")) as file:
        assert file.write(b"0123456789") == 10
        file.seal()
    store.put_new("b", b"0123456789")
    assert file.path.read_bytes() == b"0123456789"
    assert read(store, "b") == b"0123456789"
    assert file.size == 10


def test_only_plain_files(store):
    store.put_new("a/b", b"x")
    os.mkfifo(store.root / "pipe")
    assert store.stat("a") is None
    assert store.stat("pipe") is None
    assert [s.key for s in store.list()] == ["a/b"]
    for key in ("a", "pipe"):
        with pytest.raises(UsageError, match="plain"):
            store.open(key)
