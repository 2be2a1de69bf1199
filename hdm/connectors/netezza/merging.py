"""Merges rows into a table whose distribution columns change, which Netezza cannot update.

https://www.ibm.com/docs/en/psfa/7.2.1?topic=appliance-distribution-keys
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from hdm.model import Table
from hdm.sql import Database

_DISTRIBUTED = """SELECT ATTNAME FROM _V_TABLE_DIST_MAP
WHERE SCHEMA = ? AND TABLENAME = ? AND DATABASE = CURRENT_CATALOG"""


class MovesRows(Database):
    """A Netezza database that deletes and inserts rows where an UPDATE would set a distribution column."""

    def merging(self, connection: Any, held: Table, stage: Sequence[str], **how: Any) -> list[str]:
        """Return the statements of a merge, without UPDATE if that would set a distribution column.

        Rows that are replaced keep the values of columns that only the table has.
        """
        dialect = self.dialect
        known = dialect.merge(held.path, stage, **how)
        columns, key = how["columns"], how["key"]
        null_keys, exact, newest = how["null_keys"], how["exact"], how["newest"]
        rows = self.run(connection, _DISTRIBUTED, held.path[-2:])
        if not {str(row[0]) for row in rows} & {name for name in columns if name not in key}:
            return known
        quote = dialect.quote
        into, of = dialect.qualify(held.path), dialect.qualify(stage)
        spare = quote(f"_HDM_MOVED_{uuid.uuid4().hex}".upper())
        joint, test = (" OR ", "IS NULL") if null_keys else (" AND ", "IS NOT NULL")
        only = "(" + joint.join(f"s.{quote(name)} {test}" for name in key) + ")"
        newer = f" AND {dialect.not_older('s', 't', newest)}" if newest else ""
        same = dialect.match("t", "s", key, null_safe=null_keys, exact=exact)
        both = f"FROM {of} s JOIN {into} t ON {same} WHERE {only}{newer}"
        every = [column.name for column in held.columns]
        shown = ", ".join(f"{'s' if name in columns else 't'}.{quote(name)}" for name in every)
        return [
            f"CREATE TEMP TABLE {spare} AS SELECT {shown}, t.ROWID AS hdm_at {both} DISTRIBUTE ON RANDOM",
            f"DELETE FROM {into} WHERE ROWID IN (SELECT hdm_at FROM {spare})",
            f"INSERT INTO {into} ({dialect.names(every)}) SELECT {dialect.names(every)} FROM {spare}",
            f"DROP TABLE {spare}",
            known[-1],
        ]
