"""hdm broken on purpose: each mutant is run in a zygote before any command is forked.

They are the ways in which other tools lose or double rows; the suite must notice each of them.
"""

NO_LEDGER = """
from hdm.planning import presence
from hdm.sql import swap
from hdm.sql.ledger import Ledger
held = {}
Ledger.claim = lambda self, connection, chunk, attempt: True
Ledger.fill = lambda self, connection, receipt: held.update({receipt.chunk_id: receipt})
Ledger.find = lambda self, connection, chunk_id: held.get(chunk_id)
swap._is_whole = lambda *rest: None  # it would miss the ledger's rows at once
presence.still_there = lambda *rest, **more: None
"""

NAIVE_ORDER = """
from hdm import failpoints
from hdm.sql.ledger import Ledger
claim, fill = Ledger.claim, Ledger.fill
asked = {}
def later(self, connection, chunk, attempt):
    if self.find(connection, chunk.chunk_id) is not None:
        return False
    asked[chunk.chunk_id] = (chunk, attempt)
    return True
def after(self, connection, receipt):
    self.database.commit(connection)
    failpoints.point("X1")
    self.database.begin(connection, write=True)
    claim(self, connection, *asked.pop(receipt.chunk_id))
    fill(self, connection, receipt)
Ledger.claim, Ledger.fill = later, after
"""

NO_FENCING = """
import functools
from sqlalchemy import text
from hdm.errors import LeaseLost
from hdm.state import Chunks, Files
from hdm.runtime.lease_keeper import Pulse
Pulse.check = lambda self, held: None
begin = Files.begin
def anyhow(self, *given):
    try:
        begin(self, *given)
    except LeaseLost:
        pass
Files.begin = anyhow
TAKE = text("UPDATE hdm_chunk SET attempt = :a, lease_owner = :w, status = :s WHERE chunk_id = :c")
def unfenced(method, status):
    @functools.wraps(method)
    def call(self, lease, *rest, **named):
        values = {"a": lease.attempt, "w": lease.worker_id, "s": status, "c": lease.chunk.chunk_id}
        self._base.db.run(lambda connection: connection.execute(TAKE, values))
        return method(self, lease, *rest, **named)
    return call
Chunks.wrote = unfenced(Chunks.wrote, "leased")
Chunks.commit = unfenced(Chunks.commit, "written")
"""

SEEN_IS_DONE = """
from sqlalchemy import text
from hdm.state import Runs
DONE = text("UPDATE hdm_chunk SET status = 'verified', rows_extracted = 0, rows_loaded = 0 "
            "WHERE status IN ('leased', 'written')")
open_run = Runs.open
def after_all(self, info):
    self._base.db.run(lambda connection: connection.execute(DONE))
    return open_run(self, info)
Runs.open = after_all
"""

WATERMARK_FIRST = """
from sqlalchemy import insert
from hdm.state import Jobs
from hdm.state.db.tables import watermark
add_plan = Jobs.plan
def early(self, job, chunks, *, wm_high=None, **more):
    whole = add_plan(self, job, chunks, wm_high=wm_high, **more)
    if wm_high is None:
        return whole
    row = dict(pipeline_key=job.pipeline_key, dataset_id=job.info.source.dataset.dataset_id, seq=1,
               column_name="changed", value_type="int64", value=wm_high, job_id=job.job_id, chunk_no=0,
               committed_at="2026-01-01T00:00:00.000000Z")
    self._base.db.run(lambda connection: connection.execute(insert(watermark), row))
    return whole
Jobs.plan = early
"""

NO_RENAME = """
import hashlib
from pathlib import Path
from pyarrow import parquet
from hdm.files import layout as files
from hdm.files.sink import FileSink
from hdm.model import Receipt, StagedFile
from hdm.files.atomic_file import NewFile
from hdm.files.stores.base import LocalStore
committed = FileSink.committed
def trusting(self, table, chunk, mode):
    folder = Path(self.store.root) / self._chunk_folder(table, chunk, mode)
    found = sorted(folder.glob(files.stem(chunk) + ".*.parquet*")) if folder.exists() else []
    if not found:
        return committed(self, table, chunk, mode)
    raw = found[0].read_bytes()
    try:
        rows = parquet.read_metadata(found[0]).num_rows
    except Exception:
        rows = 0
    file = StagedFile(found[0].as_uri(), "parquet", len(raw), rows, hashlib.sha256(raw).hexdigest())
    return Receipt(chunk.chunk_id, 1, rows, files=(file,))
FileSink.committed = trusting
"""

OPEN_WATERMARK = """
from hdm.sql.window import Increment
Increment._ties = lambda self, *rest, **named: iter(())
"""

NO_NULL_CHUNK = """
from hdm.sql.window import Increment
Increment._unplaced = lambda self, *rest, **named: iter(())
"""

ANY_ORDER = """
from hdm.state.jobs import follow
follow.in_turn = lambda conn, of, waiting: waiting
"""

NO_COUNT = """
from hdm.sql.merge import Merge
Merge._account = lambda self, staged, touched, newest, kinds: 0
"""
