"""What one staged file's chunk costs the state database: claimed, its file announced, written,
committed and verified, with all events. As workers do it, the next chunk is claimed along with
the commit of the last.

``python benchmarks/state_store.py [--chunks N] [URL ...]`` prints the median in milliseconds
of worker time in the quietest of ``--rounds``. Without URLs: SQLite in a temporary folder, and
PostgreSQL if ``HDM_STATE_URL`` names one; one in ``HDM_STATE_FLUSHED_URL``, which waits for its disk
with each commit, is shown beside. Another figure above ``--limit`` ends it with exit code 1.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import uuid

import pyarrow as pa
from sqlalchemy import make_url

from hdm.model import Chunk, Column, Condition, Dataset, FileNames, Kind, Mode, Receipt, StagedFile, Table
from hdm.state import ClaimRequest, JobInfo, RunInfo, StateManager


def measure(url: str, chunks: int) -> list[float]:
    """Milliseconds per chunk, in order."""
    columns = tuple(Column(f"c{n}", Kind.INT64, pa.int64()) for n in range(20))
    source = Table(Dataset("bench", "source"), ("source",), columns, ("c0",), "c0")
    target = Table(Dataset("bench", "target"), ("target",), columns, ("c0",))
    key = f"bench-{uuid.uuid4().hex}"
    names = FileNames("file:///stage/{chunk}.{attempt}.parquet", "parquet")
    wanted, times = ClaimRequest(file_names={key: names}), []
    with StateManager.open(url) as store:
        run = store.runs.open(RunInfo(key, "0" * 64, "bench", "bench", None, False, "0", "host"))
        worker = store.workers.register(run, "host", os.getpid(), "token", "0")
        job = store.jobs.open(
            run,
            JobInfo(key, "link", 0, "s", "DummySource", "t", "DummySink", source, target, Mode.APPEND),
        )
        store.jobs.plan(
            job,
            [
                Chunk(
                    key,
                    source.dataset,
                    n,
                    (Condition("c0", ">=", str(n * 1000)), Condition("c0", "<", str(n * 1000 + 1000))),
                    schema_sha=source.schema_sha,
                    upto=str(n * 1000 + 999),
                )
                for n in range(chunks)
            ],
        )
        lease = None
        for _ in range(chunks):
            start = time.perf_counter()
            lease = lease or store.chunks.claim(worker, run, file_names=wanted.file_names)
            assert lease is not None
            name = names.first(lease.chunk, lease.attempt)
            assert name is not None
            store.files.begin(lease, name, names.format)
            file = StagedFile(name, "parquet", 1 << 20, 1000, "0" * 64)
            receipt = Receipt(lease.chunk_id, lease.attempt, 1000, 1 << 20, 1000, files=(file,))
            store.chunks.wrote(lease, receipt)
            lease = store.chunks.commit(lease, receipt, target_rows=1000, claim_next=wanted)
            times.append((time.perf_counter() - start) * 1000)
        assert store.jobs.settled(job)
        assert store.jobs.close(job.job_id) == "success"
        assert store.trail.verify_chain(run) == []
        store.workers.retire(worker)
        store.runs.close(run, "success")
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("urls", nargs="*")
    parser.add_argument("--chunks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3, help="the quietest counts: noise only adds")
    parser.add_argument("--limit", type=float, default=5.0, help="milliseconds, median")
    asked = parser.parse_args()
    slow = 0
    with tempfile.TemporaryDirectory() as folder:
        urls = asked.urls or [
            f"sqlite:///{folder}/state.db",
            *filter(None, map(os.environ.get, ("HDM_STATE_URL", "HDM_STATE_FLUSHED_URL"))),
        ]
        rounds = [[measure(url, asked.chunks) for url in urls] for _ in range(asked.rounds)]
        for url, *found in zip(urls, *rounds, strict=True):
            medians = [statistics.median(times) for times in found]
            times = found[medians.index(min(medians))]
            late = statistics.median(times[-len(times) // 10 :])
            shown = not asked.urls and url == os.environ.get("HDM_STATE_FLUSHED_URL")
            name = make_url(url).get_backend_name() + (", each commit flushed (no limit)" if shown else "")
            print(
                f"{name:<12} {min(medians):6.2f} ms per chunk (median of "
                f"{len(times)}; p95 {sorted(times)[int(len(times) * 0.95)]:.2f}, last tenth {late:.2f}; "
                f"all rounds {' '.join(f'{one:.2f}' for one in medians)})"
            )
            slow += not shown and min(medians) > asked.limit
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
