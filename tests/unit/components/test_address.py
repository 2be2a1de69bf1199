"""Addresses of servers and database files, as a command line has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hdm.components.address import Address, split_address
from hdm.connectors.duckdb import DuckDBProfile
from hdm.connectors.snowflake.session import SnowflakeProfile
from hdm.connectors.sqlite import SQLiteProfile
from hdm.errors import UsageError
from hdm.sql import SqlProfile


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("//u:p@h:5432/db.s.t", Address("h", 5432, "u", "p", "db", "s.t")),
        ("//u@h/db.t", Address("h", None, "u", "", "db", "t")),
        ("//h/db", Address("h", None, "", "", "db", "")),
        ("u/p@//h:1521/svc.s.t", Address("h", 1521, "u", "p", "svc", "s.t")),
        ("//u/p@//h:1521/svc.s.t", Address("h", 1521, "u", "p", "svc", "s.t")),
        ("//u:env:SHOP_P@h/db.t", Address("h", None, "u", "env:SHOP_P", "db", "t")),
        ("//u:a%40b%3Ac@h/db.t", Address("h", None, "u", "a@b:c", "db", "t")),
        ("//u:a@b@h/db.t", Address("h", None, "u", "a@b", "db", "t")),
        ("//u@[::1]:99/db.t", Address("::1", 99, "u", "", "db", "t")),
        (
            "//u@acc.eu-west-1/db.s.t?role=r",
            Address("acc.eu-west-1", None, "u", "", "db", "s.t", {"role": "r"}),
        ),
    ],
)
def test_the_parts_of_an_address(text: str, parts: Address) -> None:
    assert split_address(text) == parts


def test_an_address_becomes_a_profile_entry() -> None:
    entry, table = SqlProfile.from_address("//u:env:P@h:1/db.s.t?sslmode=require&insecure=true")
    assert (entry, table) == (
        {"host": "h", "port": 1, "user": "u", "password": "env:P", "database": "db", "sslmode": "require",
         "insecure": True}, "s.t",
    )  # fmt: skip
    entry, table = SnowflakeProfile.from_address("//u@acc/db.s.t?warehouse=w")
    assert (entry, table) == ({"account": "acc", "user": "u", "database": "db", "warehouse": "w"}, "s.t")


def test_what_has_a_place_of_its_own_is_no_option() -> None:
    with pytest.raises(UsageError, match="names password"):
        SqlProfile.from_address("//u@h/db.t?password=secret")


def test_an_error_does_not_repeat_the_address() -> None:
    with pytest.raises(UsageError) as wrong:
        split_address("//u:geheim@h:port/db.t")
    assert "geheim" not in str(wrong.value)


def test_a_file_that_is_there_says_where_its_name_ends(tmp_path: Path) -> None:
    (tmp_path / "shop.v2.db").touch()
    (tmp_path / "plain").touch()
    for rest, file, table in (
        ("shop.v2.db.main.orders", "shop.v2.db", "main.orders"),
        ("shop.v2.db", "shop.v2.db", ""),
        ("plain.orders", "plain", "orders"),
        ("new.db.orders", "new.db", "orders"),
        ("odd.name#my.table", "odd.name", "my.table"),
    ):
        assert SQLiteProfile.from_address(f"{tmp_path}/{rest}") == ({"path": str(tmp_path / file)}, table)
    assert SQLiteProfile.from_address(f"//{tmp_path}/new.db.t")[0] == {"path": str(tmp_path / "new.db")}
    assert DuckDBProfile.from_address(f"{tmp_path}/w.duckdb.s.t") == (
        {"path": str(tmp_path / "w.duckdb")},
        "s.t",
    )


def test_a_file_whose_name_ends_in_two_places_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shop").touch()
    (tmp_path / "shop.db").touch()
    with pytest.raises(UsageError, match=r"both .* are files"):
        SQLiteProfile.from_address(f"{tmp_path}/shop.db.orders")
    with pytest.raises(UsageError, match="not certain"):
        SQLiteProfile.from_address(f"{tmp_path}/other.orders")
