"""Sends OpenLineage events at least once, in order: to a file, the console or an HTTP endpoint.

What was sent is kept in a file of its own, and advanced only after the receiver has taken an event. So a run
waits for no receiver, and a receiver that was away gets everything later.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hdm.api.openlineage import events_of
from hdm.config.profile import home
from hdm.errors import HdmError, UsageError
from hdm.state import StateManager

Send = Callable[[str], None]
TIMEOUT = 30.0
"""Seconds that a receiver may take for one event."""


def send_all(state: StateManager, send: Send, position: Path) -> int:
    """Send every event that was not sent yet, run by run; return how many.

    ``position`` is the file that keeps what was sent. Raises the error of ``send``: what it refused, and all
    after it, is sent the next time.
    """
    told, count = _read(position), 0
    for run_id, upto in state.trail.untold(told):
        sent = told.get(run_id, 0)
        try:
            for seq, event in events_of(state.trail.told_of(run_id, upto)):
                if seq > sent:
                    send(json.dumps(event, sort_keys=True))
                    count += 1
                    told[run_id] = seq - 1  # more than one may rest on the same event on record
            told[run_id] = upto
        finally:
            _write(position, told)
    return count


def position_of(state: StateManager, target: str) -> Path:
    """Return the file below hdm's folder that keeps what was sent to ``target`` from this state database."""
    name = hashlib.sha256(f"{state.trail.identity()} {target}".encode()).hexdigest()[:16]
    return home() / "openlineage" / f"{name}.json"


def to_file(path: Path) -> Send:
    """Return a function that appends an event to a file, as one line, and makes the line durable."""

    def send(text: str) -> None:
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{text}\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written: {error.strerror}", hint="give another file to --to"
            ) from None

    return send


def to_http(url: str, token: str | None) -> Send:
    """Return a function that posts an event to a URL; ``token`` is sent as a bearer token.

    Redirections are not followed. Raises ``UsageError`` for a URL that is neither http nor https.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that enclose no IPv6 address
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--to {url!r} is no URL", hint="write http://HOST:PORT/api/v1/lineage, or https")
    if parts.username or parts.password:
        raise UsageError("--to has a password in it", hint="give it by --token env:NAME")
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    opener = urllib.request.build_opener(_Stay)
    where = f"{parts.scheme}://{parts.netloc}"

    def send(text: str) -> None:
        request = urllib.request.Request(url, text.encode(), headers, method="POST")  # noqa: S310
        try:
            with opener.open(request, timeout=TIMEOUT) as answer:
                answer.read(1)
        except urllib.error.HTTPError as error:
            raise HdmError(
                f"{where} refused an event with status {error.code}",
                hint="correct --to or --token; what was not taken is sent the next time",
            ) from None
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", None) or type(error).__name__
            raise HdmError(
                f"{where} cannot be reached: {why}", hint="what was not taken is sent the next time"
            ) from None

    return send


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the token is for the host that was named."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _read(position: Path) -> dict[str, int]:
    try:
        found = json.loads(position.read_text(encoding="utf-8"))
        return {str(run): int(seq) for run, seq in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError):
        raise UsageError(
            f"{position} cannot be read: it keeps what was sent",
            hint="remove it, and everything is sent once more",
        ) from None


def _write(position: Path, told: Mapping[str, int]) -> None:
    beside = position.with_name(f"{position.name}.{os.getpid()}.tmp")
    try:
        position.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8") as file:
            json.dump(told, file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(position)
    except OSError as error:
        raise UsageError(
            f"{position} cannot be written: {error.strerror}", hint="give another file by --position"
        ) from None
