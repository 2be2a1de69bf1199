"""Runs a producer in a thread of its own, at most some items ahead of its consumer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")
HEAVY = 8 * 1024 * 1024
"""Weight in bytes above which an item makes the producer wait for its consumer."""


def ahead(
    produce: Callable[[], Iterator[T]],
    stop: Callable[[], None],
    depth: int = 1,
    weigh: Callable[[T], int] = lambda one: 0,
) -> Iterator[T]:
    """Yield the items that ``produce()`` yields, from a thread that runs at most ``depth`` items ahead.

    Closing the generator early calls ``stop``, which must make a blocked producer return, and waits for the
    thread. An exception of the producer is raised here. ``weigh`` returns an item's weight. After an item
    that weighs more than ``HEAVY`` the producer waits until the consumer asks for the next one, so that only
    one such item is in memory.
    """
    items: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    closing, asked = threading.Event(), threading.Event()

    def put(item: tuple[T | None, BaseException | None]) -> None:
        while not closing.is_set():
            try:
                items.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def pause() -> None:
        while not closing.is_set() and not asked.wait(0.1):
            continue

    def work() -> None:
        try:
            for one in produce():
                heavy = weigh(one) > HEAVY
                if heavy:
                    asked.clear()
                put((one, None))
                del one
                if heavy:
                    pause()
                if closing.is_set():
                    return
            put((None, None))
        except BaseException as error:  # noqa: BLE001 -- raised again in the consumer
            put((None, error))

    thread = threading.Thread(target=work, name="hdm-ahead", daemon=True)
    thread.start()
    finished = False
    try:
        while True:
            item, error = items.get()
            if error is not None:
                finished = True
                raise error
            if item is None:
                finished = True
                return
            box = [item]
            del item
            yield box.pop()  # only the consumer refers to the item now, and can free it
            asked.set()
    finally:
        closing.set()
        if not finished:
            stop()
        thread.join()
