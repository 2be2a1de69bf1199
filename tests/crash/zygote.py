"""Forks hdm commands from one process that has imported everything already.

A forked command is a process of its own, which SIGKILL hits as it would any other; only the
second that Python takes to import is saved. One JSON request a line comes in, one JSON line
goes out for each process started and for each that ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import sys
from typing import Any

PRELOAD = (
    "hdm.cli.run", "hdm.cli.gc", "hdm.cli.retry", "hdm.cli.status", "hdm.cli.state", "hdm.cli.work",
    "hdm.connectors.sqlite", "hdm.connectors.postgres", "hdm.connectors.mysql", "hdm.connectors.duckdb",
    "hdm.connectors.s3", "hdm.connectors.azure", "hdm.connectors.gcs", "boto3", "azure.storage.blob",
    "google.cloud.storage", "hdm.connectors.snowflake", "snowflake.connector",
    "hdm.connectors.local", "hdm.orchestrators.batch", "hdm.orchestrators.declared", "hdm.state.backends",
    "psycopg", "pymysql", "duckdb", "sqlite3", "pyarrow.parquet", "pyarrow.csv", "sqlalchemy.dialects.sqlite",
    "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.mysql.pymysql",
)  # fmt: skip

PR_SET_PDEATHSIG = 1


def main() -> None:
    for name in PRELOAD:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    say({"ready": os.getpid()})
    buffer = b""
    while True:
        ready, _, _ = select.select([0, wake_read], [], [])
        if wake_read in ready:
            os.read(wake_read, 4096)
            reap()
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return
            buffer += data
            while b"\n" in buffer:
                line, buffer = buffer.split(b"\n", 1)
                start(json.loads(line), (wake_read, wake_write))


def reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status, used = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            cpu = used.ru_utime + used.ru_stime
            say({"ended": pid, "code": os.waitstatus_to_exitcode(status), "cpu": cpu})


def start(request: dict[str, Any], pipes: tuple[int, int]) -> None:
    pid = os.fork()
    if pid:
        say({"started": pid, "id": request["id"]})
        return
    code = 70
    if sys.platform == "linux":  # one that was stopped must not outlive the tests
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for pipe in pipes:
            os.close(pipe)
        out = os.open(request["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (out, 1), (out, 2)):
            os.dup2(source, target)
        os.environ.update(request["env"])
        code = command(request["args"])
    except BaseException as error:  # noqa: BLE001 -- the child must never return into the loop
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def command(args: list[str]) -> int:
    from hdm import failpoints
    from hdm.cli import main as hdm

    failpoints.arm()
    try:
        hdm(args)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def say(message: dict[str, Any]) -> None:
    os.write(1, (json.dumps(message) + "\n").encode())


if __name__ == "__main__":
    main()
