"""What hdm must know of a system beside its SQL; each system's own values are in ``<system>_facts.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hdm.dialects.catalog_queries import CatalogueSql
from hdm.dialects.odbc_facts import OdbcFacts
from hdm.dialects.traits import Traits


class Facts:
    """The part of a dialect that says what the system is, and which modules know more of it."""

    flavour: ClassVar[str] = ""
    """The fork's own name, where one dialect serves several."""
    flavour_query: ClassVar[str | None] = None
    """Asks the server for its version; ``flavour_of`` reads the answer. None: there is one flavour."""
    catalog_queries: ClassVar[CatalogueSql | None] = None
    """Questions to the catalogue, for connectors without a reader of their own; None: not known."""
    crawler: ClassVar[str | None] = None
    """``module:Class`` of the crawler; None: the system cannot be crawled."""
    writer: ClassVar[str | None] = None
    """``module:Class`` of the DDL writer; None: the system is no target of DDL."""
    traits: ClassVar[Traits | None] = None
    """What its DDL can declare; None: the system is no target of DDL."""
    limits: ClassVar[str | None] = None
    """``module:function`` that fits mapped tables into the system's limits; None: it needs none."""
    default_schema: ClassVar[str] = ""
    """Where mapped objects of a system without schemas go."""
    add_column_verb: ClassVar[str] = "ADD COLUMN"
    widen_clause: ClassVar[str | None] = None
    """What follows ALTER TABLE to give a column a wider type, made of ``{name}``, ``{type}``, ``{null}`` and
    ``{declaration}``; None: there is no such statement."""
    decimal_word: ClassVar[str] = "numeric"
    """How a decimal type with digits is called in declarations."""
    decimal_digits: ClassVar[tuple[str, str, str, str] | None] = None
    """For column ``{c}``: its most digits before the point and after it, how many values it has, and how many
    are no number. None: the system's numbers always have a precision."""
    storage_classes: ClassVar[Mapping[str, str]] = {}
    """What ``TYPEOF`` says of single values -> the type of a column that holds only such; empty where a
    column's declaration says what it holds."""
    schemas_are_databases: ClassVar[bool] = False
    """Whether a table's path starts with the database, because a schema is the same thing."""
    odbc: ClassVar[OdbcFacts] = OdbcFacts()
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
        """Why the system cannot have a name, whatever its length; None if it can."""
        return None

    def flavour_of(self, version: str) -> str:
        """The flavour that the server's answer to ``flavour_query`` tells of."""
        return ""
