"""A circuit breaker for each system: while one is away, nothing is tried on it and nothing is counted.

A chunk that meets a lost connection asks ``Breaker.failed``. That looks whether the link's systems can
be reached. If one cannot, its links are barred until a thread of its own has reached it again; if all
can, the failure is the chunk's. A system that asks to slow down bars the link for as long as it says,
longer each time. ``overdue`` ends the run once a system was away for ``max_wait`` seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hdm.errors import ConnectionLost, HdmError, Recovery, StateUnavailable, Throttled
from hdm.planning import back_off

if TYPE_CHECKING:
    from hdm.components.sink import Sink
    from hdm.components.source import Source
    from hdm.runtime.link import DataLink

MAX_WAIT = 300.0
"""Seconds for which a system may be away before a run ends, unless ``--max-wait`` says otherwise."""
LONGEST_PAUSE = 15.0
"""Seconds between two looks for a system that is away, and between two tries of one that throttles."""
LEAST_PAUSE = 0.5
"""Seconds for which a link rests at least whose system asked to slow down."""
SAY_AGAIN = 60.0
"""Seconds between two lines about a system that is still away."""
TRUST = 1.0
"""Seconds for which a look that reached a system is taken for true by other threads."""


@dataclass(slots=True)
class _Away:
    """A system that cannot be reached: since when, and the links that need it."""

    what: str
    since: float
    why: str
    links: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Slow:
    """A link whose system asks to slow down: since when, until when nothing is tried, how often it asked."""

    what: str
    since: float
    until: float
    times: int = 1


@dataclass(slots=True)
class Breaker:
    """Knows which links must wait. Safe for threads; one for each run of a process.

    ``say`` is told ``(event, text)``: one line when a system is away or back. ``close`` ends its threads.
    """

    max_wait: float = MAX_WAIT
    say: Callable[[str, str], None] = lambda event, text: None
    _away: dict[str, _Away] = field(default_factory=dict)
    _slow: dict[str, _Slow] = field(default_factory=dict)
    _reached: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _looking: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def failed(self, link: DataLink, error: HdmError) -> bool:
        """Whether a failed try says that a system of ``link`` is away or too busy, and not that
        what was tried is wrong. Looks at the systems, which takes as long as connecting."""
        if isinstance(error, Throttled):
            self._pause(link, error)
            return True
        if not isinstance(error, ConnectionLost):
            return False
        source, *target = (self._is_away(link, one, role) for one, role in _ends(link))  # look at both
        return source or any(target)

    def succeeded(self, link: DataLink) -> None:
        """Take note that something of the link was committed: it is not asked to slow down any more."""
        if self._slow:
            with self._lock:
                self._slow.pop(link.spec.key, None)

    def barred(self) -> frozenset[str]:
        """The keys of the links of which nothing is to be tried just now."""
        if not self._away and not self._slow:
            return frozenset()
        now = time.monotonic()
        with self._lock:
            slow = {key for key, one in self._slow.items() if now < one.until}
            return frozenset(slow.union(*(one.links for one in self._away.values())))

    def overdue(self) -> tuple[frozenset[str], HdmError] | None:
        """The links that are given up in this run, and why: their system was away, or too busy, for
        longer than ``max_wait``."""
        if not self._away and not self._slow:
            return None
        now = time.monotonic()
        with self._lock:
            away: list[tuple[set[str], _Away | _Slow]] = [(one.links, one) for one in self._away.values()]
            for links, one in [*away, *(({key}, slow) for key, slow in self._slow.items())]:
                if now - one.since >= self.max_wait:
                    return frozenset(links), ConnectionLost(
                        f"{one.what} was {_state(one)} for {now - one.since:.0f} s",
                        hint="run again once it is back: no chunk was given up for it (or give it longer: "
                        "--max-wait)",
                    )
        return None

    def close(self) -> None:
        """End the threads that look for systems."""
        self._over.set()

    # -- away --------------------------------------------------------------------

    def _is_away(self, link: DataLink, end: Source | Sink, role: str) -> bool:
        system = end.system
        with self._looking:  # the first of many workers looks, the others take its word
            with self._lock:
                known = self._away.get(system)
                if known is not None:
                    known.links.add(link.spec.key)
                    return True
                if time.monotonic() - self._reached.get(system, -TRUST) < TRUST:
                    return False
            why = self._look(end)
            if why is None:
                self._reached[system] = time.monotonic()
                return False
            away = _Away(f"{role} {end.name} at {system}", time.monotonic(), why, {link.spec.key})
            with self._lock:
                self._away[system] = away
        watch = threading.Thread(target=self._watch, args=(end, away), name="hdm-breaker", daemon=True)
        watch.start()
        return True

    def _look(self, end: Source | Sink) -> str | None:
        """Why the system cannot be reached; None if it can, or if it says what is wrong with the asking."""
        try:
            end.reach()
        except HdmError as error:
            return error.message if error.recovery is Recovery.RETRY else None
        except (ConnectionError, TimeoutError) as error:
            return type(error).__name__
        except Exception:  # noqa: BLE001 -- a plugin may raise anything; the next chunk will meet it again
            return None
        return None

    def _watch(self, end: Source | Sink, away: _Away) -> None:
        """Look for the system until it is there again, or nobody waits for it any more."""
        from tenacity import Retrying, retry_if_result, sleep_using_event, wait_random_exponential

        told = 0.0

        def looked() -> bool:
            nonlocal told
            if self._over.is_set():
                return False
            why = self._look(end)
            gone = time.monotonic() - away.since
            if why is not None and (not told or gone - told >= SAY_AGAIN):
                told = max(gone, 0.001)
                limit = f"for at most {self.max_wait:.0f} s"
                self.say("system.away", f"{away.what} away for {gone:.0f} s, trying on {limit}: {why}")
            return why is not None

        Retrying(
            retry=retry_if_result(bool),
            wait=wait_random_exponential(multiplier=0.25, max=LONGEST_PAUSE),
            sleep=sleep_using_event(self._over),
        )(looked)
        with self._lock:
            self._away.pop(end.system, None)
        if told and not self._over.is_set():
            gone = time.monotonic() - away.since
            self.say("system.back", f"{away.what} is back after {gone:.0f} s")

    # -- too busy ----------------------------------------------------------------

    def _pause(self, link: DataLink, error: Throttled) -> None:
        now, key = time.monotonic(), link.spec.key
        with self._lock:
            slow = self._slow.get(key)
            if slow is None:
                what = f"link {link.spec.source.name} -> {link.spec.sink.name}"
                self._slow[key] = slow = _Slow(what, now, 0.0, 0)
            if now < slow.until:
                return
            slow.times += 1
            slow.until = now + max(
                back_off.seconds(slow.times, LONGEST_PAUSE), LEAST_PAUSE, error.retry_after
            )
            first = slow.times == 1
        if first:
            self.say("system.slow", f"{slow.what} is asked to slow down: {error.message}")


def _ends(link: DataLink) -> tuple[tuple[Source | Sink, str], ...]:
    """The source and the sink, each with the word for it; one of them if they share a system."""
    if link.source.system == link.sink.system:
        return ((link.sink, "target"),)
    return ((link.source, "source"), (link.sink, "target"))


def _state(one: _Away | _Slow) -> str:
    return f"away ({one.why})" if isinstance(one, _Away) else "asked to slow down"


@dataclass(slots=True)
class Outage:
    """The state database as all threads of a run see it: one line while it is away, and an end to it."""

    max_wait: float = MAX_WAIT
    say: Callable[[str, str], None] = lambda event, text: None
    _since: float | None = None
    _told: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def may_continue(self, error: StateUnavailable) -> bool:
        """Whether to try on; says so once, and again every ``SAY_AGAIN`` seconds."""
        now = time.monotonic()
        with self._lock:
            if self._since is None:
                self._since = now
            gone, first = now - self._since, self._told is None
            tell = self._told is None or now - self._told >= SAY_AGAIN
            self._told = now if tell else self._told
        if tell and gone < self.max_wait:
            how = "away" if first else f"away for {gone:.0f} s"
            limit = f"for at most {self.max_wait:.0f} s"
            self.say("state.away", f"the state database is {how}, trying on {limit}: {error.message}")
        return gone < self.max_wait

    def over(self) -> None:
        """It answers again."""
        if self._since is None:
            return
        with self._lock:
            gone, self._since, self._told = time.monotonic() - (self._since or 0.0), None, None
        self.say("state.back", f"the state database is back after {gone:.0f} s")

    def ended(self, error: StateUnavailable) -> StateUnavailable:
        """The error that ends the run."""
        return StateUnavailable(
            f"the state database could not be used for {self.max_wait:.0f} s: {error.message}",
            hint="mend it and run again: what was moved stays moved (or give it longer: --max-wait)",
        )
