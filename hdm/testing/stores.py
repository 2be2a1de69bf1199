"""Tests that every store of staged files must pass."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest

from hdm.errors import UsageError
from hdm.files.stores.base import Store
from hdm.testing import leaks

ESCAPES = ("../x", "a/../../x", "/x", "a//b", "a/./b", "", "a\\..\\x", "nul\x00")
"""Keys that name an object outside the root, or another object on some system."""
HOSTILE = ("a/plain.csv", "ä ö/ü%41.csv", "日本/😀+&=?#.csv", "quote'\".csv")
"""Keys that have to be escaped in a URI."""


def content(store: Store, key: str) -> bytes:
    """Return the bytes of an object in the store."""
    with store.open(key) as stream:
        return stream.read()


def keys(store: Store, prefix: str = "") -> list[str]:
    """Return the keys that the store lists under a prefix."""
    return [stat.key for stat in store.list(prefix)]


def put_file(store: Store, key: str, data: bytes) -> None:
    """Put an object into the store as a sink does, through a scratch file."""
    scratch = store.scratch(key)
    scratch.write_bytes(data)
    store.put_new(key, scratch)


def check_bytes_come_back(store: Store) -> None:
    """Check that objects from bytes or from a scratch file are read back; the scratch file is gone."""
    large = bytes(range(256)) * 30_000
    made = store.put_new("a/bytes.bin", b"\x00\xffdata")
    scratch = store.scratch("a/file.bin")
    scratch.write_bytes(large)
    store.put_new("a/file.bin", scratch)
    assert (made.key, made.size) == ("a/bytes.bin", 6)
    assert content(store, "a/bytes.bin") == b"\x00\xffdata"
    assert content(store, "a/file.bin") == large
    assert not scratch.exists()


def check_nothing_shows_before_put(store: Store) -> None:
    """Check that a scratch file is neither listed nor found as an object."""
    store.scratch("a/b.csv").write_bytes(b"half")
    assert keys(store) == []
    assert store.stat("a/b.csv") is None
    with pytest.raises(FileNotFoundError):
        store.open("a/b.csv")


def check_names_are_taken_once(store: Store) -> None:
    """Check that a second ``put_new`` raises ``FileExistsError`` and changes nothing."""
    store.put_new("a/b", b"first")
    with pytest.raises(FileExistsError):
        store.put_new("a/b", b"second")
    scratch = store.scratch("a/b")
    scratch.write_bytes(b"third")
    with pytest.raises(FileExistsError):
        store.put_new("a/b", scratch)
    assert content(store, "a/b") == b"first"


def check_one_of_many_wins(store: Store) -> None:
    """Check that of eight threads that put one key at once, one succeeds, and its bytes are stored."""
    start, won, broken = threading.Barrier(8), list[int](), list[Exception]()

    def race(number: int) -> None:
        start.wait()
        try:
            store.put_new("race", b"%d" % number * 1000)
            won.append(number)
        except FileExistsError:
            return
        except Exception as error:  # noqa: BLE001 -- judged below, not in the thread
            broken.append(error)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), broken) == (1, [])
    assert content(store, "race") == b"%d" % won[0] * 1000


def check_list_is_complete(store: Store) -> None:
    """Check that ``list`` gives exactly the objects under a prefix, sorted by key, with their sizes."""
    names = ["a/1", "a/10", "a/2", "ab/1", "b", "c/d/e/f"]
    for name in reversed(names):
        store.put_new(name, name.encode())
    assert keys(store) == sorted(names)
    assert [(s.key, s.size) for s in store.list("a/")] == [("a/1", 3), ("a/10", 4), ("a/2", 3)]
    assert keys(store, "a/1") == ["a/1", "a/10"]
    assert keys(store, "a") == ["a/1", "a/10", "a/2", "ab/1"]
    assert keys(store, "nothing") == []


def check_stat_tells_the_truth(store: Store) -> None:
    """Check that ``stat`` gives an object's size and time, and None for a missing key or a folder."""
    store.put_new("a/b", b"12345")
    found = store.stat("a/b")
    assert found is not None
    assert (found.key, found.size) == ("a/b", 5)
    assert found.modified > 1_500_000_000
    assert store.stat("a/c") is None
    assert store.stat("a") is None


def check_missing_is_said_so(store: Store) -> None:
    """Check that opening a missing object raises ``FileNotFoundError``."""
    with pytest.raises(FileNotFoundError):
        store.open("not/there").read()


def check_delete_removes_one(store: Store) -> None:
    """Check that ``delete`` removes one object, returns False the second time, and frees the key."""
    store.put_new("a/1", b"x")
    store.put_new("a/10", b"y")
    assert store.delete("a/1") is True
    assert store.delete("a/1") is False
    assert keys(store) == ["a/10"]
    store.put_new("a/1", b"again")
    assert content(store, "a/1") == b"again"


def check_escapes_are_refused(store: Store) -> None:
    """Check that every method raises ``UsageError`` for a key outside the root."""
    for key in ESCAPES:
        for ask in (store.open, store.stat, store.delete, store.scratch, store.uri):
            with pytest.raises(UsageError):
                ask(key)
        with pytest.raises(UsageError):
            store.put_new(key, b"x")


def check_addresses_lead_back(store: Store) -> None:
    """Check that ``key(uri(key))`` gives the key again for all characters, and refuses other URIs."""
    for key in HOSTILE:
        put_file(store, key, key.encode())
        assert store.key(store.uri(key)) == key
        assert content(store, key) == key.encode()
    assert keys(store) == sorted(HOSTILE)
    inside = store.uri("x")
    for elsewhere in ("ftp://host/x", inside[:-2] + "-more/x", inside[:-1] + "../x"):
        with pytest.raises(UsageError):
            store.key(elsewhere)


def check_uploads_are_aborted(store: Store) -> None:
    """Check that ``abort_uploads`` removes and counts only the unfinished uploads under a prefix."""
    for key in ("a/1", "a/2", "b/1"):
        store.scratch(key).write_bytes(b"half")
    store.put_new("a/done", b"whole")
    assert store.abort_uploads("a/") == 2
    assert store.abort_uploads("a/") == 0
    assert not store.scratch("a/1").exists()
    assert store.scratch("b/1").exists()
    assert keys(store) == ["a/done"]


def check_nothing_stays_open(store: Store) -> None:
    """Check that no file, socket or thread stays open after use, even after a refused put."""
    names = iter(range(1000))

    def work() -> None:
        name = f"a/{next(names)}"
        put_file(store, name, b"x")
        with pytest.raises(FileExistsError):
            store.put_new(name, b"y")
        assert content(store, name) == b"x"
        assert store.stat(name)
        assert keys(store, name)
        store.delete(name)

    work()
    with leaks.nothing_stays_open(work):
        work()


CHECKS: tuple[Callable[[Store], None], ...] = tuple(
    function for name, function in list(globals().items()) if name.startswith("check_")
)


class StoreConformance:
    """Tests a store: inherit it and define the fixture ``subject``, a store with an empty root."""

    gaps: ClassVar[Mapping[str, str]] = {}
    """Checks that the store cannot pass: name without ``check_`` -> reason."""

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
    def test_promise(self, subject: Store, check: Callable[[Store], None]) -> None:
        """Run one check function; see the function of that name in ``hdm.testing.stores``."""
        leaks.judge(check.__name__[6:], self.gaps, lambda: check(subject))
