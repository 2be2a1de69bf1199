-- schema sales
CREATE SCHEMA IF NOT EXISTS "sales";

-- sequence sales.tickets
CREATE SEQUENCE "sales"."tickets" START WITH 5 INCREMENT BY 10 MAXVALUE 1000 CYCLE;

-- table sales.customers
CREATE TABLE "sales"."customers" (
  "id" NUMBER(19,0) AUTOINCREMENT START 100 INCREMENT 1 NOT NULL,
  "name" VARCHAR(80) DEFAULT 'it''s' NOT NULL,
  "vip" BOOLEAN DEFAULT FALSE NOT NULL,
  "born" DATE,
  "seen" TIMESTAMP_TZ(6) DEFAULT CURRENT_TIMESTAMP(),
  "balance" NUMBER(12,2) DEFAULT 0 NOT NULL,
  "shown" VARCHAR(134217728) AS (UPPER(CAST(("name") AS VARCHAR))),
  CONSTRAINT "customers_pkey" PRIMARY KEY ("id")
) CLUSTER BY ("born");

-- table sales.orders
CREATE TABLE "sales"."orders" (
  "id" NUMBER(10,0) AUTOINCREMENT START 1 INCREMENT 1 NOT NULL,
  "customer" NUMBER(19,0) NOT NULL,
  "select" NUMBER(5,0) DEFAULT 1,
  "a b.c" FLOAT,
  "uid" VARCHAR(134217728) DEFAULT UUID_STRING(),
  "doc" VARCHAR(134217728),
  "state" VARCHAR(2) DEFAULT 'NW',
  "amount" VARCHAR(134217728),
  "raw" BINARY(67108864),
  CONSTRAINT "orders_pkey" PRIMARY KEY ("id")
);

-- unique sales.customers.customers_name_key
ALTER TABLE "sales"."customers" ADD CONSTRAINT "customers_name_key" UNIQUE ("name", "born");

-- foreign key sales.orders.orders_customer_fkey
ALTER TABLE "sales"."orders" ADD CONSTRAINT "orders_customer_fkey" FOREIGN KEY ("customer") REFERENCES "sales"."customers" ("id") ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

-- view sales.per_customer
CREATE VIEW "sales"."per_customer" ("id", "customer", "orders") AS
SELECT "c"."id", "c"."name" AS "customer", COUNT("o"."id") AS "orders" FROM "sales"."customers" AS "c" LEFT JOIN "sales"."orders" AS "o" ON "o"."customer" = "c"."id" GROUP BY "c"."id", "c"."name";

-- view sales.top
CREATE VIEW "sales"."top" ("id", "customer", "orders") AS
SELECT * FROM "sales"."per_customer" WHERE "orders" > 3;

-- comment sales.customers
COMMENT ON TABLE "sales"."customers" IS 'Who buys';

-- comment sales.customers.vip
COMMENT ON COLUMN "sales"."customers"."vip" IS 'pays early; it''s gold';

-- comment sales.per_customer
COMMENT ON VIEW "sales"."per_customer" IS 'How many each bought';

