"""``make bench``: every benchmark of this folder, one after the other, with real servers.

Each is a module that runs by itself (``python -m benchmarks.<name>``) and ends with 1 if a limit is
passed. It finds PostgreSQL in HDM_STATE_URL and, where every commit waits for the disk as on a server in
earnest, in HDM_STATE_FLUSHED_URL (for the state), and in HDM_BENCH_POSTGRES_URL (to move).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.servers import postgres

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run them all; 1 if any has failed."""
    wanted = set(sys.argv[1:])
    names = sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith("_"))
    failed = []
    with postgres.running() as server, postgres.running(durable=True) as durable:
        for name in names:
            if wanted and name not in wanted:
                continue
            print(f"\n== {name}", flush=True)
            urls = {
                "HDM_STATE_URL": server.fresh().url,
                "HDM_STATE_FLUSHED_URL": durable.fresh().url,
                "HDM_BENCH_POSTGRES_URL": server.fresh().url,
            }
            command = [sys.executable, "-m", f"benchmarks.{name}"]
            done = subprocess.run(command, cwd=HERE.parent, env={**os.environ, **urls}, check=False)
            if done.returncode:
                failed.append(name)
    print(f"\nbenchmarks beyond their limits: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
