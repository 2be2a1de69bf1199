-- table customers
CREATE TABLE "customers" (
  "id" INTEGER NOT NULL CONSTRAINT "customers_pkey" PRIMARY KEY AUTOINCREMENT,
  "name" VARCHAR(80) DEFAULT 'it''s' NOT NULL,
  "vip" BOOLEAN DEFAULT 0 NOT NULL,
  "born" DATE,
  "seen" TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP,
  "balance" DECIMAL_TEXT(12,2) DEFAULT 0 NOT NULL,
  "shown" TEXT GENERATED ALWAYS AS (UPPER(CAST(("name") AS TEXT))) STORED,
  CONSTRAINT "customers_name_key" UNIQUE ("name", "born"),
  CONSTRAINT "customers_balance_check" CHECK ("balance" >= -1000)
);

-- table orders
CREATE TABLE "orders" (
  "id" INTEGER NOT NULL CONSTRAINT "orders_pkey" PRIMARY KEY AUTOINCREMENT,
  "customer" BIGINT NOT NULL,
  "select" SMALLINT DEFAULT 1,
  "a b.c" DOUBLE,
  "uid" UUID_TEXT DEFAULT (UUID()),
  "doc" JSON_TEXT,
  "state" VARCHAR(2) DEFAULT 'NW',
  "amount" DECIMAL_TEXT,
  "raw" BLOB,
  CONSTRAINT "orders_customer_fkey" FOREIGN KEY ("customer") REFERENCES "customers" ("id") ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT "orders_state" CHECK ("state" IN ('NW', 'OK'))
);

-- index customers.customers_lower
CREATE UNIQUE INDEX "customers_lower" ON "customers" ((LOWER(CAST(("name") AS TEXT))));

-- index customers.customers_seen
CREATE INDEX "customers_seen" ON "customers" ("seen" DESC);

-- index customers.customers_rich
CREATE INDEX "customers_rich" ON "customers" ("balance") WHERE "balance" > 100;

-- view per_customer
CREATE VIEW "per_customer" ("id", "customer", "orders") AS
SELECT "c"."id", "c"."name" AS "customer", COUNT("o"."id") AS "orders" FROM "customers" AS "c" LEFT JOIN "orders" AS "o" ON "o"."customer" = "c"."id" GROUP BY "c"."id", "c"."name";

-- view top
CREATE VIEW "top" ("id", "customer", "orders") AS
SELECT * FROM "per_customer" WHERE "orders" > 3;

