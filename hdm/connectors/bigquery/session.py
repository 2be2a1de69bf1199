"""Defines a database session with BigQuery: queries by the REST API, in a session of the server if it writes.

A transaction of several statements needs such a session (https://cloud.google.com/bigquery/docs/sessions).
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from hdm.connectors.bigquery import jobs

Tokens = Callable[[str], Sequence[Any]]
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "BOOL"), (int, "INT64"), (float, "FLOAT64"), (Decimal, "BIGNUMERIC"), (str, "STRING"),
    (bytes, "BYTES"), (datetime, "DATETIME"), (date, "DATE"), (time, "TIME"),
)  # fmt: skip


class Session:
    """A client with a label, and, once it wrote, a session of the server.

    ``transaction`` is ``wanted`` or ``open``, and '' if there is none. ``left`` has the tables that ``close``
    drops. ``work`` names chunk, generation and attempt in the ids of load jobs, ``owner`` is a random number.
    """

    def __init__(self, client: Any, label: str, tokens: Tokens, *, write: bool) -> None:
        self.client = client
        self.label = re.sub(r"[^a-z0-9_-]", "-", label.lower())[:63]
        self.tokens = tokens
        self.write = write
        self.number = ""
        self.transaction = ""
        self.left: list[str] = []
        self.owner = uuid.uuid4().hex
        self.work = uuid.uuid4().hex
        self.chunk, self.attempt = uuid.uuid4().hex[:12], 1

    def cursor(self) -> Cursor:
        """Return a cursor, which runs one statement at a time."""
        return Cursor(self)

    def query(self, sql: str, values: Sequence[Any] = (), **more: Any) -> Any:
        """Run one statement to its end and return its job; raise Google's error class if it fails."""
        from google.cloud.bigquery import ConnectionProperty, QueryJobConfig

        if self.write and not self.number:
            self.number = self._begun()
        config = QueryJobConfig(labels={"hdm": self.label}, use_query_cache=False, **more)
        if self.number:
            config.connection_properties = [ConnectionProperty("session_id", self.number)]
        sql, config.query_parameters = bound(sql, values, self.tokens)
        job_id = f"hdm_{uuid.uuid4().hex}"
        job = jobs.sent(self.client, job_id, lambda: self._insert(sql, config, job_id))
        return job if more.get("dry_run") else jobs.succeeded(job)

    def _insert(self, sql: str, config: Any, job_id: str) -> Any:
        return self.client.query(sql, config, job_id=job_id, retry=None, job_retry=None)

    def _begun(self) -> str:
        """Begin a session of the server and return its id.

        The job that begins it has an id made of the label, by which ``sessions_of`` finds it again.
        """
        from google.cloud.bigquery import QueryJobConfig

        labels = {"hdm": self.label, jobs.OWNER: self.owner}
        config = QueryJobConfig(labels=labels, create_session=True, use_query_cache=False)
        for number in range(1000):
            name = _beginning(self.label, number)
            job = jobs.sent(self.client, name, partial(self._insert, "SELECT 1", config, name), self.owner)
            if job is not None:
                return str(jobs.succeeded(job).session_info.session_id)
        raise AssertionError("a thousand sessions have this label")

    def close(self) -> None:
        """End the session of the server, which rolls back, and drop what is in ``left``; may be repeated."""
        number, self.number, self.transaction = self.number, "", ""
        if number:
            with contextlib.suppress(Exception):  # else it ends by itself, a day later
                abort(self, number)
        for table in self.left:
            with contextlib.suppress(Exception):  # else it expires
                self.client.delete_table(table, not_found_ok=True, retry=None)
        self.left = []
        self.client.close()


def _beginning(label: str, number: int) -> str:
    return f"hdm_begin_{label}_{number}" if label.startswith("hdm-") and label.count("-") == 2 else (
        f"hdm_begin_{uuid.uuid4().hex}"
    )  # fmt: skip


