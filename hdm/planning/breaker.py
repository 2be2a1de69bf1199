"""Stops all work on a system that is unreachable, until it is back (a circuit breaker).

A worker that meets a lost connection calls ``Breaker.failed``, which probes the link's systems. If a system
cannot be reached, all links that need it are barred until a watching thread reaches it again. If all can be
reached, the failure counts against the chunk. A system that asks to slow down bars the link for at
least as long as it asks, and longer each time. ``overdue`` names the links to give up once a system was
unreachable for ``max_wait`` seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hdm.components import back_off
from hdm.errors import ConnectionLost, HdmError, Recovery, StateUnavailable, Throttled

if TYPE_CHECKING:
    from hdm.components.sink import Sink
    from hdm.components.source import Source
    from hdm.runtime.link import DataLink

MAX_WAIT = 300.0
"""Seconds that a system may be away before a run leaves its tables for the next one; see ``--max-wait``."""
LEAST_PAUSE = 0.5
"""Shortest wait, in seconds, of a link whose system asked to slow down."""
SAY_AGAIN = 60.0
"""Seconds between two messages about a system that is still away."""
SAY_BY = 2.0
"""Seconds after which people are told of an outage, even if a test of the system is still under way."""
TRUST = 1.0
"""Seconds for which the other threads rely on a probe that reached the system."""


@dataclass(slots=True)
class _Away:
    """A system that cannot be reached: since when, and the links that need it."""

    what: str
    since: float
    why: str
    links: set[str] = field(default_factory=set)
    told: float = 0.0
    """Seconds of the outage after which people were last told of it; 0: not yet."""


@dataclass(slots=True)
class _Slow:
    """A link whose system asks to slow down.

    ``since`` is when it first asked, ``until`` is when the next try is allowed, ``times`` is how often it
    asked.
    """

    what: str
    since: float
    until: float
    times: int = 1


@dataclass(slots=True)
class Breaker:
    """Tells which links must wait because a system is unreachable or asks to slow down.

    One for each run of a process; safe for threads. ``say`` is called with the kind of an event and its text:
    every ``SAY_AGAIN`` seconds while a system is unreachable, once when it is back, and once when it first
    asks to slow down.
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
        """Report a link's error; return True if a system is to blame, so that no failure counts.

        A system is to blame if it is unreachable or asks to slow down; otherwise False. Probes the systems
        after a lost connection, which takes as long as connecting.
        """
        if isinstance(error, Throttled):
            self._pause(link, error)
            return True
        if not isinstance(error, ConnectionLost):
            return False
        source, *target = (self._is_away(link, one, role) for one, role in _ends(link))  # look at both
        return source or any(target)

    def succeeded(self, link: DataLink) -> None:
        """Report that a chunk of the link was committed.

        If a system had asked the link to slow down, the link may go on at full speed.
        """
        if self._slow:
            with self._lock:
                self._slow.pop(link.spec.key, None)

    def barred(self) -> frozenset[str]:
        """Return the keys of the links of which no chunk may be started now; mostly none."""
        if not self._away and not self._slow:
            return frozenset()
        now = time.monotonic()
        with self._lock:
            slow = {key for key, one in self._slow.items() if now < one.until}
            return frozenset(slow.union(*(one.links for one in self._away.values())))

    def overdue(self) -> tuple[frozenset[str], HdmError] | None:
        """Return the keys of links to give up in this run, with the error to show; None if there are none.

        A system of theirs was unreachable, or asked to slow down, for at least ``max_wait`` seconds. If there
        are several such systems, the links of one are returned.
        """
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
        """End the threads that wait for unreachable systems to come back."""
        self._over.set()

    # -- away --------------------------------------------------------------------

    def _is_away(self, link: DataLink, end: Source | Sink, role: str) -> bool:
        system = end.system
        with self._looking:  # the first of many workers probes; the others use its result
            with self._lock:
                known = self._away.get(system)
                if known is not None:
                    known.links.add(link.spec.key)
                    return True
                if time.monotonic() - self._reached.get(system, -TRUST) < TRUST:
                    return False
            asked = time.monotonic()
            why = self._look(end)
            if why is None:
                self._reached[system] = time.monotonic()
                return False
            away = _Away(f"{role} {end.name} at {system}", asked, why, {link.spec.key})
            with self._lock:
                self._away[system] = away
        watch = threading.Thread(target=self._watch, args=(end, away), name="hdm-breaker", daemon=True)
        watch.start()
        return True

    def _look(self, end: Source | Sink) -> str | None:
        """Return why the system cannot be reached; None if it answers, even if it answers with a refusal."""
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
        """Probe the system until it can be reached again or the run is over."""

        def reached() -> bool:
            why = self._look(end)
            if why is not None:
                self._tell(away, why)
            return why is None

        soon = threading.Timer(SAY_BY, self._tell, (away, away.why))  # a look may take a minute to fail
        soon.daemon = True
        soon.start()
        back_off.PROBE.until(reached, self._over)
        soon.cancel()
        with self._lock:
            self._away.pop(end.system, None)
            told, away.told = away.told, float("inf")
        if told and not self._over.is_set():
            gone = time.monotonic() - away.since
            self.say("system.back", f"{away.what} is back after {gone:.0f} s")

    def _tell(self, away: _Away, why: str) -> None:
        """Say that a system is away and until when it is waited for; not more often than ``SAY_AGAIN``."""
        gone = time.monotonic() - away.since
        with self._lock:
            if self._over.is_set() or (away.told and gone - away.told < SAY_AGAIN):
                return
            away.told = max(gone, 0.001)
        until = _clock(self.max_wait - gone)
        limit = f"for at most {self.max_wait:.0f} s, until {until}"
        self.say("system.away", f"{away.what} away for {gone:.0f} s, trying on {limit}: {why}")

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
            slow.until = now + max(back_off.THROTTLED.seconds(slow.times), LEAST_PAUSE, error.retry_after)
            first = slow.times == 1
        if first:
            self.say("system.slow", f"{slow.what} is asked to slow down: {error.message}")


