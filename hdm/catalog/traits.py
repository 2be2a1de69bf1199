"""What each target can declare: facts of its DDL, with their sources, for the mapper and writers."""

from __future__ import annotations

from dataclasses import dataclass

from hdm.errors import UsageError


@dataclass(frozen=True, slots=True)
class Traits:
    """``fk``: enforced, declared or none. ``identity``: clause, sequence, autoincrement or none.
    ``comments``: statement, inline, property, option or none. ``actions``: ON DELETE/UPDATE
    actions besides NO ACTION. ``generated``: any of stored, virtual."""

    schemas: bool = True
    fk: str = "enforced"
    keys_enforced: bool = True
    actions: frozenset[str] = frozenset({"RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"})
    update_actions: bool = True
    deferrable: bool = False
    check: bool = True
    index: bool = True
    index_partial: bool = False
    index_expression: bool = False
    index_include: bool = False
    identity: str = "clause"
    generated: frozenset[str] = frozenset({"stored"})
    sequences: bool = True
    defaults: bool = True
    default_expressions: bool = True
    comments: str = "statement"
    materialized: bool = False
    nulls_distinct: bool = True
    rebuilds: bool = False
    """Whether a table is built anew to get a foreign key."""


_BOTH = frozenset({"stored", "virtual"})
_NONE: frozenset[str] = frozenset()
TRAITS: dict[str, Traits] = {
    # https://www.postgresql.org/docs/current/sql-createtable.html
    "postgres": Traits(
        deferrable=True, index_partial=True, index_expression=True, index_include=True, materialized=True
    ),
    # https://mariadb.com/kb/en/create-table/ ; SET DEFAULT is refused by InnoDB
    "mysql": Traits(
        schemas=True, actions=frozenset({"RESTRICT", "CASCADE", "SET NULL"}), identity="clause",
        generated=_BOTH, sequences=False, comments="inline",
    ),
    # https://sqlite.org/lang_createtable.html
    "sqlite": Traits(
        schemas=False, deferrable=True, index_partial=True, index_expression=True, identity="autoincrement",
        generated=_BOTH, sequences=False, comments="none",
    ),
    # https://duckdb.org/docs/sql/statements/create_table ; generated columns are virtual only
    "duckdb": Traits(
        actions=frozenset({"RESTRICT"}), index_expression=True, identity="sequence",
        generated=frozenset({"virtual"}), rebuilds=True,
    ),
    # https://docs.snowflake.com/en/sql-reference/constraints-overview
    "snowflake": Traits(
        fk="declared", keys_enforced=False, check=False, index=False, generated=frozenset({"virtual"}),
        deferrable=True,
    ),
    # https://learn.microsoft.com/en-us/sql/t-sql/statements/create-table-transact-sql
    "sqlserver": Traits(
        actions=frozenset({"CASCADE", "SET NULL", "SET DEFAULT"}), index_partial=True, index_include=True,
        identity="sequence", generated=_BOTH, comments="property", nulls_distinct=False,
    ),
    # https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_NEW.html
    "redshift": Traits(
        fk="declared", keys_enforced=False, check=False, index=False, generated=_NONE, sequences=False,
        actions=_NONE, update_actions=False,
    ),
    # https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language
    "bigquery": Traits(
        fk="declared", keys_enforced=False, check=False, index=False, identity="none", generated=_NONE,
        sequences=False, comments="option", actions=_NONE, update_actions=False,
    ),
    # https://learn.microsoft.com/en-us/azure/synapse-analytics/sql-data-warehouse/sql-data-warehouse-table-constraints
    "synapse": Traits(
        fk="none", keys_enforced=False, check=False, index=True, generated=_NONE, sequences=False,
        comments="none", default_expressions=False, actions=_NONE, update_actions=False,
    ),
}  # fmt: skip
TARGETS = tuple(sorted(TRAITS))


def traits_of(system: str) -> Traits:
    """What the target of that dialect name can declare; ``UsageError`` if no writer knows it."""
    if system not in TRAITS:
        raise UsageError(f"no DDL writer for {system!r}", hint="targets: " + ", ".join(TARGETS))
    return TRAITS[system]
