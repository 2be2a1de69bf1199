"""A producer in a thread: in order, bounded, stopped when nobody listens."""

import threading

import pytest

from hdm.arrow.prefetch import ahead


def test_order_and_end():
    assert list(ahead(lambda: iter(range(100)), lambda: None)) == list(range(100))


def test_errors_arrive_after_the_items():
    def broken():
        yield 1
        raise KeyError("x")

    items = ahead(broken, lambda: None)
    assert next(items) == 1
    with pytest.raises(KeyError):
        next(items)


def test_never_further_ahead_than_its_depth():
    made = []

    def produce():
        for n in range(50):
            made.append(n)
            yield n

    items = ahead(produce, lambda: None, depth=2)
    for n in items:
        assert len(made) <= n + 5


def test_closing_stops_a_blocked_producer():
    blocked = threading.Event()

    def produce():
        yield 1
        blocked.wait(30)
        yield 2

    before = threading.active_count()
    items = ahead(produce, blocked.set)
    next(items)
    items.close()
    assert blocked.is_set()
    assert threading.active_count() == before
