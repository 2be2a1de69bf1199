"""Runs an action for one pipeline.

Repeats it while a system is unreachable; lets another failure end that pipeline only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from hdm.components import back_off
from hdm.errors import HdmError, Recovery, StateUnavailable, UsageError

if TYPE_CHECKING:
    from hdm.planning.breaker import Breaker
    from hdm.planning.pipeline_run import PipelineRun
    from hdm.runtime.link import DataLink

MAX_TRIES = 5
"""How often an action is tried if its error is transient and its systems can be reached."""


def attempt(run: PipelineRun, act: Callable[[], None], link: DataLink | None, breaker: Breaker) -> bool:
    """Run ``act`` for a pipeline; return False if it must be tried again later, else True.

    If ``breaker`` says that the pipeline has to wait, ``act`` is not run, and False is returned. A failure
    that another try cannot mend gives the pipeline up in this run, and True is returned. ``link`` is None for
    a link of another site. Raises ``StateUnavailable``, and the errors that end the run: those that are
    neither the pipeline's nor a system's.
    """
    if time.monotonic() < run.not_before or run.link_key in breaker.barred():
        return False
    try:
        act()
    except StateUnavailable:
        raise
    except HdmError as error:
        if link is not None and breaker.failed(link, error):
            return False
        if error.recovery is Recovery.RETRY and run.tries + 1 < MAX_TRIES:
            run.not_before = time.monotonic() + back_off.PLAN.seconds(run.tries + 1)
            run.tries += 1
            return False
        if error.recovery is Recovery.ABORT and not isinstance(error, UsageError):
            raise
        run.fail(f"{run.name}: {error.in_one_line}")
    return True
