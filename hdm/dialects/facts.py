"""Defines facts about a system besides its SQL; each system's values are in ``<system>_facts.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hdm.dialects.catalog_queries import CatalogueSql
from hdm.dialects.jdbc_facts import JdbcFacts
from hdm.dialects.odbc_facts import OdbcFacts
from hdm.dialects.traits import Traits


class Facts:
    """The part of a dialect that states facts about the system, and names modules that know more of it."""

    flavour: ClassVar[str] = ""
    """The name of a fork, such as ``mariadb``, if one dialect serves several products."""
    flavour_query: ClassVar[str | None] = None
    """Query for the server's version, which ``flavour_of`` reads; None: the system has no fork."""
    catalog_queries: ClassVar[CatalogueSql | None] = None
    """Catalog queries for connectors that do not read the catalog themselves; None: there are none."""
    traits: ClassVar[Traits | None] = None
    """What the system's DDL can declare; None: hdm writes no DDL for the system."""
    limits: ClassVar[str | None] = None
    """``module:function`` that fits mapped tables into the system's limits; None: no fitting is needed."""
    default_schema: ClassVar[str] = ""
    """Target schema of objects that come from a system without schemas."""
    add_column_verb: ClassVar[str] = "ADD COLUMN"
    widen_clause: ClassVar[str | None] = None
    """Text after ALTER TABLE that gives a column a wider type; None: there is no such statement.

    It is a template with ``{name}``, ``{type}``, ``{null}`` and ``{declaration}``.
    """
    decimal_word: ClassVar[str] = "numeric"
    """The name of the decimal type in declarations."""
    decimal_digits: ClassVar[tuple[str, str, str, str] | None] = None
    """Four aggregates over a decimal column ``{c}``; None: the system's numbers always have a precision.

    They give the most digits before the point, the most after it, the number of values, and how many values
    are not numbers.
    """
    storage_classes: ClassVar[Mapping[str, str]] = {}
    """``TYPEOF`` of a value -> type of a column that has only such values.

    Empty if a column's declaration tells its type.
    """
    schemas_are_databases: ClassVar[bool] = False
    """Whether a table's path starts with the database, because schema and database are the same thing."""
    odbc: ClassVar[OdbcFacts] = OdbcFacts()
    jdbc: ClassVar[JdbcFacts] = JdbcFacts()
    relation_kind: ClassVar[str | None] = None
    """Query with ``{schema}`` and ``{table}`` that says what an object is if it is no table, such as
    ``a view``; it gives no row, or NULL, for a table. None: the system is not asked."""
    server_identity: ClassVar[str | None] = None
    """Query for what tells a running server and database from all others, copies included, by whatever
    address it is reached; a database file's path is taken for the file. None: the system is not asked."""
    unknown_names_are_texts: ClassVar[bool] = False
    """Whether a name in double quotes that no column has is taken for a text, without an error."""
    read_only_session: ClassVar[tuple[str, ...]] = ()
    """Statements after which a session changes neither rows nor definitions; empty: the system has none."""
    read_only_transaction: ClassVar[str] = ""
    """The first statement of a transaction that changes nothing, where no session as a whole can be told."""
    acting: ClassVar[tuple[str, ...]] = ()
    """Words and marks with which a SELECT acts beyond its transaction, so that no rollback undoes it, in
    lower case and as they follow each other; ``*`` stands for the rest of a word."""
    table_functions: ClassVar[frozenset[str] | None] = None
    """What ``TABLE(name(...))`` may call in a query, in lower case; None: whatever it calls only reads."""

    def refusal(self, name: str) -> str | None:
        """Return why the system cannot have a name, whatever its length; None if it can.

        By default it can.
        """
        return None

    def flavour_of(self, version: str) -> str:
        """Return the name of the server's fork, such as ``mariadb``; empty if the system has no forks.

        ``version`` is the server's answer to ``flavour_query``.
        """
        return ""
