"""The grants scripts: what a server would run, and what ``hdm doctor`` makes of it."""

from __future__ import annotations

import pytest
import sqlglot

from hdm.dialects import dialect, grants

DIALECTS = {
    "postgres": "postgres", "mysql": "mysql", "sqlserver": "tsql", "oracle": "oracle",
    "snowflake": "snowflake", "netezza": "postgres", "teradata": "teradata", "hana": "postgres",
    "bigquery": "bigquery",
    "redshift": "postgres",
}  # fmt: skip
ONLY_READ = ("teradata", "hana")
KNOWN = ("GRANT", "ALTER DATABASE", "ALTER USER")


@pytest.mark.parametrize("name", DIALECTS)
def test_every_line_of_a_script_is_a_statement_a_heading_or_a_comment(name):
    text = grants.script(name)
    given = [one for part in grants.parts(name).values() for one in part.values()]
    for line in filter(None, text.splitlines()):
        code = line.partition("  -- ")[0]
        assert line.startswith("-- ") or (code in given and code.startswith(KNOWN)), line
        assert len(line) < 161
    for code in given:
        (one,) = filter(None, sqlglot.parse(code, read=DIALECTS[name]))
        assert one.key in ("grant", "command", "alter"), code  # a command: sqlglot knows its first word only


@pytest.mark.parametrize("name", DIALECTS)
def test_every_part_that_is_needed_has_rights_and_every_name_can_be_filled_in(name):
    assert dialect(name).grants_script == name
    parts = grants.parts(name)
    assert {"source"} <= set(parts) and ("sink" in parts or name in ONLY_READ)
    known = ("user", "role", "database", "schema", "table", "warehouse", "tablespace", "stage")
    for part, rights in parts.items():
        for right in rights:
            made = grants.statement(name, part, right, {word: f'"{word}"' for word in known})
            assert "hdm_" not in made, made


def test_a_name_that_is_not_known_stays_for_the_reader():
    made = grants.statement("oracle", "sink", "CREATE TABLE", {})
    assert made == "GRANT CREATE TABLE TO hdm_user;"
    assert grants.rights("", "sink") == [] and grants.rights("oracle", "merge") == []
