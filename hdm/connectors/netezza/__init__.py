"""Reads and writes Netezza by nzpy, ODBC or JDBC; unloads through external tables."""

from hdm.connectors.netezza.components import NetezzaCatalog, NetezzaSink, NetezzaSource
from hdm.connectors.netezza.database import NetezzaDatabase
from hdm.connectors.netezza.external import NetezzaExternalTableSource
from hdm.connectors.netezza.profile import NetezzaProfile

__all__ = [
    "NetezzaCatalog",
    "NetezzaDatabase",
    "NetezzaExternalTableSource",
    "NetezzaProfile",
    "NetezzaSink",
    "NetezzaSource",
]
