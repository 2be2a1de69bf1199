"""Finds the reason of a failed login in nzpy's log, since nzpy raises only "Error in handshake"."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reasons(database: str) -> Iterator[None]:
    """Append what nzpy logs of a login in the ``with`` block to the error that the block raises.

    Only logs of this thread. The logger's name has a brace too many in nzpy 1.17.8. Nothing is printed.
    """
    heard = _Heard()
    log = logging.getLogger("nzpy.Connection[" + database + "}]")
    log.addHandler(heard)
    try:
        yield
    except Exception as error:
        error.args = (*error.args, *heard.said)
        raise
    finally:
        log.removeHandler(heard)
        log.setLevel(logging.CRITICAL)


class _Heard(logging.Handler):
    """Log handler that keeps the warnings of the thread that made it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        self.thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of a warning that nzpy logs."""
        if record.thread == self.thread:
            self.said.append(record.getMessage())
