"""One transaction of the state: its lock, its events, its rows."""
