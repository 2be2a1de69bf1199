-- schema sales
CREATE SCHEMA IF NOT EXISTS `sales`;

-- table sales.customers
CREATE TABLE `sales`.`customers` (
  `id` bigint AUTO_INCREMENT NOT NULL,
  `name` varchar(80) DEFAULT 'it''s' NOT NULL,
  `vip` tinyint(1) DEFAULT 0 NOT NULL COMMENT 'pays early; it''s gold',
  `born` date,
  `seen` datetime(6) DEFAULT (UTC_TIMESTAMP(6)),
  `balance` decimal(12,2) DEFAULT 0 NOT NULL,
  `shown` longtext GENERATED ALWAYS AS (UPPER(CAST((`name`) AS CHAR))) STORED,
  CONSTRAINT `customers_pkey` PRIMARY KEY (`id`),
  CONSTRAINT `customers_balance_check` CHECK (`balance` >= -1000)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin AUTO_INCREMENT=100 COMMENT='Who buys';

-- table sales.orders
CREATE TABLE `sales`.`orders` (
  `id` int AUTO_INCREMENT NOT NULL,
  `customer` bigint NOT NULL,
  `select` smallint DEFAULT 1,
  `a b.c` double,
  `uid` char(36) DEFAULT (UUID()),
  `doc` longtext,
  `state` varchar(2) DEFAULT 'NW',
  `amount` longtext,
  `raw` longblob,
  CONSTRAINT `orders_pkey` PRIMARY KEY (`id`),
  CONSTRAINT `orders_state` CHECK (`state` IN ('NW', 'OK'))
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- unique sales.customers.customers_name_key
ALTER TABLE `sales`.`customers` ADD CONSTRAINT `customers_name_key` UNIQUE (`name`, `born`);

-- foreign key sales.orders.orders_customer_fkey
ALTER TABLE `sales`.`orders` ADD CONSTRAINT `orders_customer_fkey` FOREIGN KEY (`customer`) REFERENCES `sales`.`customers` (`id`) ON DELETE CASCADE;

-- index sales.customers.customers_seen
CREATE INDEX `customers_seen` ON `sales`.`customers` (`seen` DESC);

-- index sales.customers.customers_rich
CREATE INDEX `customers_rich` ON `sales`.`customers` (`balance`);

-- view sales.per_customer
CREATE VIEW `sales`.`per_customer` (`id`, `customer`, `orders`) AS
SELECT `c`.`id`, `c`.`name` AS `customer`, COUNT(`o`.`id`) AS `orders` FROM `sales`.`customers` AS `c` LEFT JOIN `sales`.`orders` AS `o` ON `o`.`customer` = `c`.`id` GROUP BY `c`.`id`, `c`.`name`;

-- view sales.top
CREATE VIEW `sales`.`top` (`id`, `customer`, `orders`) AS
SELECT * FROM `sales`.`per_customer` WHERE `orders` > 3;

