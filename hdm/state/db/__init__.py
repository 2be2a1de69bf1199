"""Access to the state database: connections, tables, statements, upgrades."""
