"""What is behind a SQL source or sink, for those who must know whether it is there."""

from __future__ import annotations

from hdm.sql.database import Database


class BehindDatabase:
    """A component whose system is its ``database``."""

    database: Database

    @property
    def system(self) -> str:
        """The database's address."""
        return self.database.address

    def reach(self) -> None:
        """By a new session."""
        self.database.reach()
