"""The state database itself: connections, tables, statements, upgrades."""
