"""Failpoints: nothing unless armed, and then exactly the passing that was named."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest

from hdm import failpoints
from hdm.errors import ConnectionLost


@pytest.fixture
def arm(monkeypatch):
    def armed(spec: str, **more: str) -> None:
        monkeypatch.setenv("HDM_FAILPOINT", spec)
        for name, value in more.items():
            monkeypatch.setenv(f"HDM_FAILPOINT_{name}", value)
        failpoints.arm()

    yield armed
    monkeypatch.undo()
    failpoints.arm()


def test_without_the_environment_nothing_happens(arm):
    arm("")
    failpoints.point("L6")


def test_only_the_named_passing_of_the_named_point_acts(arm):
    arm("L6:2:raise:ConnectionLost,C3:1:reset,C4:1:enospc")
    failpoints.point("L6")
    failpoints.point("L7")
    with pytest.raises(ConnectionLost, match="failpoint L6"):
        failpoints.point("L6")
    failpoints.point("L6")
    with pytest.raises(ConnectionResetError):
        failpoints.point("C3")
    with pytest.raises(OSError, match="No space") as full:
        failpoints.point("C4")
    assert full.value.errno == errno.ENOSPC


def test_arming_again_counts_anew(arm):
    arm("A:1:reset")
    with pytest.raises(ConnectionResetError):
        failpoints.point("A")
    arm("A:1:reset")
    with pytest.raises(ConnectionResetError):
        failpoints.point("A")


def test_a_word_that_is_no_action_is_said(arm):
    arm("A:1:explode")
    with pytest.raises(ValueError, match="unknown action 'explode' at A"):
        failpoints.point("A")


def test_what_was_passed_and_done_is_written_down_first(arm, tmp_path):
    log, trace = tmp_path / "log", tmp_path / "trace"
    arm("B:2:reset", LOG=str(log), TRACE=str(trace))
    failpoints.point("A")
    failpoints.point("B")
    with pytest.raises(ConnectionResetError):
        failpoints.point("B")
    assert trace.read_text().split() == ["A", "B", "B"]
    assert log.read_text() == f"{os.getpid()} B:2:reset\n"


@pytest.mark.parametrize(
    ("action", "code"), [("kill", -signal.SIGKILL), ("term", -signal.SIGTERM), ("exit", 9)]
)
def test_a_process_ends_where_it_is_told_to(action, code):
    done = subprocess.run(
        [sys.executable, "-c", "from hdm import failpoints; failpoints.point('A'); print('on')"],
        env={**os.environ, "HDM_FAILPOINT": f"A:1:{action}"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, b"")
