"""Defines what a system can declare in DDL, as values that the mapper and the writers read."""

from __future__ import annotations

from dataclasses import dataclass

BOTH = frozenset({"stored", "virtual"})
NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Traits:
    """What one system can declare in DDL.

    ``fk``: enforced, declared or none. ``identity``: clause, sequence, autoincrement or none.
    ``comments``: statement, inline, property, option or none. ``actions``: ON DELETE/UPDATE
    actions besides NO ACTION. ``generated``: any of stored, virtual. ``distribution``: kept,
    clustering (of its sort columns alone) or none.
    """

    schemas: bool = True
    fk: str = "enforced"
    fk_across_schemas: bool = True
    keys_enforced: bool = True
    primary_key_named: bool = True
    """Whether a primary key can have a name; False: each is called PRIMARY."""
    actions: frozenset[str] = frozenset({"RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"})
    update_actions: bool = True
    deferrable: bool = False
    check: bool = True
    check_of_identity: bool = True
    """Whether a check may refer to an identity column."""
    index: bool = True
    index_partial: bool = False
    index_expression: bool = False
    index_include: bool = False
    indexes_by_schema: bool = False
    """Whether an index's name must be unique in the schema, not only in the table."""
    constraints_by_schema: bool = False
    """Whether a constraint's name must be unique in the schema, not only in the table."""
    keys_are_indexes: bool = False
    """Whether primary and unique keys share one set of names with the indexes."""
    identity: str = "clause"
    identity_integer: bool = False
    """Whether an identity column must have an integer type."""
    identity_leads_key: bool = False
    """Whether an identity column must be the first column of a key."""
    identity_once: bool = False
    """Whether a table can have only one identity column."""
    identity_load: str = ""
    """What must be done before a load can set the values of an identity column; empty: nothing."""
    generated: frozenset[str] = frozenset({"stored"})
    sequences: bool = True
    defaults: bool = True
    default_expressions: bool = True
    comments: str = "statement"
    distribution: str = "none"
    materialized: bool = False
    nulls_distinct: bool = True
    rebuilds: bool = False
    """Whether a table must be created anew to get a foreign key."""
