"""Defines failpoints: places in the code where a test can make hdm crash or fail.

``HDM_FAILPOINT="L6:2:kill"`` acts on the second passing of point L6 in this process;
several are separated by commas. Actions: ``kill`` (SIGKILL), ``term``, ``stop`` (SIGSTOP),
``exit`` (os._exit), ``raise:<class of hdm.errors>``, ``sleep:<seconds>``, ``enospc``, ``reset``.
``HDM_FAILPOINT_LOG`` names a file that gets one line per action, written before the action, so that
a test can assert that its kills took place. ``HDM_FAILPOINT_TRACE`` names a file that gets the name
of every point passed, so that a test can count how often each point is passed.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
import time

_lock = threading.Lock()
_passes: dict[str, int] = {}


def _parse(spec: str) -> dict[str, list[tuple[int, str]]]:
    points: dict[str, list[tuple[int, str]]] = {}
    for part in filter(None, spec.split(",")):
        name, nth, action = part.split(":", 2)
        points.setdefault(name, []).append((int(nth), action))
    return points


_points: dict[str, list[tuple[int, str]]] = {}
_trace: str | None = None


def arm() -> None:
    """Read the variables ``HDM_FAILPOINT`` and ``HDM_FAILPOINT_TRACE``, and set every count of passings to 0.

    Called when the module is imported. A forked child has its parent's failpoints and counts until it calls
    this itself.
    """
    global _points, _trace  # noqa: PLW0603 -- one switch per process
    _points = _parse(os.environ.get("HDM_FAILPOINT", ""))
    _trace = os.environ.get("HDM_FAILPOINT_TRACE")
    _passes.clear()


def point(name: str) -> None:
    """Mark a step of the chunk protocol; act here if ``HDM_FAILPOINT`` names this point and this passing.

    With ``HDM_FAILPOINT_TRACE``, also append the point's name to that file. Without these variables, do
    nothing.
    """
    if _trace is not None:
        _append(_trace, name)
    if _points and name in _points:
        _pass(name)


def _pass(name: str) -> None:
    with _lock:
        _passes[name] = count = _passes.get(name, 0) + 1
    for nth, action in _points[name]:
        if nth == count:
            _note(f"{name}:{nth}:{action}")
            _act(name, action)


def _note(line: str) -> None:
    path = os.environ.get("HDM_FAILPOINT_LOG")
    if path:
        _append(path, f"{os.getpid()} {line}")


def _append(path: str, line: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, f"{line}\n".encode())
    os.close(handle)


def _act(name: str, action: str) -> None:
    verb, _, argument = action.partition(":")
    if verb in ("kill", "term", "stop"):
        number = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "stop": signal.SIGSTOP}[verb]
        os.kill(os.getpid(), number)
    elif verb == "exit":
        os._exit(9)
    elif verb == "sleep":
        time.sleep(float(argument))
    elif verb == "enospc":
        raise OSError(errno.ENOSPC, "No space left on device", name)
    elif verb == "reset":
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    elif verb == "raise":
        from hdm import errors

        raise getattr(errors, argument)(f"failpoint {name}")
    else:
        raise ValueError(f"HDM_FAILPOINT: unknown action {action!r} at {name}")


arm()
