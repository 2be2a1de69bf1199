"""MariaDB's SQL: that of MySQL, and what only the fork has."""

from __future__ import annotations

from dataclasses import replace

from hdm.dialects.jdbc_facts import JdbcFacts
from hdm.dialects.mysql import MySQLDialect
from hdm.dialects.traits import Traits


class MariaDBDialect(MySQLDialect):
    """The SQL of MariaDB 10.2 or later.

    Its ``name`` is ``mysql``, since its types and tables are the same.
    """

    flavour = "mariadb"
    jdbc = JdbcFacts(
        driver="org.mariadb.jdbc.Driver",
        always={"tinyInt1isBit": "false", "yearIsDateType": "false"},
        verified={"sslMode": "verify-full", "useSsl": "true"},  # of Connector/J 3, and of its older ones
    )
    traits = replace(MySQLDialect.traits or Traits(), sequences=True)
