"""Sends jobs to BigQuery by ids of hdm's own, and waits for them.

A request whose answer is lost is sent again with the same id. If the first one had arrived, BigQuery answers
409, and the job of that id is looked at (https://cloud.google.com/bigquery/docs/running-jobs#generate-jobid).
Google's library would run some failed jobs again by itself; here none is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from hdm.components.back_off import REQUEST
from hdm.errors import BrokenContract

T = TypeVar("T")
_TRIES: Final = 5
"""How often a request is sent that gets no answer."""
_SHORTEST, _LONGEST = 0.05, 2.0
"""Seconds between two looks at a job that runs."""
OWNER: Final = "hdm_try"
"""Label of a load job: the random number of the attempt that sent it."""


def repeated(call: Callable[[], T]) -> T:
    """Call, and call again if no answer comes or the server is away for the moment.

    Only for requests that may be repeated: they read, or their job has an id.
    """
    return REQUEST.run(call, Exception, _TRIES, _is_away)


def _is_away(error: Exception) -> bool:
    from google.api_core.exceptions import GoogleAPICallError
    from requests.exceptions import ChunkedEncodingError, Timeout

    if isinstance(error, GoogleAPICallError):
        return error.code in (500, 502, 503, 504)
    # requests' own errors are OSErrors
    return isinstance(error, Timeout | ChunkedEncodingError | OSError) and not isinstance(
        error, FileNotFoundError
    )


def _is_not_seen(error: Exception) -> bool:
    return getattr(error, "code", None) == 404 or _is_away(error)


def sent(client: Any, job_id: str, send: Callable[[], Any], owner: str | None = None) -> Any | None:
    """Send a job and return it; if a job of this id was there before, return that one.

    With ``owner``, None is returned if it is the job of another attempt, which then has ended: a running one
    is cancelled first.
    """
    from google.api_core.exceptions import Conflict

    try:
        return repeated(send)
    except Conflict:
        # shortly after a 409 the job may not be found yet: github.com/googleapis/python-bigquery/issues/2134
        job = REQUEST.run(lambda: client.get_job(job_id, retry=None), Exception, _TRIES, _is_not_seen)
    if owner is None or (job.labels or {}).get(OWNER) == owner:
        return job
    if job.state != "DONE":
        repeated(lambda: client.cancel_job(job_id, retry=None))
        ended(job)
    return None


def ended(job: Any) -> Any:
    """Wait until a job has ended, well or not, and return it."""
    pause = _SHORTEST
    while job.state != "DONE":
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST)
        repeated(lambda: job.reload(retry=None))
    return job


def succeeded(job: Any) -> Any:
    """Wait until a job has ended and return it; raise Google's error class if it failed."""
    from google.api_core.exceptions import GoogleAPICallError

    result = ended(job).error_result
    if result:
        raise GoogleAPICallError(str(result.get("message", "")), errors=[result])
    if job.state != "DONE":
        raise BrokenContract(f"job {job.job_id} is {job.state}")
    return job
