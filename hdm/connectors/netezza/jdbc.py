"""Connects to Netezza by its JDBC driver, if the profile names one as ``{name, path}``.

https://www.ibm.com/docs/en/netezza?topic=jdbc-connection-strings
"""

from __future__ import annotations

from collections.abc import Sequence

from hdm.config.tls import is_local
from hdm.connectors.netezza.granted import TriesRights
from hdm.connectors.netezza.loading import BringsFirst
from hdm.connectors.netezza.merging import MovesRows
from hdm.connectors.netezza.profile import NetezzaProfile
from hdm.sql.jdbc import JdbcDatabase


class NetezzaJdbcDatabase(BringsFirst, MovesRows, TriesRights, JdbcDatabase):
    """Connects to one Netezza database by its JDBC driver."""

    dialect_name = "netezza"
    unloads_to = "JDBC"

    def url(self) -> str:
        """Return the JDBC URL, which holds no password."""
        profile: NetezzaProfile = self.profile
        return f"jdbc:netezza://{profile.host}:{profile.port}/{profile.database or ''}"

    def driver(self) -> tuple[str | None, Sequence[str]]:
        """Return the driver's class name, None for IBM's, and the paths of its jars."""
        return self.profile.driver.name, self.profile.driver.jars

    def properties(self, label: str) -> dict[str, str]:
        """Return the connection properties, which require TLS unless the server is local or ``insecure``."""
        profile: NetezzaProfile = self.profile
        plain = profile.insecure or is_local(profile.host)
        made = {
            **super().properties(label),
            "securityLevel": "preferredUnSecured" if plain else "onlySecured",
        }
        return {**made, "caCertFile": profile.ca_certs} if profile.ca_certs else made
