"""Starts hdm commands, kills them where asked, and waits for their end. Nothing else."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.runner import cpu

KILLED = -signal.SIGKILL


@dataclass
class Running:
    """A command that was started. ``code`` is negative for a signal, as in subprocess."""

    pid: int
    out: Path
    ended: threading.Event = field(default_factory=threading.Event)
    code: int | None = None

    def wait(self, seconds: float = 120) -> int:
        if not self.ended.wait(seconds):
            os.kill(self.pid, signal.SIGKILL)
            self.ended.wait(10)
            raise AssertionError(f"still running after {seconds} s:\n{self.text()}")
        assert self.code is not None
        return self.code

    def signal(self, number: int) -> bool:
        """Send a signal; False if the process has ended."""
        if self.ended.is_set():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def text(self) -> str:
        return self.out.read_text(errors="replace") if self.out.exists() else ""


class Hdm:
    """Runs hdm commands through one zygote."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._lock = threading.Lock()
        self._count = 0
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._running: dict[int, Running] = {}
        self._early: dict[int, int] = {}
        self.cpu = 0.0
        threading.Thread(target=self._listen, daemon=True).start()
        assert "ready" in self._answers.get(timeout=60)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "ended" in message:
                cpu.add(message["cpu"])
                self.cpu += message["cpu"]
                with self._lock:
                    running = self._running.pop(message["ended"], None)
                    if running is None:
                        self._early[message["ended"]] = message["code"]
                if running is not None:
                    running.code = message["code"]
                    running.ended.set()
            else:
                self._answers.put(message)

    def start(self, args: Sequence[str], env: Mapping[str, str]) -> Running:
        assert self._process.stdin is not None
        self._count += 1
        out = self._folder / f"out-{self._count}.txt"
        request = {"id": self._count, "args": list(args), "env": dict(env), "out": str(out)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._answers.get(timeout=30)
        running = Running(answer["started"], out)
        with self._lock:
            code = self._early.pop(running.pid, None)
            if code is None:
                self._running[running.pid] = running
        if code is not None:
            running.code = code
            running.ended.set()
        return running

    def run(self, args: Sequence[str], env: Mapping[str, str], seconds: float = 120) -> Running:
        running = self.start(args, env)
        running.wait(seconds)
        return running


@contextmanager
def zygote(folder: Path, code: str | None = None) -> Iterator[Hdm]:
    """An ``Hdm``; ``code`` is run in the zygote first (how the mutants are made)."""
    program = [sys.executable, "-m", "tests.crash.zygote"]
    if code is not None:
        program = [sys.executable, "-c", f"{code}\nfrom tests.crash.zygote import main\nmain()"]
    environment = {**os.environ, "HDM_FAILPOINT": ""}
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        hdm = Hdm(process, folder)
        try:
            yield hdm
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
            cpu.add(-hdm.cpu)  # the system now counts them with the zygote's


def until(condition: Any, seconds: float = 30, step: float = 0.02) -> bool:
    """Wait until ``condition()`` is true; whether it became so in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(step)
    return bool(condition())
