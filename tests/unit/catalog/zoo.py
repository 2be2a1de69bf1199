"""A schema of every kind of object, as a crawl of PostgreSQL would find it."""

from __future__ import annotations

from hdm.catalog.model import (
    Check,
    Distribution,
    EnumType,
    ForeignKey,
    Identity,
    Index,
    IndexPart,
    Key,
    Partitioning,
    Relation,
    Schema,
    Sequence,
    View,
)
from hdm.dialects import dialect
from hdm.model import Column, Dataset, Table

POSTGRES = dialect("postgres")


def column(name: str, native: str, **more: object) -> Column:
    return POSTGRES.column_from_catalog(name, native, **more)  # type: ignore[arg-type]


def table(path: tuple[str, ...], columns: list[Column], key: tuple[str, ...] = ()) -> Table:
    return Table(Dataset("postgres://here", ".".join(path)), path, tuple(columns), key, rows=10, bytes=8192)


CUSTOMERS = Relation(
    table(
        ("sales", "customers"),
        [
            column("id", "bigint", nullable=False, identity=True),
            column("name", "character varying(80)", nullable=False, default="'it''s'::character varying"),
            column("vip", "boolean", nullable=False, default="false", comment="pays early; it's gold"),
            column("born", "date"),
            column("seen", "timestamp with time zone", default="now()"),
            column("balance", "numeric(12,2)", nullable=False, default="0"),
            column("shown", "text", generated="upper((name)::text)"),
        ],
        ("id",),
    ),
    Key("customers_pkey", ("id",)),
    (Key("customers_name_key", ("name", "born")),),
    (),
    (Check("customers_balance_check", "balance >= '-1000'::integer::numeric"),),
    (
        Index("customers_seen", (IndexPart("seen", descending=True),)),
        Index("customers_lower", (IndexPart(expression="lower((name)::text)"),), unique=True),
        Index("customers_rich", (IndexPart("balance"),), where="balance > 100"),
    ),
    (Identity("id", 100, 1, always=True),),
    comment="Who buys",
    distribution=Distribution("HASH", ("id",), ("born",)),
)
ORDERS = Relation(
    table(
        ("sales", "orders"),
        [
            column("id", "integer", nullable=False, default="nextval('sales.orders_id_seq'::regclass)"),
            column("customer", "bigint", nullable=False),
            column("select", "smallint", default="1"),
            column("a b.c", "double precision"),
            column("uid", "uuid", default="gen_random_uuid()"),
            column("doc", "jsonb"),
            column("state", "character(2)", default="'NW'::bpchar"),
            column("amount", "numeric"),
            column("raw", "bytea"),
        ],
        ("id",),
    ),
    Key("orders_pkey", ("id",)),
    (),
    (
        ForeignKey(
            "orders_customer_fkey",
            ("customer",),
            ("sales", "customers"),
            ("id",),
            "CASCADE",
            "NO ACTION",
            True,
        ),
    ),
    (
        Check("orders_state", "state = ANY (ARRAY['NW'::bpchar, 'OK'::bpchar])"),
        Check("odd", "my_own(amount)"),
    ),
    partitioning=Partitioning("RANGE", (), "RANGE (id)"),
)
VIEW_SQL = """SELECT c.id,
    c.name AS customer,
    count(o.id) AS orders
   FROM sales.customers c
     LEFT JOIN sales.orders o ON o.customer = c.id
  GROUP BY c.id, c.name"""
SHOWN = ("id", "customer", "orders")
ZOO = Schema(
    "postgres",
    "shop",
    relations=(CUSTOMERS, ORDERS),
    views=(
        View(
            ("sales", "top"),
            "SELECT * FROM sales.per_customer WHERE orders > 3",
            SHOWN,
            uses=(("sales", "per_customer"),),
        ),
        View(
            ("sales", "per_customer"),
            VIEW_SQL,
            SHOWN,
            comment="How many each bought",
            uses=(("sales", "customers"), ("sales", "orders")),
        ),
        View(
            ("sales", "odd"),
            "SELECT my_own(c.name) AS x FROM sales.customers c",
            ("x",),
            uses=(("sales", "customers"),),
        ),
    ),
    sequences=(
        Sequence(("sales", "orders_id_seq"), type="integer", owner=("sales", "orders", "id")),
        Sequence(("sales", "tickets"), 5, 10, None, 1000, True),
    ),
    unread=(("trigger", "sales.orders.audit"),),
    enums=(EnumType(("sales", "mood"), ("sad", "it's ok")),),
)
