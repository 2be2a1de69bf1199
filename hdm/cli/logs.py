"""Sets up the logging of a command: where log records go, in which form, with secrets masked."""

from __future__ import annotations

import configparser
import copy
import logging
import logging.config
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from hdm.cli.output import json_text
from hdm.config.secrets import redact
from hdm.config.visible import one_line, visible
from hdm.errors import ManifestError, UsageError

RUN = "hdm.run"
"""The logger of ``hdm.api.run_log``."""


class RedactingFormatter(logging.Formatter):
    """A log formatter that masks secrets in the message, in the traceback and in the final text.

    Message and traceback are masked before the inner formatter runs, because it may escape characters (as
    JSON does), so that a secret in its output would not be recognised.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return a log record with secrets masked, as the inner formatter writes it."""
        masked = copy.copy(record)
        text = redact(record.getMessage())
        masked.msg, masked.args = (text if isinstance(self._inner, JsonFormatter) else one_line(text)), None
        if record.exc_info and not record.exc_text:
            masked.exc_text = self._inner.formatException(record.exc_info)
        if masked.exc_text:
            masked.exc_text = redact(masked.exc_text)
        return visible(redact(self._inner.format(masked)))


class JsonFormatter(logging.Formatter):
    """A log formatter that writes one JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a log record as JSON: time, level, logger, message and, if there is one, the exception."""
        body: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "event": "log",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text:
            body["exception"] = record.exc_text
        elif record.exc_info:
            body["exception"] = self.formatException(record.exc_info)
        return json_text(body)


def set_up(log_format: str, settings: str | None, level: str) -> None:
    """Set up logging for this process, by the file ``settings`` or else on standard error.

    Without a file, records of ``level`` and above are written as text or, with ``log_format`` json, as JSON
    lines. Raises ``UsageError`` if the file cannot be read or applied.
    """
    if settings:
        _from_file(settings)
    else:
        handler = logging.StreamHandler()
        text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        handler.setFormatter(JsonFormatter() if log_format == "json" else text)
        if level.lower() not in ("debug", "info"):
            handler.addFilter(lambda record: record.name != RUN)  # the command prints these itself
        root = logging.getLogger()
        root.handlers[:] = [handler]
        root.setLevel(level.upper())
    _mask_all()


def _from_file(path: str) -> None:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as wrong:
        raise UsageError(f"log settings {path}: {wrong.strerror}") from wrong
    except UnicodeDecodeError as wrong:
        raise UsageError(f"log settings {path}: not UTF-8 text") from wrong
    if re.match(r"\s*(?:[#;][^\n]*\n\s*)*\[\w+\]", text):
        _from_ini(path)
        return
    try:
        settings = yaml.safe_load(text)
    except yaml.YAMLError as wrong:
        mark = getattr(wrong, "problem_mark", None)
        line = mark.line + 1 if mark else 0
        raise ManifestError("not valid YAML", file=path, line=line, column=1) from wrong
    if not isinstance(settings, dict):
        raise ManifestError(
            "expected a mapping in the form of logging.config.dictConfig", file=path, line=1, column=1,
            hint="begin with: version: 1",
        )  # fmt: skip
    settings.setdefault("version", 1)
    settings.setdefault("disable_existing_loggers", False)
    try:
        logging.config.dictConfig(settings)
    except (ValueError, TypeError, AttributeError, ImportError) as wrong:
        cause = wrong.__cause__ or wrong
        raise ManifestError(f"{wrong}: {cause}", file=path, line=1, column=1) from wrong


def _from_ini(path: str) -> None:
    """Apply an INI file: https://docs.python.org/3/library/logging.config.html#configuration-file-format."""
    try:
        logging.config.fileConfig(path, disable_existing_loggers=False, encoding="utf-8")
    except (
        configparser.Error,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        ImportError,
        OSError,
    ) as wrong:
        raise ManifestError(
            f"{type(wrong).__name__}: {wrong}",
            file=path,
            line=1,
            column=1,
            hint="it needs the sections [loggers], [handlers] and [formatters] with their keys",
        ) from wrong


def _mask_all() -> None:
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    for logger in loggers:
        for handler in logger.handlers:
            inner = handler.formatter or logging.Formatter()
            if not isinstance(inner, RedactingFormatter):
                handler.setFormatter(RedactingFormatter(inner))
