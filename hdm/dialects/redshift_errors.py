"""Error classes for Amazon Redshift's errors: by SQLSTATE, and by the text of an XX000, which says nothing.

Redshift gives the SQLSTATE XX000 to serialisation failures and to rejected rows alike; their texts differ.
https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation-serializable-isolation-troubleshooting.html
and https://docs.aws.amazon.com/redshift/latest/dg/s3serviceexception-error.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from hdm.dialects.user_input import DENIED
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    Throttled,
    TransientError,
    UsageError,
)

ERRORS: Final[Mapping[str, type[HdmError]]] = {
    "1023": Deadlock, "dropped": Deadlock, "load": RejectedRows, "overflow": RejectedRows,
    "parquet": PermanentError, "s3 access": UsageError, "s3 file": TransientError, "s3 busy": Throttled,
    "08": ConnectionLost, "57P": ConnectionLost, "57014": TransientError, "58": TransientError,
    "XX": TransientError, "53": TransientError, "53300": Throttled, "40": Deadlock, "55P03": Deadlock,
    "25P": TransientError, "22": RejectedRows, "23": RejectedRows, "54": RejectedRows,
    "28": UsageError, "3D": UsageError, "3F": UsageError, "42501": UsageError, "25006": UsageError,
    "42": PermanentError, "42P01": SchemaDrift, "42703": SchemaDrift, "42804": SchemaDrift,
    "0A": PermanentError, "55": PermanentError, "2BP01": PermanentError,
}  # fmt: skip
"""SQLSTATE, or its beginning, or a word of ``TEXTS`` -> error class; the longest match counts."""
TEXTS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(text, re.IGNORECASE), word)
    for text, word in (
        (r"\A1023\b|serializable isolation violation", "1023"),
        (r"dropped by concurrent transaction", "dropped"),
        (r"S3ServiceException.*(SlowDown|ServiceUnavailable|InternalError)", "s3 busy"),
        (r"S3ServiceException.*(Access ?Denied|Forbidden|,Status 403)|not authorized to assume", "s3 access"),
        (r"S3ServiceException|key does not exist|mandatory file|manifest", "s3 file"),
        (r"incompatible Parquet schema|Spectrum Scan Error", "parquet"),
        (r"stl_load_errors|sys_load_error_detail|\ALoad into table", "load"),
        (r"(numeric|float|integer).*overflow|value too long|value out of range", "overflow"),
    )
)
"""What the text of an error with SQLSTATE XX000 or none says -> the word by which it is classified."""
HINTS: Final[Mapping[str, str]] = {
    "load": "SELECT * FROM sys_load_error_detail (or stl_load_errors) tells column and reason",
    "s3 access": "GRANT ASSUMEROLE ON the role of iam_role: to the user FOR COPY, and let the role read the "
    "bucket of staging:",
    "parquet": "a staged file has another type than its column; load it without the stage between",
    "42501": DENIED,
}
