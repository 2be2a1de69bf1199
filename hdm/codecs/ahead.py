"""Runs a producer in a thread of its own, a bounded number of items ahead of its consumer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


def ahead(produce: Callable[[], Iterator[T]], stop: Callable[[], None], depth: int = 1) -> Iterator[T]:
    """What ``produce()`` yields. Closing early calls ``stop`` (it must make a blocked producer
    return) and waits for the thread. An exception of the producer is raised here."""
    items: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    closing = threading.Event()

    def put(item: tuple[T | None, BaseException | None]) -> None:
        while not closing.is_set():
            try:
                items.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for one in produce():
                put((one, None))
                if closing.is_set():
                    return
            put((None, None))
        except BaseException as error:  # noqa: BLE001 -- handed to the consumer
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
            yield item
    finally:
        closing.set()
        if not finished:
            stop()
        thread.join()
