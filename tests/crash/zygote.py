"""Forks hdm commands from one process that has imported everything and moved a small shop already.

A forked command is a process of its own, which SIGKILL hits as it would any other; only what Python takes to
import, and SQLAlchemy and pydantic to compile, is saved. One JSON request a line comes in, one JSON line goes
out for each process started and for each that ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from tests.runner import compiled

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


def main() -> NoReturn:
    for name in PRELOAD:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    compiled.share()
    warm()
    gc.freeze()  # the children collect what they make, and copy fewer pages
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
                os._exit(0)  # the interpreter's end would look for what is frozen
            buffer += data
            while b"\n" in buffer:
                line, buffer = buffer.split(b"\n", 1)
                start(json.loads(line), (wake_read, wake_write))


def warm() -> None:
    """Move a shop from SQLite through files into SQLite, twice, in this process.

    A mutant may fail at it; whether it does is for the tests of the forked commands to find.
    """
    from tests.crash.shop import Shop, State, Target

    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as name, open(os.devnull, "w") as nowhere:
        folder = Path(name)
        state = State("sqlite", "SQLiteStateManager", {"path": str(folder / "state.db")}, lambda sql: [])
        target = Target("sqlite", "SQLiteSink", {"path": str(folder / "target.db")}, lambda sql: [])
        shop = Shop(folder, state, target)
        os.environ.update(shop.env)
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            for args in (shop.args, shop.args, ["gc", *shop.args]):
                with contextlib.suppress(Exception):
                    command(args)
    os.environ.clear()
    os.environ.update(before)


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
