"""Every exception of hdm, named for what the runtime does next.

``recovery`` says it: ABORT ends the command, BURY makes the chunk a dead letter,
RETRY tries again with back-off, YIELD hands the chunk to whoever holds it now.
``message`` is for the operator; ``hint`` says, in the imperative, what to do.
"""

from __future__ import annotations

from enum import StrEnum


class Recovery(StrEnum):
    """What the runtime does after an error."""

    ABORT = "abort"
    BURY = "bury"
    RETRY = "retry"
    YIELD = "yield"


class HdmError(Exception):
    """Base of all. ``exit_code`` is the command's, should the error end it."""

    recovery: Recovery = Recovery.ABORT
    exit_code: int = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def in_one_line(self) -> str:
        """The message with its hint in brackets, where there is one line for both."""
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


# -- the user's mistake: exit code 2 ----------------------------------------


class UsageError(HdmError):
    """A mistake in what the user wrote or asked; nothing was created."""

    exit_code = 2


class ManifestError(UsageError):
    """A mistake in a manifest or profile file, with the place it stands at."""

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
    """A profile that is missing, unsafe to read, or wrong."""


class UnknownComponent(UsageError):
    """A type name that no registered source, sink, ... answers to."""


class MissingDriver(UsageError):
    """A driver that is not installed; the hint is the pip command."""


class UnsupportedType(UsageError):
    """A column whose type cannot be carried."""


class LossRefused(UsageError):
    """A declared loss that the manifest does not allow."""


# -- permanent: the chunk is buried with its context -------------------------


class PermanentError(HdmError):
    """Trying again would fail again."""

    recovery = Recovery.BURY


class SchemaDrift(PermanentError):
    """The dataset's schema is not the one that was planned."""


class CheckFailed(PermanentError):
    """An in-flight rule did not hold."""


class RejectedRows(PermanentError):
    """The target refused rows."""


class UnrepresentableValue(PermanentError):
    """A value that the target's type cannot hold; never altered silently."""


class BrokenContract(PermanentError):
    """A connector broke a promise of its template."""


class CorruptFile(PermanentError):
    """A staged file whose size, checksum or row count is not the receipt's."""


class SnapshotLost(PermanentError):
    """The frozen view of the source is gone, and going on could lose rows."""


class SourceChanged(PermanentError):
    """The table that is read is not the one that was planned, or its chunks gave other rows than it had."""


class TiesUnknown(PermanentError):
    """Too many rows share the watermark's value to know which of them are new."""


class Unexpected(PermanentError):
    """A mistake in hdm or in a plugin: an exception that nothing foresaw."""


def unexpected(error: BaseException) -> Unexpected:
    """The error by its class and place. Never by its text, which can quote values."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {'/'.join(frames[-1].filename.split('/')[-2:])}:{frames[-1].lineno}" if frames else ""
    return Unexpected(
        f"unexpected {type(error).__name__}{place}", hint="run again with HDM_DEBUG=1 to see the traceback"
    )


# -- transient: tried again with full jitter ---------------------------------


class TransientError(HdmError):
    """Trying again may succeed."""

    recovery = Recovery.RETRY


class ConnectionLost(TransientError):
    """The other side went away or cannot be reached."""


class UnknownPlace(ConnectionLost):
    """Nobody knows a host, a service or a database by that name. Before a run has reached anything by it,
    that is a mistake in what the user wrote; later it may pass, as in a failover."""


class Throttled(TransientError):
    """The other side asks us to slow down; ``retry_after`` in seconds."""

    def __init__(self, message: str, *, retry_after: float = 0.0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Deadlock(TransientError):
    """A deadlock, a lock time-out or a serialisation failure."""


class MissingParent(TransientError):
    """A foreign key refused rows that refer to others which are not there, or not yet: other chunks of the
    run may bring them."""


# -- the state database: exit code 3 -----------------------------------------


class StateError(HdmError):
    """Trouble with the state database itself."""

    exit_code = 3


class StateUnavailable(StateError):
    """The state database cannot be reached."""

    recovery = Recovery.RETRY


class SchemaOutOfDate(StateError):
    """The state database is older or newer than this hdm."""


class StateMissing(SchemaOutOfDate):
    """Nothing was ever recorded in the database."""


class IllegalTransition(StateError):
    """A state change that the chunk protocol does not know."""


class EpochOpen(StateError):
    """A new plan was asked for while the last one is not closed."""


class LeaseLost(StateError):
    """Another worker holds the chunk now; touch nothing more."""

    recovery = Recovery.YIELD


class Drained(HdmError):
    """The worker was told to stop; what it held was handed back."""

    recovery = Recovery.YIELD
    exit_code = 143
