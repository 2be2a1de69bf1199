"""Checks for files left open, secrets shown and errors untranslated, for all test classes."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hdm.errors import HdmError

_TO_END = 3.0


def descriptors() -> dict[str, str]:
    """Return this process's open file descriptors: number -> file or socket."""
    folder = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")
    found = {}
    for name in os.listdir(folder):
        try:
            found[name] = str((folder / name).readlink())
        except OSError:  # the descriptor of this very listing
            continue
    return found


def held() -> tuple[int, int]:
    """Return how many file descriptors and threads are in use."""
    gc.collect()
    return len(descriptors()), threading.active_count()


@contextmanager
def nothing_stays_open(once: Callable[[], None]) -> Iterator[None]:
    """Check that the ``with`` block closes every file, socket and thread that it opens.

    Runs ``once`` before counting, so that resources made once per process do not matter. What is in use is
    given 3 seconds to end: Arrow reads ahead in threads of its own, which end their reading after the file
    was closed.
    """
    once()
    before, open_before = held(), descriptors()
    yield
    after, latest = held(), time.monotonic() + _TO_END
    while after != before and time.monotonic() < latest:
        time.sleep(0.1)
        after = held()
    new = [name for number, name in descriptors().items() if open_before.get(number) != name]
    assert after == before, f"files, sockets or threads stay open (after, before): {', '.join(new)}"


def no_secret_shows(component: Any, secret: str | None) -> None:
    """Check that neither the component nor its attributes contain the secret when printed."""
    if secret:
        shown = f"{component!r} {component} {component.config!r} {component.profile!r} {vars(component)!r}"
        assert secret not in shown


def misspelt_key_is_refused(component: Any) -> None:
    """Check that an unknown key in the configuration is an error."""
    body = {**component.config.model_dump(by_alias=True), "no_such_key": 1}
    with pytest.raises(ValidationError):
        type(component.config).model_validate(body)


def classified(action: Callable[[], Any], secret: str | None) -> None:
    """Check that ``action`` raises an ``HdmError`` with a message, without the secret."""
    with pytest.raises(HdmError) as caught:
        action()
    assert caught.value.message.strip()
    shown = f"{caught.value} {caught.value.__cause__!r}"
    assert not secret or secret not in shown, "the error shows the secret"


def judge(name: str, gaps: Mapping[str, str], check: Callable[[], None]) -> None:
    """Run a check function, which must pass; if ``gaps`` lists its name, it must fail."""
    if name not in gaps:
        check()
        return
    assert gaps[name].strip(), f"the gap {name} needs a reason"
    with pytest.raises((AssertionError, HdmError, pytest.fail.Exception)):
        check()
