"""CPU seconds that a test costs, its own processes included, and how fast this machine is just now."""

from __future__ import annotations

import mmap
import os
import time

_elsewhere = 0.0


def add(seconds: float) -> None:
    """Count what a process took that this one cannot see by itself (a zygote's children)."""
    global _elsewhere  # noqa: PLW0603
    _elsewhere += seconds


def spent() -> float:
    """CPU seconds of this process, of its ended children, and of those that were added."""
    now = os.times()
    return now.user + now.system + now.children_user + now.children_system + _elsewhere


def yardstick() -> float:
    """CPU seconds of a fixed piece of work, about ten milliseconds: other load on the cores, their clock and
    their model change it as they change the tests. Half of it computes, half takes new memory from the
    system, which a virtual machine may be slow to give."""
    began = time.process_time()
    total, words = 0, {}
    for n in range(40_000):
        total += n * n % 7
        words[n % 997] = str(total)
    with mmap.mmap(-1, 8 << 20) as memory:
        for page in range(0, 8 << 20, mmap.PAGESIZE):
            memory[page] = 1
    return time.process_time() - began
