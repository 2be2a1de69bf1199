-- schema sales
CREATE SCHEMA IF NOT EXISTS `sales`;

-- table sales.customers
CREATE TABLE `sales`.`customers` (
  `id` INT64 NOT NULL,
  `name` STRING(80) DEFAULT 'it\'s' NOT NULL,
  `vip` BOOL DEFAULT FALSE NOT NULL OPTIONS(description='pays early; it\'s gold'),
  `born` DATE,
  `seen` TIMESTAMP DEFAULT CURRENT_TIMESTAMP(),
  `balance` NUMERIC(12,2) DEFAULT 0 NOT NULL,
  `shown` STRING,
  PRIMARY KEY (`id`) NOT ENFORCED
) CLUSTER BY `born` OPTIONS(description='Who buys');

-- table sales.orders
CREATE TABLE `sales`.`orders` (
  `id` INT64 NOT NULL,
  `customer` INT64 NOT NULL,
  `select` INT64 DEFAULT 1,
  `a_b_c` FLOAT64,
  `uid` STRING DEFAULT GENERATE_UUID(),
  `doc` JSON,
  `state` STRING(2) DEFAULT 'NW',
  `amount` STRING,
  `raw` BYTES,
  PRIMARY KEY (`id`) NOT ENFORCED
);

-- foreign key sales.orders.orders_customer_fkey
ALTER TABLE `sales`.`orders` ADD CONSTRAINT `orders_customer_fkey` FOREIGN KEY (`customer`) REFERENCES `sales`.`customers` (`id`) NOT ENFORCED;

-- view sales.per_customer
CREATE VIEW `sales`.`per_customer` (`id`, `customer`, `orders`) OPTIONS(description='How many each bought') AS
SELECT `c`.`id`, `c`.`name` AS `customer`, COUNT(`o`.`id`) AS `orders` FROM `sales`.`customers` AS `c` LEFT JOIN `sales`.`orders` AS `o` ON `o`.`customer` = `c`.`id` GROUP BY `c`.`id`, `c`.`name`;

-- view sales.top
CREATE VIEW `sales`.`top` (`id`, `customer`, `orders`) AS
SELECT * FROM `sales`.`per_customer` WHERE `orders` > 3;

