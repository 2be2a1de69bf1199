"""Statements that mean the same for every way of cutting rows into batches, and those that do not."""

from __future__ import annotations

import pyarrow as pa
import pytest

from hdm.errors import UsageError
from hdm.model import Column, Dataset, Kind, Table
from hdm.runtime.transform import Transform

COLUMNS = (Column("a", Kind.INT64, pa.int64()), Column("b", Kind.TEXT, pa.string()))
TABLE = Table(Dataset("file", "t"), ("t",), COLUMNS)

ROW_BY_ROW = [
    "SELECT a, upper(b) AS b FROM batch WHERE a > 1",
    "FROM Batch SELECT a",
    "WITH x AS (SELECT a FROM batch) SELECT * FROM x",
    "SELECT a, (SELECT max(x) FROM (VALUES (a), (2)) t(x)) AS most FROM batch",
    "SELECT a, w FROM batch JOIN (VALUES (1, 'x')) v(k, w) ON a = k",
    "SELECT list_sum([a]) AS s, coalesce(a, 1) AS c, a::VARCHAR AS t FROM batch",
    "SELECT * REPLACE (upper(b) AS b) FROM batch ORDER BY a",
    "SELECT a FROM (SELECT a FROM batch WHERE a IN (1, 2)) s",
    "SELECT CASE WHEN a < 0 THEN error('negative') ELSE a END AS a FROM batch",
]
BY_BATCH = {
    "SELECT count(*) AS n FROM batch": "the aggregate count_star()",
    "SELECT sum(a) FILTER (a > 1) AS s FROM batch": "the aggregate sum()",
    "SELECT upper(max(b)) AS b FROM batch": "the aggregate max()",
    "SELECT geomean(a) AS g FROM batch": "the aggregate avg()",
    "SELECT a FROM batch HAVING count(*) > 1": "the aggregate",
    "WITH x AS (SELECT max(a) AS m FROM batch) SELECT m FROM x": "the aggregate max()",
    "SELECT a FROM batch GROUP BY a": "GROUP BY",
    "SELECT a FROM batch GROUP BY ALL": "GROUP BY",
    "SELECT a FROM batch LIMIT 1": "LIMIT",
    "SELECT a FROM batch ORDER BY a LIMIT 10%": "LIMIT",
    "SELECT a FROM batch OFFSET 1": "OFFSET",
    "SELECT * FROM (SELECT a FROM batch LIMIT 3) t": "LIMIT",
    "SELECT DISTINCT a FROM batch": "DISTINCT",
    "SELECT DISTINCT ON (a) a, b FROM batch": "DISTINCT",
    "SELECT a, row_number() OVER () AS r FROM batch": "the window function row_number",
    "SELECT a FROM batch QUALIFY lag(a) OVER (ORDER BY a) = 1": "the window function lag",
    "SELECT a FROM batch UNION ALL SELECT 1": "UNION",
    "SELECT a FROM batch EXCEPT SELECT 1": "EXCEPT",
    "SELECT a FROM batch USING SAMPLE 10%": "SAMPLE",
    "SELECT a FROM batch WHERE a = (SELECT max(a) FROM batch)": "it reads batch more than once",
    "SELECT a FROM batch x WHERE EXISTS (SELECT 1 FROM batch y WHERE y.a > x.a)": "more than once",
    "WITH x AS (SELECT a FROM batch) SELECT x.a FROM x, x AS y": "it reads x more than once",
    "SELECT 1 AS x": "it does not read batch",
    "VALUES (1)": "it does not read batch",
    "SELECT a, random() AS r FROM batch": "random() gives another value each time",
    "SELECT a, now() AS n FROM batch": "now() gives another value each time",
    "SELECT a, current_timestamp AS n FROM batch": "current_timestamp gives another value each time",
    "SELECT a, uuid() AS u FROM batch": "uuid() gives another value each time",
    "SELECT rowid AS r, a FROM batch": "rowid gives another value each time",
}


@pytest.mark.parametrize("sql", ROW_BY_ROW)
@pytest.mark.slow
def test_what_maps_and_filters_rows_is_taken(sql: str) -> None:
    assert Transform(sql, TABLE).table.columns


@pytest.mark.parametrize("sql", BY_BATCH)
@pytest.mark.slow
def test_what_depends_on_batches_is_refused_by_name(sql: str) -> None:
    with pytest.raises(UsageError) as refused:
        Transform(sql, TABLE)
    assert BY_BATCH[sql] in refused.value.message
    assert "query:" in str(refused.value.hint)


@pytest.mark.slow
def test_a_column_of_that_name_is_a_column() -> None:
    table = Table(TABLE.dataset, TABLE.path, (Column("rowid", Kind.INT64, pa.int64()),))
    assert Transform("SELECT rowid FROM batch", table).table == table
