"""Connects to Netezza by its ODBC driver, which delivers Arrow, if the profile names one."""

from __future__ import annotations

from hdm.connectors.netezza.granted import TriesRights
from hdm.connectors.netezza.loading import BringsFirst
from hdm.connectors.netezza.merging import MovesRows
from hdm.connectors.netezza.profile import NetezzaProfile
from hdm.sql.odbc import OdbcDatabase, valued


class NetezzaOdbcDatabase(BringsFirst, MovesRows, TriesRights, OdbcDatabase):
    """Connects to one Netezza database by its ODBC driver, which delivers Arrow."""

    dialect_name = "netezza"
    unloads_to = "ODBC"

    def connection_string(self, label: str) -> str:
        """Return the ODBC connection string; TLS is required unless ``insecure: true``."""
        profile: NetezzaProfile = self.profile
        parts: dict[str, str | None] = {
            "Driver": profile.driver,
            "Servername": profile.host,
            "Port": str(profile.port),
            "Database": profile.database,
            "Username": profile.user,
            "Password": profile.password.reveal() if profile.password else None,
            "SecurityLevel": "preferredUnSecured" if profile.insecure else "onlySecured",
            "CaCertFile": profile.ca_certs,
            "DateFormat": "1",
        }
        return ";".join(f"{key}={valued(value)}" for key, value in parts.items() if value is not None)
