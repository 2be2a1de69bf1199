"""Logging of a command: where records go, in which form, and that no secret is in them."""

from __future__ import annotations

import copy
import json
import logging
import logging.config
from datetime import UTC, datetime
from typing import Any

import yaml

from hdm.config.secrets import redact
from hdm.errors import ManifestError, UsageError


class RedactingFormatter(logging.Formatter):
    """Masks secrets in the message and traceback, and again in the final text: the inner formatter
    may quote what is quoted already, as JSON does, so that a secret would not be known again."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The record as the inner formatter writes it, masked."""
        masked = copy.copy(record)
        masked.msg, masked.args = redact(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            masked.exc_text = self._inner.formatException(record.exc_info)
        if masked.exc_text:
            masked.exc_text = redact(masked.exc_text)
        return redact(self._inner.format(masked))


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """time, level, logger, message and, if there is one, the exception."""
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
        return json.dumps(body, ensure_ascii=False)


def set_up(log_format: str, settings: str | None, level: str) -> None:
    """Configure logging once for this process.

    Raises ``UsageError`` if the settings file cannot be read or applied.
    """
    if settings:
        _from_file(settings)
    else:
        handler = logging.StreamHandler()
        text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        handler.setFormatter(JsonFormatter() if log_format == "json" else text)
        root = logging.getLogger()
        root.handlers[:] = [handler]
        root.setLevel(level.upper())
    _mask_all()


def _from_file(path: str) -> None:
    try:
        with open(path, encoding="utf-8") as stream:
            settings = yaml.safe_load(stream)
    except OSError as wrong:
        raise UsageError(f"log settings {path}: {wrong.strerror}") from wrong
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


def _mask_all() -> None:
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    for logger in loggers:
        for handler in logger.handlers:
            inner = handler.formatter or logging.Formatter()
            if not isinstance(inner, RedactingFormatter):
                handler.setFormatter(RedactingFormatter(inner))
