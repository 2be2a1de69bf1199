"""Child servers that never outlive the tests: own folder, free port, killed with their parent."""

from __future__ import annotations

import ctypes
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
_PREFIX = f"hdm-servers-{os.getuid()}-"
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


class ServerFailed(RuntimeError):
    """A real component could not be started or installed; the tests fail, they are not skipped."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


_NUMBERS = itertools.count(1)


def new_name(prefix: str, between: str = "_") -> str:
    """A name that no test of this run has had, also where several processes share a server."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    return f"{prefix}{next(_NUMBERS)}{between + worker if worker else ''}"


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def unprivileged() -> str | None:
    """The user a database server runs as; None (ourselves) unless we are root."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "mysql", "nobody") if name in known)


def folder(name: str, owner: str | None = None) -> Path:
    """A new private folder ``hdm-servers-<uid>-<pid>-...``; those of dead processes go."""
    for old in Path(tempfile.gettempdir()).glob(_PREFIX + "*"):
        pid = old.name.removeprefix(_PREFIX).split("-")[0]
        if not Path(f"/proc/{pid}").exists() and sys.platform == "linux":
            shutil.rmtree(old, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-{name}-"))
    if owner:
        shutil.chown(made, owner)
    return made


def run(command: Sequence[str | Path], *, user: str | None = None, timeout: float = 300) -> str:
    """Run to the end; what it printed becomes the error's text if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        user=user,
        extra_groups=[] if user else None,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd="/",
    )
    if done.returncode:
        raise ServerFailed(f"{command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def within_reach(programs: Path, user: str | None, home: Path) -> Path:
    """``programs``, or a copy under ``home`` if ``user`` may not look into the clone's folder."""
    if user is None:
        return programs
    probe = subprocess.run(
        ["/bin/ls", str(programs)], user=user, extra_groups=[], capture_output=True, check=False, cwd="/"
    )
    if probe.returncode == 0:
        return programs
    return Path(shutil.copytree(programs, home / "programs", symlinks=True))


@dataclass
class Server:
    """One running process. ``stop`` is idempotent; ``death`` is the signal that stops it."""

    name: str
    command: Sequence[str | Path]
    home: Path
    user: str | None = None
    death: signal.Signals = signal.SIGTERM
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.home / f"{self.name}.log"

    def start(self, ready: Callable[[], bool], within: float = 60) -> Server:
        """Start and wait until ``ready()``."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in self.command],
                user=self.user,
                extra_groups=[] if self.user else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                cwd=self.home,
                preexec_fn=self._die_with_parent,  # noqa: PLW1509 (only a prctl call)
            )
        end = time.monotonic() + within
        while not ready():
            if self.process.poll() is not None or time.monotonic() > end:
                tail = self.log.read_text(errors="replace")[-3000:]
                self.stop()
                raise ServerFailed(f"{self.name} did not start:\n{tail}")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Stop the process and remove its folder."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.death)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None
        shutil.rmtree(self.home, ignore_errors=True)

    def _die_with_parent(self) -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(self.death), 0, 0, 0)


@dataclass(frozen=True)
class Database:
    """A fresh database on a test server. ``url`` is SQLAlchemy's form."""

    scheme: str
    port: int
    database: str
    user: str
    password: str
    host: str = HOST

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"

    @property
    def dsn(self) -> str:
        """The URL without the name of a Python driver."""
        return self.url.replace("+psycopg", "").replace("+pymysql", "")

    @property
    def profile(self) -> dict[str, str | int]:
        """The keys of a profile's connection."""
        return {
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "user": self.user,
            "password": self.password,
        }