def sessions_of(client: Any, label: str) -> Iterator[str]:
    """Yield the ids of the server's sessions that processes with this label began, open or not."""
    from google.api_core.exceptions import NotFound

    for number in range(1000):
        name = _beginning(label, number)
        try:
            job = jobs.repeated(partial(client.get_job, name, retry=None))
        except NotFound:
            return
        if job.session_info is not None:
            yield str(job.session_info.session_id)


def forgotten(client: Any, seconds: float) -> Iterator[str]:
    """Yield the ids of sessions of hdm in which a transaction is open and no statement ran for ``seconds``.

    Such a transaction belongs to a process that died or stands still: hdm does nothing long between two
    statements of one. BigQuery would keep it for a day
    (https://cloud.google.com/bigquery/docs/sessions-intro).
    """
    now = datetime.now(UTC)
    idle: dict[str, bool] = {}
    # newest first
    for job in client.list_jobs(min_creation_time=now - timedelta(hours=25), retry=None):
        if "hdm" not in (job.labels or {}) or getattr(job, "session_info", None) is None:
            continue
        number, words = str(job.session_info.session_id), job.query.upper().split()
        if number not in idle:
            idle[number] = job.state == "DONE" and job.ended < now - timedelta(seconds=seconds)
        if idle[number] and words[0] in ("COMMIT", "ROLLBACK"):
            idle[number] = False
        elif idle[number] and words[0] == "BEGIN":
            idle[number] = False
            yield number


def abort(session: Session, number: str) -> None:
    """End a session of the server, whose open transaction is rolled back."""
    from google.cloud.bigquery import QueryJobConfig, ScalarQueryParameter

    said = [ScalarQueryParameter(None, "STRING", number)]
    config = QueryJobConfig(labels={"hdm": session.label}, query_parameters=said)
    job_id = f"hdm_{uuid.uuid4().hex}"
    sql = "CALL BQ.ABORT_SESSION(?)"
    job = jobs.sent(session.client, job_id, lambda: session._insert(sql, config, job_id))
    jobs.succeeded(job)


class Cursor:
    """Runs statements of one session, as PEP 249 has it; rows are fetched page by page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.description: list[tuple[Any, ...]] | None = None
        self.rowcount = -1
        self._rows: Any = iter(())

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run one statement with bound values to its end."""
        self.take(self.session.query(sql, values))

    def take(self, job: Any) -> None:
        """Show the result of a statement that has ended."""
        changed = job.num_dml_affected_rows
        self.rowcount = -1 if changed is None else int(changed)
        if job.statement_type == "SELECT":
            from google.cloud.bigquery.retry import DEFAULT_RETRY

            self._rows = job.result(retry=DEFAULT_RETRY.with_timeout(30), job_retry=None)
            self.description = [(field.name, field.field_type) for field in self._rows.schema]
        else:
            self.description, self._rows = None, iter(())

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows that are left."""
        return [tuple(row.values()) for row in self._rows]

    def pages(self) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows by the pages in which the server sends them, of at most about 10 MB."""
        for page in self._rows.pages:
            yield [tuple(row.values()) for row in page]

    def close(self) -> None:
        """Forget the rows."""
        self._rows = iter(())


def bound(sql: str, values: Sequence[Any], tokens: Tokens) -> tuple[str, list[Any]]:
    """Return a statement and its query parameters; a NULL is written into the text, as it has no type."""
    from google.cloud.bigquery import ScalarQueryParameter

    given = [ScalarQueryParameter(None, _kind(value), value) for value in values if value is not None]
    if len(given) == len(values):
        return sql, given
    left, said = iter(values), []
    for token in tokens(sql):
        is_null = token.kind == "mark" and token.text == "?" and next(left) is None
        said.append("NULL" if is_null else token.text)
    return "".join(said), given


def _kind(value: Any) -> str:
    return next(name for kind, name in _KINDS if isinstance(value, kind))
