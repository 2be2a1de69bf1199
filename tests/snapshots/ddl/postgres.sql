-- schema sales
CREATE SCHEMA IF NOT EXISTS "sales";

-- type sales.mood
CREATE TYPE "sales"."mood" AS ENUM ('sad', 'it''s ok');

-- sequence sales.orders_id_seq
CREATE SEQUENCE "sales"."orders_id_seq" AS integer START WITH 1 INCREMENT BY 1;

-- sequence sales.tickets
CREATE SEQUENCE "sales"."tickets" START WITH 5 INCREMENT BY 10 MAXVALUE 1000 CYCLE;

-- table sales.customers
CREATE TABLE "sales"."customers" (
  "id" bigint GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 1) NOT NULL,
  "name" character varying(80) DEFAULT 'it''s'::character varying NOT NULL,
  "vip" boolean DEFAULT false NOT NULL,
  "born" date,
  "seen" timestamp with time zone DEFAULT now(),
  "balance" numeric(12,2) DEFAULT 0 NOT NULL,
  "shown" text GENERATED ALWAYS AS (upper((name)::text)) STORED,
  CONSTRAINT "customers_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "customers_balance_check" CHECK (balance >= '-1000'::integer::numeric)
);

-- table sales.orders
CREATE TABLE "sales"."orders" (
  "id" integer DEFAULT nextval('sales.orders_id_seq'::regclass) NOT NULL,
  "customer" bigint NOT NULL,
  "select" smallint DEFAULT 1,
  "a b.c" double precision,
  "uid" uuid DEFAULT gen_random_uuid(),
  "doc" jsonb,
  "state" character(2) DEFAULT 'NW'::bpchar,
  "amount" numeric,
  "raw" bytea,
  CONSTRAINT "orders_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "orders_state" CHECK (state = ANY (ARRAY['NW'::bpchar, 'OK'::bpchar]))
) PARTITION BY RANGE (id);

-- table sales.orders
ALTER SEQUENCE "sales"."orders_id_seq" OWNED BY "sales"."orders"."id";

-- unique sales.customers.customers_name_key
ALTER TABLE "sales"."customers" ADD CONSTRAINT "customers_name_key" UNIQUE ("name", "born");

-- index sales.customers.customers_lower
CREATE UNIQUE INDEX "customers_lower" ON "sales"."customers" ((lower((name)::text)));

-- foreign key sales.orders.orders_customer_fkey
ALTER TABLE "sales"."orders" ADD CONSTRAINT "orders_customer_fkey" FOREIGN KEY ("customer") REFERENCES "sales"."customers" ("id") ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

-- index sales.customers.customers_seen
CREATE INDEX "customers_seen" ON "sales"."customers" ("seen" DESC);

-- index sales.customers.customers_rich
CREATE INDEX "customers_rich" ON "sales"."customers" ("balance") WHERE balance > 100;

-- view sales.per_customer
CREATE VIEW "sales"."per_customer" ("id", "customer", "orders") AS
SELECT c.id,
    c.name AS customer,
    count(o.id) AS orders
   FROM sales.customers c
     LEFT JOIN sales.orders o ON o.customer = c.id
  GROUP BY c.id, c.name;

-- view sales.top
CREATE VIEW "sales"."top" ("id", "customer", "orders") AS
SELECT * FROM sales.per_customer WHERE orders > 3;

-- comment sales.customers
COMMENT ON TABLE "sales"."customers" IS 'Who buys';

-- comment sales.customers.vip
COMMENT ON COLUMN "sales"."customers"."vip" IS 'pays early; it''s gold';

-- comment sales.per_customer
COMMENT ON VIEW "sales"."per_customer" IS 'How many each bought';

-- identity sales.customers.id
SELECT SETVAL(PG_GET_SERIAL_SEQUENCE('"sales"."customers"', 'id'), COALESCE((SELECT MAX("id") FROM "sales"."customers") + 1, 100), FALSE);

