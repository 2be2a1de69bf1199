"""Reads Snowflake as Arrow batches, and loads it by COPY from internal and external stages."""

from hdm.connectors.snowflake.copy import (
    SnowflakeAzureCopySink,
    SnowflakeCopySink,
    SnowflakeS3CopySink,
)
from hdm.connectors.snowflake.database import SnowflakeDatabase
from hdm.connectors.snowflake.session import SnowflakeProfile
from hdm.connectors.snowflake.source import SnowflakeCatalog, SnowflakeSource
from hdm.connectors.snowflake.stage import SnowflakeInternalStageSink

__all__ = [
    "SnowflakeAzureCopySink",
    "SnowflakeCatalog",
    "SnowflakeCopySink",
    "SnowflakeDatabase",
    "SnowflakeInternalStageSink",
    "SnowflakeProfile",
    "SnowflakeS3CopySink",
    "SnowflakeSource",
]
