-- schema sales
CREATE SCHEMA IF NOT EXISTS "sales";

-- sequence sales.tickets
CREATE SEQUENCE "sales"."tickets" START WITH 5 INCREMENT BY 10 MAXVALUE 1000 CYCLE;

-- identity sales.customers.id
CREATE SEQUENCE "sales"."customers_id_seq" START WITH 100 INCREMENT BY 1;

-- identity sales.orders.id
CREATE SEQUENCE "sales"."orders_id_seq" START WITH 1 INCREMENT BY 1;

-- table sales.customers
CREATE TABLE "sales"."customers" (
  "id" BIGINT DEFAULT nextval('"sales"."customers_id_seq"') NOT NULL,
  "name" VARCHAR DEFAULT 'it''s' NOT NULL,
  "vip" BOOLEAN DEFAULT FALSE NOT NULL,
  "born" DATE,
  "seen" TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP,
  "balance" DECIMAL(12,2) DEFAULT 0 NOT NULL,
  "shown" VARCHAR GENERATED ALWAYS AS (UPPER(CAST(("name") AS TEXT))),
  PRIMARY KEY ("id"),
  UNIQUE ("name", "born"),
  CHECK ("balance" >= -1000)
);

-- table sales.orders
CREATE TABLE "sales"."orders" (
  "id" INTEGER DEFAULT nextval('"sales"."orders_id_seq"') NOT NULL,
  "customer" BIGINT NOT NULL,
  "select" SMALLINT DEFAULT 1,
  "a b.c" DOUBLE,
  "uid" UUID DEFAULT UUID(),
  "doc" JSON,
  "state" VARCHAR DEFAULT 'NW',
  "amount" VARCHAR,
  "raw" BLOB,
  PRIMARY KEY ("id"),
  CHECK ("state" IN ('NW', 'OK'))
);

-- foreign key sales.orders
ALTER TABLE "sales"."orders" RENAME TO "orders__hdm_bare";

-- foreign key sales.orders
CREATE TABLE "sales"."orders" (
  "id" INTEGER DEFAULT nextval('"sales"."orders_id_seq"') NOT NULL,
  "customer" BIGINT NOT NULL,
  "select" SMALLINT DEFAULT 1,
  "a b.c" DOUBLE,
  "uid" UUID DEFAULT UUID(),
  "doc" JSON,
  "state" VARCHAR DEFAULT 'NW',
  "amount" VARCHAR,
  "raw" BLOB,
  PRIMARY KEY ("id"),
  CHECK ("state" IN ('NW', 'OK')),
  FOREIGN KEY ("customer") REFERENCES "sales"."customers" ("id")
);

-- foreign key sales.orders
INSERT INTO "sales"."orders" ("id", "customer", "select", "a b.c", "uid", "doc", "state", "amount", "raw") SELECT "id", "customer", "select", "a b.c", "uid", "doc", "state", "amount", "raw" FROM "sales"."orders__hdm_bare";

-- foreign key sales.orders
DROP TABLE "sales"."orders__hdm_bare";

-- index sales.customers.customers_seen
CREATE INDEX "customers_seen" ON "sales"."customers" ("seen" DESC);

-- index sales.customers.customers_lower
CREATE UNIQUE INDEX "customers_lower" ON "sales"."customers" ((LOWER(CAST(("name") AS TEXT))));

-- index sales.customers.customers_rich
CREATE INDEX "customers_rich" ON "sales"."customers" ("balance");

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

