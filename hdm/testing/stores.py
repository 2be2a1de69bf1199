"""StoreConformance: what every store of staged files promises, as checks that can fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest

from hdm.errors import UsageError
from hdm.files.stores.base import Store
from hdm.testing import leaks

ESCAPES = ("../x", "a/../../x", "/x", "a//b", "a/./b", "", "a\\..\\x", "nul\x00")
"""Keys that lead out of the root, or mean another object on some system."""
HOSTILE = ("a/plain.csv", "ä ö/ü%41.csv", "日本/😀+&=?#.csv", "quote'\".csv")
"""Keys that need care in an address."""


def content(store: Store, key: str) -> bytes:
    """The object's bytes."""
    with store.open(key) as stream:
        return stream.read()


def keys(store: Store, prefix: str = "") -> list[str]:
    """What ``list`` gives."""
    return [stat.key for stat in store.list(prefix)]


def put_file(store: Store, key: str, data: bytes) -> None:
    """As a sink does it: through the scratch file."""
    scratch = store.scratch(key)
    scratch.write_bytes(data)
    store.put_new(key, scratch)


def check_bytes_come_back(store: Store) -> None:
    """What was put is read again, from bytes and from a scratch file, which is then gone."""
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
    """A scratch file is neither listed nor found as an object."""
    store.scratch("a/b.csv").write_bytes(b"half")
    assert keys(store) == []
    assert store.stat("a/b.csv") is None
    with pytest.raises(FileNotFoundError):
        store.open("a/b.csv")


def check_names_are_taken_once(store: Store) -> None:
    """A second ``put_new`` raises ``FileExistsError`` and changes nothing."""
    store.put_new("a/b", b"first")
    with pytest.raises(FileExistsError):
        store.put_new("a/b", b"second")
    scratch = store.scratch("a/b")
    scratch.write_bytes(b"third")
    with pytest.raises(FileExistsError):
        store.put_new("a/b", scratch)
    assert content(store, "a/b") == b"first"


def check_one_of_many_wins(store: Store) -> None:
    """Of eight threads that put one name at once, one succeeds, and its bytes are there."""
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
    """Every object under a prefix, by key, with its size, and no other."""
    names = ["a/1", "a/10", "a/2", "ab/1", "b", "c/d/e/f"]
    for name in reversed(names):
        store.put_new(name, name.encode())
    assert keys(store) == sorted(names)
    assert [(s.key, s.size) for s in store.list("a/")] == [("a/1", 3), ("a/10", 4), ("a/2", 3)]
    assert keys(store, "a/1") == ["a/1", "a/10"]
    assert keys(store, "a") == ["a/1", "a/10", "a/2", "ab/1"]
    assert keys(store, "nothing") == []


def check_stat_tells_the_truth(store: Store) -> None:
    """Size and time of what is there; None for what is not; a folder is no object."""
    store.put_new("a/b", b"12345")
    found = store.stat("a/b")
    assert found is not None
    assert (found.key, found.size) == ("a/b", 5)
    assert found.modified > 1_500_000_000
    assert store.stat("a/c") is None
    assert store.stat("a") is None


def check_missing_is_said_so(store: Store) -> None:
    """Opening what is not there raises ``FileNotFoundError``."""
    with pytest.raises(FileNotFoundError):
        store.open("not/there").read()


def check_delete_removes_one(store: Store) -> None:
    """True and gone; False the second time; its neighbours stay, and the name is free again."""
    store.put_new("a/1", b"x")
    store.put_new("a/10", b"y")
    assert store.delete("a/1") is True
    assert store.delete("a/1") is False
    assert keys(store) == ["a/10"]
    store.put_new("a/1", b"again")
    assert content(store, "a/1") == b"again"


def check_escapes_are_refused(store: Store) -> None:
    """A key that leads out of the root is a ``UsageError``, whatever is asked of it."""
    for key in ESCAPES:
        for ask in (store.open, store.stat, store.delete, store.scratch, store.uri):
            with pytest.raises(UsageError):
                ask(key)
        with pytest.raises(UsageError):
            store.put_new(key, b"x")


def check_addresses_lead_back(store: Store) -> None:
    """``key(uri(key))`` is the key, whatever characters it has; addresses elsewhere are refused."""
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
    """What was begun under a prefix is given up and counted; finished objects and others stay."""
    for key in ("a/1", "a/2", "b/1"):
        store.scratch(key).write_bytes(b"half")
    store.put_new("a/done", b"whole")
    assert store.abort_uploads("a/") == 2
    assert store.abort_uploads("a/") == 0
    assert not store.scratch("a/1").exists()
    assert store.scratch("b/1").exists()
    assert keys(store) == ["a/done"]


def check_nothing_stays_open(store: Store) -> None:
    """After use, refused puts included, no file, socket or thread is left."""
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
    """Inherit, and give ``subject``: the store, its root empty."""

    gaps: ClassVar[Mapping[str, str]] = {}
    """Checks, without ``check_``, that the store cannot pass: name -> reason."""

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
    def test_promise(self, subject: Store, check: Callable[[Store], None]) -> None:
        """One promise; see the function of that name in ``hdm.testing.stores``."""
        leaks.judge(check.__name__[6:], self.gaps, lambda: check(subject))
