"""What a catalogue's text may say on a target, and every way to say more that is known."""

from __future__ import annotations

import sys

import pytest

from hdm.catalog.admission import Admission
from hdm.catalog.parsing import Untranslatable

EVERYWHERE = ["postgres", "sqlite", "duckdb", "mysql", "sqlserver"]


@pytest.mark.parametrize(
    ("system", "text"),
    [
        ("postgres", "a > 0 AND lower(b) <> 'x'"),
        ("postgres", "(a)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[])"),
        ("postgres", "'{}'::jsonb"),
        ("postgres", "E'a\\\\b'::text"),
        ("postgres", "pg_catalog.lower(a) = ''"),
        ("postgres", "(now() AT TIME ZONE 'utc'::text)"),
        ("mysql", "`a` in ('x','y') and char_length(`b`) < 9"),
        ("sqlite", "length([a b]) > 2 OR strftime('%Y', c) > '2000'"),
        ("duckdb", "date_trunc('month', d) = d"),
        ("sqlserver", "len([a]) > 0 AND isjson([b]) = 1"),
    ],
)
def test_ordinary_expressions_go_as_they_are(system: str, text: str) -> None:
    assert Admission(system).expression(text) == text


@pytest.mark.parametrize("system", EVERYWHERE)
@pytest.mark.parametrize(
    "text",
    [
        "lo_export(1, '/tmp/x') > 0", "pg_read_file('x') = ''", "dblink('x', 'y') = 1", "load_file('x') = ''",
        "read_csv('x') = 1", "xp_cmdshell('x') = 1", "pg_sleep(9) IS NULL", "load_extension('x') = 1",
        "public.lower(a) = ''", '"public"."lower"(a) = \'\'', "mine(a) > 0", '"lo_export" (1, \'x\') > 0',
        "(SELECT max(a) FROM t) > 0", "a IN (SELECT b FROM t)", "EXISTS (SELECT 1)",
        "a > 0); DROP TABLE x; --",
        "a > 0; SELECT 1", "a > 0) OR (1 = 1", "$$a$$ = a", "a = $1", "a /* b /* c */ = 1",
        "a /*!50000 = 1 */",
        "a = 'x\\'", "a = 'x\\' OR lo_export(1, ''x'') > 0 --'", "a = 'x", "a --x", "a = 1 -- x\rOR b",
        "nextval('other') > 0", "setval('s', 1) > 0", "query_to_xml('x', true, true, '') IS NULL", "a = \0",
        "f/**/(a) = 1", "lower/* */.f(a) = 1", "COPY t TO 'x'", "DELETE FROM t", "a OPERATOR(public.=) b",
    ],
)  # fmt: skip
def test_what_could_run_is_refused(system: str, text: str) -> None:
    with pytest.raises(Untranslatable):
        Admission(system, sequences=frozenset({"s"})).expression(text)


@pytest.mark.parametrize(
    ("system", "text"),
    [
        ("mysql", "a = @@global.secure_file_priv"),
        ("mysql", "a = 1 # b"),
        ("sqlserver", "a = {fn user()}"),
        ("postgres", "a = U&'\\0061'"),
        ("snowflake", "a = 1 // b"),
    ],
)
def test_what_one_system_alone_would_run_is_refused(system: str, text: str) -> None:
    with pytest.raises(Untranslatable):
        Admission(system).expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "WITH x AS (DELETE FROM t RETURNING a) SELECT * FROM x", "SELECT a INTO u FROM t",
        "SELECT a FROM t INTO OUTFILE '/tmp/x'", "SELECT a FROM t FOR UPDATE", "SELECT 1; DROP TABLE t",
        "DROP TABLE t", "SELECT read_csv('x')", "SELECT * FROM pg_ls_dir('/')",
    ],
)  # fmt: skip
@pytest.mark.parametrize("system", EVERYWHERE)
def test_a_view_reads_and_does_nothing_else(system: str, text: str) -> None:
    with pytest.raises(Untranslatable):
        Admission(system).query(text)


def test_a_function_of_the_source_is_not_the_known_one_of_its_name() -> None:
    with pytest.raises(Untranslatable, match="lower"):
        Admission("postgres", own=frozenset({"lower"})).expression("lower(a) = ''")


def test_sequences_that_go_along_may_be_drawn_from() -> None:
    admission = Admission("postgres", sequences=frozenset({'a"b_seq'}))
    text = 'nextval(\'"S.x"."a""b_seq"\'::regclass)'
    assert admission.default(text) == text
    assert Admission("mysql").default("current_timestamp() ON UPDATE current_timestamp()")
    with pytest.raises(Untranslatable):
        Admission("mysql").default("1 ON UPDATE f()")


def test_partitions_choose_neither_folder_nor_engine() -> None:
    admission = Admission("mysql")
    good = "PARTITION BY RANGE (year(`d`)) (PARTITION `p0` VALUES LESS THAN (2000) ENGINE = InnoDB)"
    assert admission.clause(good, ["d"]) == good
    assert Admission("postgres").clause("FOR VALUES FROM (MINVALUE, 'a') TO (10, 'b')", [])
    for bad in (
        good.replace("ENGINE", "DATA DIRECTORY = '/tmp' ENGINE"),
        good.replace("InnoDB", "FEDERATED"),
        good.replace("InnoDB", "'CONNECT'"),
        good.replace("year", "db.f"),
    ):
        with pytest.raises(Untranslatable):
            admission.clause(bad, ["d"])


def test_without_a_parser_only_literals_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    admission = Admission("postgres")
    for text in ("-1", "'it''s'::character varying(9)", "((TRUE))", "CURRENT_TIMESTAMP"):
        assert admission.default(text) == text
    for text in ("lower('x')", "a > 0", "1 + 1", "'x'::text || 'y'"):
        with pytest.raises(Untranslatable, match=r"pip install 'hdm\[catalog\]'"):
            admission.expression(text)