def _ends(link: DataLink) -> tuple[tuple[Source | Sink, str], ...]:
    """Return the source and the sink, each with its role; only the sink if both are on one system."""
    if link.source.system == link.sink.system:
        return ((link.sink, "target"),)
    return ((link.source, "source"), (link.sink, "target"))


def _clock(seconds: float) -> str:
    """The time of day in so many seconds, by this machine's clock."""
    return f"{datetime.now().astimezone() + timedelta(seconds=seconds):%H:%M:%S %Z}"


def _state(one: _Away | _Slow) -> str:
    return f"away ({one.why})" if isinstance(one, _Away) else "asked to slow down"


@dataclass(slots=True)
class Outage:
    """Follows an outage of the state database for all threads of a run.

    After ``max_wait`` seconds the run ends.
    """

    max_wait: float = MAX_WAIT
    say: Callable[[str, str], None] = lambda event, text: None
    _since: float | None = None
    _told: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def may_continue(self, error: StateUnavailable) -> bool:
        """Report an error of the state database; return True if the caller may try again.

        False once the outage has lasted ``max_wait`` seconds. The outage is reported to people at once and
        then every ``SAY_AGAIN`` seconds.
        """
        now = time.monotonic()
        with self._lock:
            if self._since is None:
                self._since = now
            gone, first = now - self._since, self._told is None
            tell = self._told is None or now - self._told >= SAY_AGAIN
            self._told = now if tell else self._told
        if tell and gone < self.max_wait:
            how = "away" if first else f"away for {gone:.0f} s"
            limit = f"for at most {self.max_wait:.0f} s, until {_clock(self.max_wait - gone)}"
            self.say("state.away", f"the state database is {how}, trying on {limit}: {error.message}")
        return gone < self.max_wait

    def over(self) -> None:
        """Record that the state database answers again.

        If there was an outage, its end is reported once.
        """
        if self._since is None:
            return
        with self._lock:
            gone, self._since, self._told = time.monotonic() - (self._since or 0.0), None, None
        self.say("state.back", f"the state database is back after {gone:.0f} s")

    def ended(self, error: StateUnavailable) -> StateUnavailable:
        """Return the error that ends the run after too long an outage."""
        return StateUnavailable(
            f"the state database could not be used for {self.max_wait:.0f} s: {error.message}",
            hint="mend it and run again: what was moved stays moved (or give it longer: --max-wait)",
        )
