"""A write transaction of the state: what it locks, the events and rows that it writes."""
