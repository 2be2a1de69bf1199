"""The column types of the state database, and how each is spelled on every database system."""

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
    """Return a text type with at most ``length`` characters that every database compares byte by byte."""
    return (
        String(length)
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
        .with_variant(mssql.NVARCHAR(length, collation="Latin1_General_100_BIN2"), "mssql")
    )


def long() -> TypeEngine[str]:
    """Return a text type without a length limit that every database compares byte by byte."""
    return (
        Text()
        .with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
        .with_variant(mssql.NVARCHAR(None, collation="Latin1_General_100_BIN2"), "mssql")
    )


def ident(name: str, *extra: Any, nullable: bool = False, primary_key: bool = False) -> Column[str]:
    """Return a column for an id in hex digits."""
    return Column(name, text(ID), *extra, nullable=nullable, primary_key=primary_key)


def not_null_text(name: str, length: int, *extra: Any, **kw: Any) -> Column[str]:
    """Return a NOT NULL text column with at most ``length`` characters."""
    return Column(name, text(length), *extra, nullable=False, **kw)


def nullable_text(name: str, length: int, *extra: Any) -> Column[str]:
    """Return a nullable text column with at most ``length`` characters."""
    return Column(name, text(length), *extra, nullable=True)


def long_text(name: str, nullable: bool = True) -> Column[str]:
    """Return a text column without a length limit."""
    return Column(name, long(), nullable=nullable)


def int64(name: str, nullable: bool = True, default: str | None = None) -> Column[int]:
    """Return a column for a 64-bit integer."""
    return Column(name, BigInteger(), nullable=nullable, server_default=default)


def int32(name: str, nullable: bool = False, default: str | None = None, **kw: Any) -> Column[int]:
    """Return a column for a 32-bit integer."""
    return Column(name, Integer(), nullable=nullable, server_default=default, autoincrement=False, **kw)


def flag(name: str) -> Column[int]:
    """Return a column that is 0 or 1, and 0 by default."""
    return Column(name, SmallInteger(), nullable=False, server_default="0")


def seq(name: str = "seq") -> Column[int]:
    """Return a 64-bit integer column that is part of the table's primary key."""
    return Column(name, BigInteger(), primary_key=True, autoincrement=False)


def one_of(column: str, table: str, *values: str) -> CheckConstraint:
    """Return a CHECK constraint that lets ``column`` have only the given ``values``."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"ck_{table}_{column}")


def table(name: str, *parts: Any) -> Table:
    """Define the table ``hdm_<name>`` of the state database."""
    return Table(
        f"hdm_{name}", metadata, *parts, mysql_engine="InnoDB", mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin", mariadb_engine="InnoDB", mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_bin",
    )  # fmt: skip


def references(table: str, column: str) -> ForeignKey:
    """Return a foreign key to a column of the table ``hdm_<table>``."""
    return ForeignKey(f"hdm_{table}.{column}")
