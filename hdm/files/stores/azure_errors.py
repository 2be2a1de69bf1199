"""Translates errors of Azure Blob Storage to hdm's; the driver's texts are never quoted.

Codes: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hdm.components import unreachable
from hdm.errors import HdmError, MissingDriver, Throttled, TransientError, UsageError

_TAKEN = {"BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet"}
_DENIED = {
    "AuthorizationFailure", "AuthorizationPermissionMismatch", "InsufficientAccountPermissions",
    "AuthorizationResourceTypeMismatch", "AuthorizationServiceMismatch", "AuthorizationProtocolMismatch",
    "AuthorizationSourceIPMismatch", "PublicAccessNotPermitted",
}  # fmt: skip
_DIGEST = {"Md5Mismatch", "Crc64Mismatch", "InvalidMd5"}


class DigestRefused(TransientError):
    """Error: the server computed another checksum than the one that was sent with the bytes."""


@contextmanager
def azure_errors(call: str, where: str) -> Iterator[None]:
    """Translate failures of an Azure request in the ``with`` block to hdm's errors.

    ``call`` names the request, ``where`` its object. Two exceptions are answers for the caller:
    ``FileNotFoundError`` says that there is no such blob, ``FileExistsError`` that there is one already or
    that it has changed.
    """
    try:
        from azure.core import exceptions as azure
    except ImportError:
        raise no_driver() from None
    try:
        yield
    except azure.HttpResponseError as error:
        raise _answered(error, call, where) from None
    except (azure.AzureError, ConnectionError, TimeoutError) as error:
        raise unreachable.failed(error, f"the connection to {where} failed") from None
    except ValueError:
        raise UsageError(
            f"{where} cannot be reached with these credentials",
            hint="correct the keys or URL in the connection",
        ) from None


def no_driver() -> MissingDriver:
    """Return the error that says which extra of hdm to install for Azure."""
    return MissingDriver("Azure needs azure-storage-blob", hint="pip install 'hdm[azure]'")


def _answered(error: Any, call: str, where: str) -> HdmError | OSError:
    status = error.status_code or 0
    code = str(getattr(error.error_code, "value", None) or error.error_code or status)
    what = f"{call} on {where}: {code}"
    if code in ("ContainerNotFound", "ContainerBeingDeleted"):
        return UsageError(
            f"the container of {where} does not exist", hint="create it, or correct `container:`"
        )
    if status == 404:
        return FileNotFoundError(what)
    if code in _TAKEN or status == 412:
        return FileExistsError(what)
    if status in (429, 503) or code in ("ServerBusy", "OperationTimedOut"):
        wait = str((error.response.headers if error.response else {}).get("retry-after", ""))
        return Throttled(
            f"Azure asks to slow down: {what}", retry_after=float(wait) if wait.isdigit() else 0.0
        )
    if code in _DIGEST:
        return DigestRefused(f"bytes changed on their way: {what}")
    if code in _DENIED:
        return UsageError(
            f"Azure denied {what}",
            hint="correct the key in the connection, or grant Storage Blob Data Contributor on the "
            "container, or a SAS with read, add, create, write, delete and list",
        )
    if status in (401, 403):
        return UsageError(
            f"Azure refused the credentials: {what}", hint="correct or renew them in the connection"
        )
    if code in ("InvalidResourceName", "OutOfRangeInput", "InvalidUri"):
        return UsageError(f"Azure refused {what}", hint="correct `container:` or `prefix:`")
    return TransientError(f"Azure refused {what}")
