-- schema sales
IF SCHEMA_ID(N'sales') IS NULL EXEC(N'CREATE SCHEMA [sales]');

-- sequence sales.tickets
CREATE SEQUENCE [sales].[tickets] START WITH 5 INCREMENT BY 10 MAXVALUE 1000 CYCLE;

-- identity sales.customers.id
CREATE SEQUENCE [sales].[customers_id_seq] AS BIGINT START WITH 100 INCREMENT BY 1;

-- identity sales.orders.id
CREATE SEQUENCE [sales].[orders_id_seq] AS BIGINT START WITH 1 INCREMENT BY 1;

-- table sales.customers
CREATE TABLE [sales].[customers] (
  [id] bigint DEFAULT (NEXT VALUE FOR [sales].[customers_id_seq]) NOT NULL,
  [name] nvarchar(160) DEFAULT (N'it''s') NOT NULL,
  [vip] bit DEFAULT (0) NOT NULL,
  [born] date,
  [seen] datetimeoffset(6) DEFAULT (SYSDATETIMEOFFSET()),
  [balance] decimal(12,2) DEFAULT (0) NOT NULL,
  [shown] AS (UPPER(CAST(([name]) AS NVARCHAR(MAX)))) PERSISTED,
  CONSTRAINT [customers_pkey] PRIMARY KEY ([id]),
  CONSTRAINT [customers_balance_check] CHECK ([balance] >= -1000)
);

-- table sales.orders
CREATE TABLE [sales].[orders] (
  [id] int DEFAULT (NEXT VALUE FOR [sales].[orders_id_seq]) NOT NULL,
  [customer] bigint NOT NULL,
  [select] smallint DEFAULT (1),
  [a b.c] float(53),
  [uid] uniqueidentifier DEFAULT (NEWID()),
  [doc] nvarchar(max),
  [state] nvarchar(4) DEFAULT (N'NW'),
  [amount] nvarchar(max),
  [raw] varbinary(max),
  CONSTRAINT [orders_pkey] PRIMARY KEY ([id]),
  CONSTRAINT [orders_state] CHECK ([state] IN ('NW', 'OK'))
);

-- unique sales.customers.customers_name_key
ALTER TABLE [sales].[customers] ADD CONSTRAINT [customers_name_key] UNIQUE ([name], [born]);

-- foreign key sales.orders.orders_customer_fkey
ALTER TABLE [sales].[orders] ADD CONSTRAINT [orders_customer_fkey] FOREIGN KEY ([customer]) REFERENCES [sales].[customers] ([id]) ON DELETE CASCADE;

-- index sales.customers.customers_seen
CREATE INDEX [customers_seen] ON [sales].[customers] ([seen] DESC);

-- index sales.customers.customers_rich
CREATE INDEX [customers_rich] ON [sales].[customers] ([balance]) WHERE [balance] > 100;

-- view sales.per_customer
CREATE VIEW [sales].[per_customer] ([id], [customer], [orders]) AS
SELECT [c].[id], [c].[name] AS [customer], COUNT_BIG([o].[id]) AS [orders] FROM [sales].[customers] AS [c] LEFT JOIN [sales].[orders] AS [o] ON [o].[customer] = [c].[id] GROUP BY [c].[id], [c].[name];

-- view sales.top
CREATE VIEW [sales].[top] ([id], [customer], [orders]) AS
SELECT * FROM [sales].[per_customer] WHERE [orders] > 3;

-- comment sales.customers
EXEC sys.sp_addextendedproperty N'MS_Description', N'Who buys', N'SCHEMA', N'sales', N'TABLE', N'customers';

-- comment sales.customers.vip
EXEC sys.sp_addextendedproperty N'MS_Description', N'pays early; it''s gold', N'SCHEMA', N'sales', N'TABLE', N'customers', N'COLUMN', N'vip';

-- comment sales.per_customer
EXEC sys.sp_addextendedproperty N'MS_Description', N'How many each bought', N'SCHEMA', N'sales', N'VIEW', N'per_customer';

