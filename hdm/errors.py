"""Defines every exception of hdm; an exception's class decides what the runtime does next.

``recovery`` is that decision, as ``Recovery`` explains. ``message`` is for the operator; ``hint`` says, in
the imperative, what to do.
"""

from __future__ import annotations

from enum import StrEnum


class Recovery(StrEnum):
    """What the runtime does after an error.

    In an attempt at a chunk, ``retry`` tries the chunk again, a limited number of times, ``yield`` leaves the
    chunk to another worker, and ``abort`` and ``bury`` make the chunk dead. In planning, ``abort`` ends the
    run, except for a ``UsageError``.
    """

    ABORT = "abort"
    BURY = "bury"
    RETRY = "retry"
    YIELD = "yield"


class HdmError(Exception):
    """Base of all exceptions of hdm.

    ``exit_code`` is the exit code of the command if the error ends it.
    """

    recovery: Recovery = Recovery.ABORT
    exit_code: int = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def in_one_line(self) -> str:
        """The error's message; if there is a hint, it follows in brackets."""
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


# -- the user's mistake: exit code 2 ----------------------------------------


class UsageError(HdmError):
    """A mistake in what the user wrote or asked for."""

    exit_code = 2


class ManifestError(UsageError):
    """A mistake in a manifest or profile file, with its file, line and column."""

    def __init__(
        self,
        message: str,
        *,
        file: str = "",
        line: int = 0,
        column: int = 0,
        hint: str | None = None,
    ) -> None:
        place = f"{file}:{line}:{column}: " if line else (f"{file}: " if file else "")
        super().__init__(place + message, hint=hint)
        self.file, self.line, self.column = file, line, column


class ProfileError(ManifestError):
    """A profile that is missing, that others can read, or that has a mistake."""


class UnknownComponent(UsageError):
    """A type name in a manifest for which no source, sink or other component is registered."""


class MissingDriver(UsageError):
    """A driver is not installed; the hint is the pip command that installs it."""


class UnsupportedType(UsageError):
    """A column whose type hdm cannot move, since no Arrow type of hdm carries its values."""


class LossRefused(UsageError):
    """A change of values by the target's types that the manifest does not allow."""


# -- permanent: the chunk is buried with its context -------------------------


class PermanentError(HdmError):
    """An error that would occur again if the chunk were tried again."""

    recovery = Recovery.BURY


class SchemaDrift(PermanentError):
    """The columns of a dataset are not those that were planned."""


class CheckFailed(PermanentError):
    """Rows of a chunk broke a rule that the manifest's ``checks:`` declares."""


class RejectedRows(PermanentError):
    """The target refused rows, or stored fewer than it was given."""


class UnrepresentableValue(PermanentError):
    """A value that the target's type cannot hold; hdm never alters it silently."""


class BrokenContract(PermanentError):
    """A connector broke a promise of its template class (``Source``, ``Sink``, ...)."""


class CorruptFile(PermanentError):
    """A file whose size, checksum or row count differs from what was recorded."""


class SnapshotLost(PermanentError):
    """The source's snapshot ended too early; reading on without it could lose rows."""


class SourceChanged(PermanentError):
    """The source's table was replaced after it was planned, or a chunk gave other rows than were planned."""


class TiesUnknown(PermanentError):
    """Too many rows share the watermark's value to know which of them are new."""


class Unexpected(PermanentError):
    """A defect in hdm or in a plugin: an exception that no code handles."""


def unexpected(error: BaseException) -> Unexpected:
    """Return an ``Unexpected`` error that names the class and the place of an exception.

    The exception's text is left out, because it can quote values.
    """
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {'/'.join(frames[-1].filename.split('/')[-2:])}:{frames[-1].lineno}" if frames else ""
    return Unexpected(
        f"unexpected {type(error).__name__}{place}", hint="run again with HDM_DEBUG=1 to see the traceback"
    )


# -- transient: tried again with full jitter ---------------------------------


class TransientError(HdmError):
    """An error that may not recur if the chunk is tried again."""

    recovery = Recovery.RETRY


class ConnectionLost(TransientError):
    """A system closed the connection or cannot be reached."""


class UnknownPlace(ConnectionLost):
    """No host, service or database of that name is known.

    Before a run has reached anything under the name, the name counts as a mistake of the user. Later the
    error may pass, as in a failover.
    """


class Throttled(TransientError):
    """A system asked hdm to slow down.

    ``retry_after`` is in seconds, 0 if the system names no time.
    """

    def __init__(self, message: str, *, retry_after: float = 0.0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Deadlock(TransientError):
    """A transaction ended with a deadlock, a lock time-out or a serialisation failure."""


class MissingParent(TransientError):
    """The target refused rows, because rows that their foreign keys refer to are not there yet.

    Other chunks of the run may bring those rows.
    """


# -- the state database: exit code 3 -----------------------------------------


class StateError(HdmError):
    """An error of the state database itself."""

    exit_code = 3


class StateUnavailable(StateError):
    """The state database cannot be reached."""

    recovery = Recovery.RETRY


class SchemaOutOfDate(StateError):
    """The tables of the state database are older or newer than this version of hdm needs."""


class StateMissing(SchemaOutOfDate):
    """The state database has no tables of hdm yet: no run was ever recorded in it."""


class IllegalTransition(StateError):
    """A chunk's status was to change in a way that the protocol does not allow."""


class LeaseLost(StateError):
    """Another worker has the chunk's lease now; this worker must not write anything more for the chunk."""

    recovery = Recovery.YIELD


class Drained(HdmError):
    """The worker was told to stop before the chunk was moved, and hands the chunk back."""

    recovery = Recovery.YIELD
    exit_code = 143
