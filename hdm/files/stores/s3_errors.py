"""Translates errors of S3 to hdm's; the driver's texts are never quoted.

Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hdm.components import unreachable
from hdm.errors import ConnectionLost, HdmError, MissingDriver, Throttled, TransientError, UsageError

_SLOW = {
    "SlowDown",
    "503",
    "429",
    "RequestLimitExceeded",
    "Throttling",
    "TooManyRequests",
    "ServiceUnavailable",
}
_ABSENT = {"NoSuchKey", "404", "NotFound", "NoSuchUpload"}
_TAKEN = {"PreconditionFailed", "412"}
_WHO = {
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "InvalidSecurity",
    "TokenRefreshRequired", "AuthorizationHeaderMalformed", "RequestTimeTooSkewed", "CredentialsNotSupported",
}  # fmt: skip
_DIGEST = {"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"}
_DENIED = {"AccessDenied", "403", "AllAccessDisabled", "AccountProblem", "Forbidden"}
_READ = "s3:GetObject and s3:ListBucket (without which S3 denies objects that do not exist)"
_GRANTS = {
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "GetObject": _READ,
    "HeadObject": _READ,
    "ListObjectsV2": "s3:ListBucket",
    "DeleteObject": "s3:DeleteObject",
}


class DigestRefused(TransientError):
    """Error: the server computed another checksum than the one that was sent with the bytes."""


@contextmanager
def s3_errors(where: str) -> Iterator[None]:
    """Translate failures of S3 requests about ``where`` in the ``with`` block to hdm's errors.

    Two exceptions are answers for the caller: ``FileNotFoundError`` says that there is no such object,
    ``FileExistsError`` that there is one already or that it has changed.
    """
    try:
        from botocore import exceptions as boto
        from urllib3.exceptions import HTTPError
    except ImportError:
        raise MissingDriver("S3 needs boto3", hint="pip install 'hdm[s3]'") from None

    try:
        yield
    except boto.ClientError as error:
        raise _answered(error, where) from None
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.ProfileNotFound) as error:
        raise UsageError(
            f"no credentials for {where}: {type(error).__name__}",
            hint="give `profile:` or `aws_access_key_id:` and `aws_secret_access_key:` in the connection",
        ) from None
    except (boto.SSOError, boto.CredentialRetrievalError, boto.NoAuthTokenError) as error:
        raise UsageError(
            f"the credentials for {where} cannot be had: {type(error).__name__}", hint="log in again"
        ) from None
    except (boto.ParamValidationError, boto.InvalidRegionError, boto.NoRegionError) as error:
        raise UsageError(
            f"{where} cannot be addressed: {type(error).__name__}",
            hint="correct `bucket_name:` in the manifest, or `region:` in the connection",
        ) from None
    except boto.SSLError as error:
        raise ConnectionLost(
            f"no trusted TLS connection to {where}{unreachable.at(error)}",
            hint="correct `endpoint_url:`, or name the CA as `ca_bundle:`",
        ) from None
    except (boto.BotoCoreError, HTTPError, ConnectionError, TimeoutError) as error:
        raise unreachable.failed(error, f"the connection to {where} failed") from None


def _answered(error: Any, where: str) -> HdmError | OSError:
    answer = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    said = answer.get("ResponseMetadata", {})
    status, call = said.get("HTTPStatusCode", 0), error.operation_name
    what = f"{call} on {where}: {code or status}"
    if code == "NoSuchBucket":
        return UsageError(
            f"the bucket of {where} does not exist", hint="create it, or correct `bucket_name:`"
        )
    if code in _ABSENT:
        return FileNotFoundError(what)
    if code in _TAKEN:
        return FileExistsError(what)
    if code in _SLOW or status in (429, 503):
        wait = said.get("HTTPHeaders", {}).get("retry-after", "")
        return Throttled(f"S3 asks to slow down: {what}", retry_after=float(wait) if wait.isdigit() else 0.0)
    if code in _DIGEST:
        return DigestRefused(f"bytes changed on their way: {what}")
    if code in _WHO:
        return UsageError(f"S3 refused the credentials: {what}", hint="correct them in the connection")
    if code in _DENIED:
        missing = _GRANTS.get(call, f"s3:{call}")
        return UsageError(f"S3 denied {what}", hint=f"grant {missing}, and the KMS key if there is one")
    if code in ("PermanentRedirect", "301", "IllegalLocationConstraintException"):
        return UsageError(f"the bucket is in another region: {what}", hint="set `region:` in the connection")
    if code in ("InvalidBucketName", "InvalidArgument", "KMS.NotFoundException", "KMS.DisabledException"):
        return UsageError(f"S3 refused {what}", hint="correct the bucket, prefix or KMS key of the sink")
    return TransientError(f"S3 refused {what}")
