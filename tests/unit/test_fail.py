"""Failpoints: nothing unless armed, and then exactly the passing that was named."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest

from hdm import _fail
from hdm.errors import ConnectionLost


@pytest.fixture
def arm(monkeypatch):
    def armed(spec: str, **more: str) -> None:
        monkeypatch.setenv("HDM_FAILPOINT", spec)
        for name, value in more.items():
            monkeypatch.setenv(f"HDM_FAILPOINT_{name}", value)
        _fail.arm()

    yield armed
    monkeypatch.undo()
    _fail.arm()


def test_without_the_environment_nothing_happens(arm):
    arm("")
    _fail.point("L6")


def test_only_the_named_passing_of_the_named_point_acts(arm):
    arm("L6:2:raise:ConnectionLost,C3:1:reset,C4:1:enospc")
    _fail.point("L6")
    _fail.point("L7")
    with pytest.raises(ConnectionLost, match="failpoint L6"):
        _fail.point("L6")
    _fail.point("L6")
    with pytest.raises(ConnectionResetError):
        _fail.point("C3")
    with pytest.raises(OSError, match="No space") as full:
        _fail.point("C4")
    assert full.value.errno == errno.ENOSPC


def test_arming_again_counts_anew(arm):
    arm("A:1:reset")
    with pytest.raises(ConnectionResetError):
        _fail.point("A")
    arm("A:1:reset")
    with pytest.raises(ConnectionResetError):
        _fail.point("A")


def test_a_word_that_is_no_action_is_said(arm):
    arm("A:1:explode")
    with pytest.raises(ValueError, match="unknown action 'explode' at A"):
        _fail.point("A")


def test_what_was_passed_and_done_is_written_down_first(arm, tmp_path):
    log, trace = tmp_path / "log", tmp_path / "trace"
    arm("B:2:reset", LOG=str(log), TRACE=str(trace))
    _fail.point("A")
    _fail.point("B")
    with pytest.raises(ConnectionResetError):
        _fail.point("B")
    assert trace.read_text().split() == ["A", "B", "B"]
    assert log.read_text() == f"{os.getpid()} B:2:reset\n"


@pytest.mark.parametrize(
    ("action", "code"), [("kill", -signal.SIGKILL), ("term", -signal.SIGTERM), ("exit", 9)]
)
def test_a_process_ends_where_it_is_told_to(action, code):
    done = subprocess.run(
        [sys.executable, "-c", "from hdm import _fail; _fail.point('A'); print('on')"],
        env={**os.environ, "HDM_FAILPOINT": f"A:1:{action}"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, b"")
