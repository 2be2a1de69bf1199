"""Tells whether the database of a SQL source or sink can be reached."""

from __future__ import annotations

from hdm.sql.database import Database


class BehindDatabase:
    """Base class of components that use one database, which is their attribute ``database``."""

    database: Database

    @property
    def system(self) -> str:
        """The database's address: ``host:port``, or the path of a file."""
        return self.database.address

    def reach(self) -> None:
        """Open and close a database session; raise ``ConnectionLost`` if the server cannot be reached."""
        self.database.reach()
