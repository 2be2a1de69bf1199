"""Classifies a driver's errors: by the database's own code, by SQLSTATE, and last by the driver's class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hdm.dialects.sqlstates import longest
from hdm.errors import ConnectionLost, HdmError, PermanentError, TransientError

_PASSING = frozenset({"OperationalError", "InterfaceError", "InternalError"})
"""DB-API classes of errors that are not the statement's fault (https://peps.python.org/pep-0249/#exceptions)."""


class Classifying:
    """The part of a dialect that tells what to do after an error of a driver."""

    name: ClassVar[str] = ""
    errors: ClassVar[Mapping[str, type[HdmError]]] = {}
    """Error code, or its beginning -> error class of hdm; the longest match counts."""
    states: ClassVar[Mapping[str, type[HdmError]]] = {}
    """SQLSTATE, or its beginning -> error class, for codes that ``errors`` does not know."""
    repeats_unknown: ClassVar[bool] = True
    """Whether an error with a code of which nothing is known is tried again, whatever the driver's class."""

    def code(self, error: BaseException) -> str | None:
        """Return the database's own code of a driver's error (SQLSTATE, errno, ORA-...), or None."""
        return None

    def state(self, error: BaseException) -> str | None:
        """Return the SQLSTATE of a driver's error, if it is told beside the code; else None."""
        return None

    def describe_error(self, error: BaseException) -> str:
        """Return what may be shown of an error, without its text, because that can quote values."""
        code = self.code(error) or self.state(error)
        return f"{self.name} {type(error).__name__}" + (f" {code}" if code else "")

    def classify(self, error: BaseException) -> HdmError:
        """Return hdm's error for a driver's error, by its code, else by its SQLSTATE.

        An error without either counts as transient. One whose code and state are not known does so if
        ``repeats_unknown`` is set or ``may_pass`` is true. An error of hdm is returned as it is.
        """
        if isinstance(error, HdmError):
            return error
        if isinstance(error, ConnectionError | TimeoutError):
            return ConnectionLost(f"{self.name}: the connection broke ({type(error).__name__})")
        code, state = self.code(error) or "", self.state(error) or ""
        kind = longest(self.errors, code) or longest(self.states, state)
        if kind is not None:
            return kind(self.describe_error(error), hint=self.hint_for(error) or self.hint(code or state))
        if (code or state) and not self.repeats_unknown and not self.may_pass(error):
            return PermanentError(
                self.describe_error(error),
                hint=self.hint_for(error) or "nothing is known of this code; if it has passed: hdm retry",
            )
        return TransientError(self.describe_error(error))

    def may_pass(self, error: BaseException) -> bool:
        """Return True if the driver's class for an error says that it is not the statement's fault."""
        return any(kind.__name__ in _PASSING for kind in type(error).__mro__)

    def hint(self, code: str) -> str | None:
        """Return a hint, for an error code, on what the operator can do; None if there is none."""
        return None

    def hint_for(self, error: BaseException) -> str | None:
        """Return a hint on what the operator can do about an error whose code does not tell; None if none."""
        return None

    def is_duplicate(self, error: BaseException) -> bool:
        """Return True if the error says that a row with this key exists already; by default False."""
        return False
