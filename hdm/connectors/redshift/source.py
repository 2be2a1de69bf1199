"""Reads Amazon Redshift: rows by cursors, and its catalogue."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from hdm.connectors.redshift.database import RedshiftDatabase, RedshiftProfile
from hdm.sql import Database, SqlCatalog, SqlSource


class RedshiftSource(SqlSource):
    """Reads a table or view of Redshift by a cursor, chunk after chunk."""

    Profile: ClassVar[type[BaseModel] | None] = RedshiftProfile
    Database: ClassVar[type[Database]] = RedshiftDatabase


class RedshiftCatalog(SqlCatalog):
    """Reads and creates tables, keys and views in Redshift."""

    Profile: ClassVar[type[BaseModel] | None] = RedshiftProfile
    Database: ClassVar[type[Database]] = RedshiftDatabase
