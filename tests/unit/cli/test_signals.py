"""Told to stop, a process ends: drained, or, whatever its threads hang in, after the time to drain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from hdm.cli.signals import drain_seconds, stop_signals

PROGRAM = """
import sys, threading, time
from hdm.cli.signals import stop_signals
with stop_signals() as stop:
    print("ready", flush=True)
    {body}
"""
HANGS = {
    "a call in C that no signal ends": "import ctypes; [ctypes.CDLL(None).sleep(60) for _ in range(9)]",
    "a lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "retries": "[time.sleep(0.1) for _ in range(600)]",
}


def start(body: str, drain: str = "1") -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        env={**os.environ, "HDM_DRAIN": drain},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None and started.stdout.readline() == "ready\n"
    return started


@pytest.mark.parametrize("body", HANGS.values(), ids=HANGS)
@pytest.mark.slow
def test_whatever_it_hangs_in_it_ends_in_time(body):
    process = start(body)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 143
    assert said == "hdm: did not stop within 1 s, and was ended: leases run out, run again\n"


@pytest.mark.parametrize("pair", [(signal.SIGINT,) * 2, (signal.SIGTERM, signal.SIGINT)])
@pytest.mark.slow
def test_a_second_signal_ends_it_at_once(pair):
    process = start("stop.wait(); a = threading.Lock(); a.acquire(); a.acquire()", drain="600")
    process.send_signal(pair[0])
    time.sleep(0.3)
    process.send_signal(pair[1])
    process.communicate(timeout=20)
    assert process.returncode == 143


@pytest.mark.slow
def test_who_drains_in_time_ends_as_it_wants():
    process = start("stop.wait(); time.sleep(0.2); sys.exit(7)", drain="600")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 7


def test_afterwards_signals_mean_what_they_meant():
    before = signal.getsignal(signal.SIGTERM)
    threads = threading.active_count()
    with stop_signals() as stop:
        assert signal.getsignal(signal.SIGTERM) != before
        assert not stop.is_set()
    assert signal.getsignal(signal.SIGTERM) == before
    assert threading.active_count() == threads


@pytest.mark.parametrize(("given", "seconds"), [("", 30), ("5", 5), ("soon", 30)])
def test_the_time_to_drain_can_be_told(monkeypatch, given, seconds):
    monkeypatch.setenv("HDM_DRAIN", given)
    assert drain_seconds() == seconds
