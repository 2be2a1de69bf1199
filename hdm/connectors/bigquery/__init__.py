"""Reads and loads Google BigQuery: BigQuerySource, BigQuerySink."""

from hdm.connectors.bigquery.database import BigQueryDatabase
from hdm.connectors.bigquery.profile import BigQueryProfile
from hdm.connectors.bigquery.sink import BigQuerySink
from hdm.connectors.bigquery.source import BigQuerySource

__all__ = ["BigQueryDatabase", "BigQueryProfile", "BigQuerySink", "BigQuerySource"]
