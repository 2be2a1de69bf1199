"""Defines NetezzaSource, NetezzaSink and NetezzaCatalog, by nzpy, or by ODBC if the profile names a driver.

For bulk, unloading and loading through external tables is faster than the sink.
"""

from hdm.connectors.netezza.database import NetezzaDatabase
from hdm.connectors.netezza.profile import NetezzaProfile
from hdm.sql import components

NetezzaSource, NetezzaSink, NetezzaCatalog = components(NetezzaProfile, NetezzaDatabase, within=__name__)
