"""The kinds of column that the state database has, with each database's own type for them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects import mssql, mysql
from sqlalchemy.types import TypeEngine

metadata = MetaData()
ID, NAME, KEY, HASH, TIME = 64, 256, 256, 64, 32


def text(length: int) -> TypeEngine[str]:
    """Text compared byte by byte in every database."""
    return (
        String(length)
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
        .with_variant(mssql.NVARCHAR(length, collation="Latin1_General_100_BIN2"), "mssql")
    )


def long() -> TypeEngine[str]:
    """Text without a bound."""
    return (
        Text()
        .with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
        .with_variant(mssql.NVARCHAR(None, collation="Latin1_General_100_BIN2"), "mssql")
    )


def ident(name: str, *extra: Any, nullable: bool = False, primary_key: bool = False) -> Column[str]:
    """An id, hex."""
    return Column(name, text(ID), *extra, nullable=nullable, primary_key=primary_key)


def not_null_text(name: str, length: int, *extra: Any, **kw: Any) -> Column[str]:
    """Text that must be there."""
    return Column(name, text(length), *extra, nullable=False, **kw)


def nullable_text(name: str, length: int, *extra: Any) -> Column[str]:
    """Text that may be NULL."""
    return Column(name, text(length), *extra, nullable=True)


def long_text(name: str, nullable: bool = True) -> Column[str]:
    """Text without a bound."""
    return Column(name, long(), nullable=nullable)


def int64(name: str, nullable: bool = True, default: str | None = None) -> Column[int]:
    """A 64-bit number."""
    return Column(name, BigInteger(), nullable=nullable, server_default=default)


def int32(name: str, nullable: bool = False, default: str | None = None, **kw: Any) -> Column[int]:
    """A 32-bit number."""
    return Column(name, Integer(), nullable=nullable, server_default=default, autoincrement=False, **kw)


def flag(name: str) -> Column[int]:
    """0 or 1."""
    return Column(name, SmallInteger(), nullable=False, server_default="0")


def seq(name: str = "seq") -> Column[int]:
    """A number that is part of the key."""
    return Column(name, BigInteger(), primary_key=True, autoincrement=False)


def one_of(column: str, table: str, *values: str) -> CheckConstraint:
    """A check that ``column`` holds one of ``values``."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"ck_{table}_{column}")


def table(name: str, *parts: Any) -> Table:
    """A table ``hdm_<name>`` of ``metadata``."""
    return Table(
        f"hdm_{name}", metadata, *parts, mysql_engine="InnoDB", mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin", mariadb_engine="InnoDB", mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_bin",
    )  # fmt: skip


def references(table: str, column: str) -> ForeignKey:
    """A foreign key."""
    return ForeignKey(f"hdm_{table}.{column}")
