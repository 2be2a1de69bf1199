"""Translates errors of Google Cloud Storage to hdm's; the driver's texts are never quoted.

Codes: https://cloud.google.com/storage/docs/json_api/v1/status-codes
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hdm.components import unreachable
from hdm.errors import ConnectionLost, HdmError, MissingDriver, Throttled, TransientError, UsageError

_SLOW = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"}
_KEPT = {"retentionPolicyNotMet", "objectUnderActiveHold"}
_GRANTS = {
    "objects.insert": "storage.objects.create",
    "objects.get": "storage.objects.get and storage.objects.list (without which an object that does not "
    "exist is denied)",
    "objects.list": "storage.objects.list",
    "objects.delete": "storage.objects.delete",
}


class DigestRefused(TransientError):
    """Error: the server computed another checksum than the one that was sent with the bytes."""


@contextmanager
def gcs_errors(call: str, where: str) -> Iterator[None]:
    """Translate failures of a request to Google Cloud Storage in the ``with`` block to hdm's errors.

    ``call`` is the method's name in the JSON API, ``where`` the address of its object. Two exceptions are
    answers for the caller: ``FileNotFoundError`` says that there is no such object, generation or bucket,
    ``FileExistsError`` that there is one already or that it has changed.
    """
    try:
        import requests
        from google.api_core import exceptions as api
        from google.auth import exceptions as auth
        from google.cloud.storage import exceptions as storage
    except ImportError:
        raise no_driver() from None
    try:
        yield
    except (api.GoogleAPICallError, storage.InvalidResponse) as error:
        raise _answered(error, call, where) from None
    except storage.DataCorruption:
        raise DigestRefused(f"bytes changed on their way: {call} on {where}") from None
    except auth.TransportError as error:
        raise unreachable.failed(error, f"the connection to Google's login for {where} failed") from None
    except auth.GoogleAuthError as error:
        if getattr(error, "retryable", False):
            raise ConnectionLost(f"Google's login for {where} failed: {type(error).__name__}") from None
        raise UsageError(
            f"no credentials for {where}: {type(error).__name__}",
            hint="give `credentials_file:` or `credentials_json:` in the connection, or log in again by "
            "`gcloud auth application-default login`",
        ) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
        raise UsageError(
            f"{where} cannot be addressed: {type(error).__name__}", hint="correct `endpoint_url:`"
        ) from None
    except requests.exceptions.SSLError as error:
        raise ConnectionLost(
            f"no trusted TLS connection to {where}{unreachable.at(error)}",
            hint="correct `endpoint_url:`, or name the CA as `ca_bundle:`",
        ) from None
    except api.RetryError as error:
        last = error.cause
        if isinstance(last, api.GoogleAPICallError | storage.InvalidResponse):
            raise _answered(last, call, where) from None
        raise unreachable.failed(last or error, f"the connection to {where} failed") from None
    except (requests.RequestException, ConnectionError, TimeoutError) as error:
        raise unreachable.failed(error, f"the connection to {where} failed") from None


def no_driver() -> MissingDriver:
    """Return the error that says which extra of hdm to install for Google Cloud Storage."""
    return MissingDriver("Google Cloud Storage needs google-cloud-storage", hint="pip install 'hdm[gcs]'")


def _answered(error: Any, call: str, where: str) -> HdmError | OSError:
    response = getattr(error, "response", None)
    status = int(getattr(error, "code", None) or getattr(response, "status_code", None) or 0)
    reason, said = _told(response)
    what = f"{call} on {where}: {reason or status}"
    if status in (404, 410):
        return FileNotFoundError(what)
    if status == 412:
        return FileExistsError(what)
    if status in (429, 503) or reason in _SLOW:
        wait = str(getattr(response, "headers", {}).get("retry-after", ""))
        return Throttled(
            f"Google asks to slow down: {what}", retry_after=float(wait) if wait.isdigit() else 0.0
        )
    if status == 400 and ("CRC32C" in said or "MD5" in said):
        return DigestRefused(f"bytes changed on their way: {what}")
    if status == 401:
        return UsageError(f"Google refused the credentials: {what}", hint="correct them in the connection")
    if status == 403 and reason in _KEPT:
        return UsageError(
            f"the bucket's retention policy or a hold keeps {what}",
            hint="stage below a prefix or in a bucket without one, or leave `keep:` out",
        )
    if status == 403:
        return UsageError(
            f"Google denied {what}", hint=f"grant {_GRANTS.get(call, call)} on the bucket, or enable billing"
        )
    if status in (400, 413, 414):
        return UsageError(f"Google refused {what}", hint="correct `bucket_name:` or `prefix:`")
    return TransientError(f"Google refused {what}")


def _told(response: Any) -> tuple[str, str]:
    """Return the reason code in an answer of the JSON API, and its message, which is never shown."""
    try:
        body = response.json()["error"]
        errors = body.get("errors") or [{}]
        return str(errors[0].get("reason", "")), str(body.get("message", ""))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        return "", ""
