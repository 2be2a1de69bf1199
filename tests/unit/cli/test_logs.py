"""Logging: text or JSON, from a file if there is one, masked whatever the form."""

from __future__ import annotations

import json
import logging

import pytest

from hdm.cli import logs
from hdm.config.secrets import Secret
from hdm.errors import ManifestError, UsageError


@pytest.fixture(autouse=True)
def as_before():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_secret_is_masked_in_message_and_traceback(capsys, form):
    Secret("s3cret-canary")
    logs.set_up(form, None, "info")
    try:
        raise ValueError("password s3cret-canary")
    except ValueError:
        logging.getLogger("hdm.x").exception("with %s", "s3cret-canary")
    said = capsys.readouterr().err
    assert "ValueError" in said
    assert "s3cret-canary" not in said


def test_json_is_one_object_a_line(capsys):
    logs.set_up("json", None, "info")
    logging.getLogger("hdm.x").info("two\nlines %d", 7)
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["event"], found["level"], found["logger"]) == ("log", "info", "hdm.x")
    assert found["message"] == "two\nlines 7"
    assert "exception" not in found


def test_below_the_level_nothing_is_said(capsys):
    logs.set_up("text", None, "warning")
    logging.getLogger("hdm.x").info("quiet")
    assert capsys.readouterr().err == ""


def test_the_users_settings_are_taken_and_masked(tmp_path):
    Secret("s3cret-canary")
    target, settings = tmp_path / "own.log", tmp_path / "log.yml"
    settings.write_text(
        f"handlers: {{file: {{class: logging.FileHandler, filename: '{target}'}}}}\n"
        "root: {handlers: [file], level: INFO}\n"
    )
    logs.set_up("text", str(settings), "error")
    logging.getLogger("hdm.x").info("key s3cret-canary")
    for handler in logging.getLogger().handlers:
        handler.close()
    assert target.read_text().startswith("key ")
    assert "s3cret-canary" not in target.read_text()


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: [", 1, "not valid YAML"),
        ("ok: 1\n  bad: 2", 2, "not valid YAML"),
        ("- a", 1, "expected a mapping"),
        ("root: {handlers: [none]}", 1, "none"),
        ("handlers: {h: {class: no.such.Handler}}", 1, "no"),
    ],
)
def test_bad_settings_are_named_with_file_and_line(tmp_path, text, line, said):
    path = tmp_path / "log.yml"
    path.write_text(text)
    with pytest.raises(ManifestError, match=said) as wrong:
        logs.set_up("text", str(path), "info")
    assert wrong.value.message.startswith(f"{path}:{line}:1: ")


def test_settings_that_are_not_there_are_the_users_mistake(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        logs.set_up("text", str(tmp_path / "none.yml"), "info")
