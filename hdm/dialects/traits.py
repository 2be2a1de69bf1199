"""What a system can declare in DDL, as values that the mapper and the writers read."""

from __future__ import annotations

from dataclasses import dataclass

BOTH = frozenset({"stored", "virtual"})
NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Traits:
    """``fk``: enforced, declared or none. ``identity``: clause, sequence, autoincrement or none.
    ``comments``: statement, inline, property, option or none. ``actions``: ON DELETE/UPDATE
    actions besides NO ACTION. ``generated``: any of stored, virtual. ``distribution``: kept,
    clustering (of its sort columns alone) or none."""

    schemas: bool = True
    fk: str = "enforced"
    fk_across_schemas: bool = True
    keys_enforced: bool = True
    primary_key_named: bool = True
    """False: every primary key is called PRIMARY, so no name is given."""
    actions: frozenset[str] = frozenset({"RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"})
    update_actions: bool = True
    deferrable: bool = False
    check: bool = True
    check_of_identity: bool = True
    """Whether a check may mention a numbered column."""
    index: bool = True
    index_partial: bool = False
    index_expression: bool = False
    index_include: bool = False
    indexes_by_schema: bool = False
    """Whether names of indexes are told apart in the schema, not in the table."""
    constraints_by_schema: bool = False
    """The same for names of constraints."""
    keys_are_indexes: bool = False
    """Whether names of primary and unique keys lie among those of indexes."""
    identity: str = "clause"
    identity_integer: bool = False
    """Whether only a column of an integer type can be numbered."""
    identity_leads_key: bool = False
    """Whether only the first column of a key can be numbered."""
    identity_once: bool = False
    """Whether a table can have one numbered column only."""
    identity_load: str = ""
    """What a load must do so that it may give a numbered column its values."""
    generated: frozenset[str] = frozenset({"stored"})
    sequences: bool = True
    defaults: bool = True
    default_expressions: bool = True
    comments: str = "statement"
    distribution: str = "none"
    materialized: bool = False
    nulls_distinct: bool = True
    rebuilds: bool = False
    """Whether a table is built anew to get a foreign key."""
