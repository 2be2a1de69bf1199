"""Tables for people, JSON for programs, secrets for nobody."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from hdm.cli import output
from hdm.cli.output import describe, emit, size
from hdm.config.secrets import Secret
from hdm.config.visible import listed
from hdm.errors import UsageError

ROWS = [{"table": "a b", "rows": 12345, "share": 0.5, "ok": True}, {"table": None, "rows": 7, "ok": False}]


def test_a_table_is_aligned_and_its_numbers_are_to_the_right(capsys):
    emit(ROWS, as_json=False, title="run 1")
    assert capsys.readouterr().out.splitlines() == [
        "run 1",
        "table    rows  share   ok",
        "-----  ------  -----  ---",
        "a b    12,345   0.50  yes",
        "            7          no",
    ]


def test_json_is_one_array_and_nothing_else(capsys):
    emit(ROWS, as_json=True, title="run 1")
    assert json.loads(capsys.readouterr().out) == ROWS


def test_a_table_fits_the_screen_by_leaving_out_and_folding(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    row = {"link": "a -> b", "table": "orders", "note": "more than one line of text " * 2, "none": None}
    emit([row], as_json=False, least=("link", "table"))
    shown = capsys.readouterr().out.splitlines()
    assert max(map(len, shown)) <= 80
    assert "orders" not in shown[1] and shown[0].split() == ["note"]
    assert shown[-1] == "(not shown for want of room: link, table; --json shows all)"
    assert " ".join(shown[1:-1]).split() == row["note"].split()


def test_where_nobody_watches_nothing_is_left_out(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    emit([{"a": "x" * 300, "b": "y" * 300}], as_json=False, least=("a",))
    assert len(capsys.readouterr().out.splitlines()[-1]) == 602


def test_twelve_digits_of_an_id_are_shown(capsys):
    emit([{"run": "0123456789abcdef" * 2, "word": "abc"}], as_json=False)
    assert capsys.readouterr().out.splitlines()[-1] == "0123456789ab  abc"


@pytest.mark.parametrize(("as_json", "shown"), [(False, "no jobs"), (True, "[]")])
def test_nothing_is_said_too(capsys, as_json, shown):
    emit([], as_json=as_json, empty="no jobs")
    assert capsys.readouterr().out.strip() == shown


@pytest.mark.parametrize("as_json", [False, True])
def test_a_secret_is_masked_in_both(capsys, as_json):
    Secret("s3cret-canary")
    emit([{"why": "login s3cret-canary refused"}], as_json=as_json, title="s")
    assert "s3cret-canary" not in capsys.readouterr().out


def test_a_value_stays_on_its_line(capsys):
    emit([{"error": "two\nlines", "chunks": {"dead": 1, "verified": 2}}], as_json=False)
    assert capsys.readouterr().out.splitlines()[-1] == "two lines  dead 1, verified 2"


@pytest.mark.parametrize(
    ("count", "shown"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_500_000, "1.5 MB"), (10**16, "10000.0 TB")],
)
def test_bytes_for_people(count, shown):
    assert size(count) == shown


FORGED = "t\n  run 1: all committed\x1b[2K\u202e"


def test_a_name_cannot_forge_a_line_of_a_table(capsys):
    emit([{"table": FORGED}], as_json=False)
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == 3
    assert shown.replace("\n", "").isprintable()


def test_json_keeps_a_name_and_shows_nothing_unseen(capsys):
    emit([{"table": FORGED}], as_json=True)
    text = capsys.readouterr().out
    assert json.loads(text) == [{"table": FORGED}]
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize("secret", ["table", "1234", '"', "true", "null", "canary-\\n"])
def test_a_secret_that_is_a_word_or_number_leaves_the_json_whole(capsys, secret):
    Secret(secret)
    Secret("s3cret-canary")
    emit([{"rows": 12345, "ok": True, "why": "with s3cret-canary", "n": None}], as_json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["rows"], row["ok"], row["n"], row["why"]) == (12345, True, None, "with ***")


def test_an_error_is_told_in_its_own_lines(capsys):
    error = UsageError("no table 'a\nrun 1: all committed'", hint="write\nanother")
    assert describe(error) == "no table 'a\\nrun 1: all committed'\n  hint: write\\nanother"
    several = UsageError("would lose values:" + listed(["a\nb", "c"]))
    assert describe(several) == "would lose values:\n  a\\nb\n  c"


def test_all_output_of_the_command_line_passes_here():
    folder = Path(output.__file__).parent
    past = {"click.echo", "click.secho", "print", "sys.stdout.write", "sys.stderr.write"}
    for path in sorted(folder.glob("*.py")):
        tree = ast.walk(ast.parse(path.read_text()))
        calls = {ast.unparse(node.func) for node in tree if isinstance(node, ast.Call)}
        if path.name not in ("output.py", "__init__.py"):
            assert not calls & past, path.name


def test_json_has_no_number_that_json_has_not() -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    values = {"a": float("nan"), "b": [float("inf"), -float("inf"), 1.5]}
    found = json.loads(output.json_text(values), parse_constant=refuse)
    assert found == {"a": "NaN", "b": ["Infinity", "-Infinity", 1.5]}
