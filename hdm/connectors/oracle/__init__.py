"""Oracle and Exadata by python-oracledb."""

from hdm.connectors.oracle.components import ExadataSource, OracleSink, OracleSource
from hdm.connectors.oracle.database import OracleDatabase, OracleProfile

__all__ = ["ExadataSource", "OracleDatabase", "OracleProfile", "OracleSink", "OracleSource"]
