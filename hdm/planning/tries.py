"""Runs an action for one pipeline: repeats it while a system is away, confines other failures."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hdm.errors import HdmError, Recovery, StateUnavailable, UsageError
from hdm.planning.preflight import Pipeline

if TYPE_CHECKING:
    from hdm.planning.breaker import Breaker
    from hdm.runtime.link import DataLink
    from hdm.state import Job

MAX_TRIES = 5
"""How often an action is tried if its error is transient and its systems can be reached."""


@dataclass(slots=True)
class Tries:
    """Counts the tries of each pipeline, and knows when it may be tried again.

    ``lost`` is the last error if the state database was away.
    """

    lost: StateUnavailable | None = None
    _made: dict[str, tuple[int, float]] = field(default_factory=dict)

    def attempt(
        self,
        what: Job | Pipeline,
        act: Callable[[], None],
        links: Mapping[str, DataLink],
        breaker: Breaker,
        failed: dict[str, str],
    ) -> bool:
        """Run ``act`` for a pipeline; return True if it succeeded or failed for good, else False.

        Raises errors that end the run: those that are neither the pipeline's nor a system's.
        """
        key, name = what.pipeline_key, _table(what)
        link_key = what.link.key if isinstance(what, Pipeline) else what.link_key
        tries, not_before = self._made.get(key, (0, 0.0))
        if time.monotonic() < not_before or link_key in breaker.barred():
            return False
        try:
            act()
        except StateUnavailable as error:
            self.lost = error
            return False
        except HdmError as error:
            if link_key in links and breaker.failed(links[link_key], error):
                return False
            if error.recovery is Recovery.RETRY and tries + 1 < MAX_TRIES:
                wait = time.monotonic() + random.uniform(0, 2.0**tries)  # noqa: S311 -- jitter
                self._made[key] = (tries + 1, wait)
                return False
            if error.recovery is Recovery.ABORT and not isinstance(error, UsageError):
                raise
            failed[key] = f"{name}: {error.in_one_line}"
        return True


def _table(what: Job | Pipeline) -> str:
    source = what.source if isinstance(what, Pipeline) else what.info.source
    return source.dataset.name
