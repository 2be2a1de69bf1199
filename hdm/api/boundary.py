"""Turns every exception that leaves hdm's Python API into an ``HdmError`` without secrets."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from hdm.config.located import ManifestErrors
from hdm.config.secrets import redact
from hdm.errors import HdmError, unexpected

P = ParamSpec("P")
R = TypeVar("R")


def guarded(function: Callable[P, R]) -> Callable[P, R]:
    """Return a version of ``function`` that raises only ``HdmError``, with secrets masked.

    Any other exception, whose text may quote row values, becomes ``Unexpected``; with HDM_DEBUG set it is
    kept as the cause.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except HdmError as error:
            _mask(error)
            raise
        except Exception as mistake:  # noqa: BLE001 -- a defect of hdm or of a plugin
            raise unexpected(mistake) from (mistake if os.environ.get("HDM_DEBUG") else None)

    return call


def _mask(error: HdmError) -> None:
    for one in (error, *(error.errors if isinstance(error, ManifestErrors) else ())):
        one.message = redact(one.message)
        one.hint = redact(one.hint) if one.hint else one.hint
        one.args = (one.message,)
