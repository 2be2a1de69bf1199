-- schema sales
IF SCHEMA_ID(N'sales') IS NULL EXEC(N'CREATE SCHEMA [sales]');

-- table sales.customers
CREATE TABLE [sales].[customers] (
  [id] bigint IDENTITY(100,1) NOT NULL,
  [name] nvarchar(160) NOT NULL,
  [vip] bit DEFAULT 0 NOT NULL,
  [born] date NULL,
  [seen] datetimeoffset(6) NULL,
  [balance] decimal(12,2) DEFAULT 0 NOT NULL,
  [shown] nvarchar(max) NULL
) WITH (DISTRIBUTION = ROUND_ROBIN, HEAP);

-- table sales.customers
ALTER TABLE [sales].[customers] ADD CONSTRAINT [customers_pkey] PRIMARY KEY NONCLUSTERED ([id]) NOT ENFORCED;

-- table sales.orders
CREATE TABLE [sales].[orders] (
  [id] int IDENTITY(1,1) NOT NULL,
  [customer] bigint NOT NULL,
  [select] smallint DEFAULT 1 NULL,
  [a b.c] float(53) NULL,
  [uid] uniqueidentifier NULL,
  [doc] nvarchar(max) NULL,
  [state] nvarchar(4) NULL,
  [amount] nvarchar(max) NULL,
  [raw] varbinary(max) NULL
) WITH (DISTRIBUTION = ROUND_ROBIN, HEAP);

-- table sales.orders
ALTER TABLE [sales].[orders] ADD CONSTRAINT [orders_pkey] PRIMARY KEY NONCLUSTERED ([id]) NOT ENFORCED;

-- unique sales.customers.customers_name_key
ALTER TABLE [sales].[customers] ADD CONSTRAINT [customers_name_key] UNIQUE ([name], [born]) NOT ENFORCED;

-- index sales.customers.customers_seen
CREATE INDEX [customers_seen] ON [sales].[customers] ([seen] DESC);

-- index sales.customers.customers_rich
CREATE INDEX [customers_rich] ON [sales].[customers] ([balance]);

-- view sales.per_customer
CREATE VIEW [sales].[per_customer] ([id], [customer], [orders]) AS
SELECT [c].[id], [c].[name] AS [customer], COUNT_BIG([o].[id]) AS [orders] FROM [sales].[customers] AS [c] LEFT JOIN [sales].[orders] AS [o] ON [o].[customer] = [c].[id] GROUP BY [c].[id], [c].[name];

-- view sales.top
CREATE VIEW [sales].[top] ([id], [customer], [orders]) AS
SELECT * FROM [sales].[per_customer] WHERE [orders] > 3;

