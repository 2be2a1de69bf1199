"""Classes, meanings and hints for the error numbers of MySQL and MariaDB.

https://mariadb.com/kb/en/mariadb-error-code-reference/ and
https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hdm.dialects.user_input import DENIED, WRITES
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    MissingParent,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    Throttled,
    TransientError,
    UsageError,
)

_GROUPS: tuple[tuple[type[HdmError], str], ...] = (
    (Deadlock, "1020 1205 1213 1614 3058 3572"),
    (ConnectionLost, "1053 1077 1079 1152 1158 1159 1160 1161 1184 1927 2002 2003 2006 2013 2014 2055 4031"),
    (Throttled, "1040 1203 1226"),
    (TransientError, "1021 1041 1114 1180 1290 1317 1412 1969 3024"),
    (UsageError, "1044 1045 1049 1059 1102 1103 1142 1143 1227 1370 1698 1792"),
    (SchemaDrift, "1051 1054 1072 1136 1146"),
    (
        RejectedRows,
        "1048 1062 1153 1169 1264 1265 1292 1300 1364 1366 1406 1411 1416 1526 1586 1644 1690"
        " 1748 3140 3156 3819 4025",
    ),
    (MissingParent, "1216 1452"),
    (PermanentError, "1005 1064 1071 1117 1118 1170 1267 1451"),
)
ERRORS: Final[Mapping[str, type[HdmError]]] = {
    number: kind for kind, numbers in _GROUPS for number in numbers.split()
}
WORDS: Final[Mapping[str, str]] = {
    "1005": "the table cannot be made",
    "1040": "too many connections",
    "1044": "the user may not use this database",
    "1045": "the login is refused",
    "1048": "NULL in a NOT NULL column",
    "1049": "there is no such database",
    "1054": "there is no such column",
    "1062": "a key that is there already",
    "1064": "the statement has a syntax error",
    "1117": "the table has too many columns",
    "1118": "the row is too long",
    "1142": "the user may not do this to the table",
    "1143": "the user may not do this to the column",
    "1146": "there is no such table",
    "1205": "waited too long for a lock",
    "1213": "deadlock",
    "1227": "the user lacks a right",
    "1264": "a number out of range",
    "1267": "two collations that cannot be compared",
    "1292": "a value that its type cannot hold",
    "1452": "a foreign key's parent is not there",
    "1366": "a value that its type cannot hold",
    "1406": "a text that is too long",
    "1698": "the login is refused",
    "1792": "what only reads cannot write",
    "2002": "the server cannot be reached",
    "2003": "the server cannot be reached",
    "2006": "the server went away",
    "2013": "the server went away",
    "4025": "a CHECK does not hold",
}
"""Meanings of the most common numbers; the server's own text can quote values and is not shown."""
HINTS: Final[Mapping[str, str]] = {
    "1005": "a table takes at most 1,017 columns, and about 8 kB a row: choose columns",
    "1044": "grant the profile's user the rights to the database, or correct its name",
    "1045": "check user and password in the profile",
    "1049": "create the database, or correct its name in the profile",
    "1062": "a row with this key is there already: use mode merge, or remove it",
    "1117": "a table takes at most 1,017 columns: choose columns",
    "1118": "choose columns, or make some of them longer texts",
    "1142": DENIED,
    "1143": DENIED,
    "1153": "raise max_allowed_packet on the server",
    "1205": "another session holds the rows: tried again",
    "1216": "load the table that the key refers to, or look for the row at the source",
    "1452": "load the table that the key refers to, or look for the row at the source",
    "1264": "widen the target's column",
    "1265": "widen the target's column, or give it a type that takes these values",
    "1267": "give the key's column in the target the collation of the source's, or move it to another table",
    "1366": "give the target's column a type and a character set that takes these values",
    "1406": "widen the target's column",
    "4025": "mend the rows, or the target's CHECK, then: hdm retry",
    "1227": DENIED,
    "1698": "check user and password in the profile",
    "1792": WRITES,
    "2002": "check host and port, and that the server runs",
    "2003": "check host and port, and that the server runs",
}
