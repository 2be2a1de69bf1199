"""Reads and writes Oracle and Exadata through python-oracledb."""

from hdm.connectors.oracle.components import ExadataSource, OracleCatalog, OracleSink, OracleSource
from hdm.connectors.oracle.database import OracleDatabase, OracleProfile

__all__ = ["ExadataSource", "OracleCatalog", "OracleDatabase", "OracleProfile", "OracleSink", "OracleSource"]
