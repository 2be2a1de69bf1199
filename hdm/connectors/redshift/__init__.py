"""Loads Amazon Redshift by COPY from S3, and reads it by cursors."""

from hdm.connectors.redshift.copy import RedshiftCopyConfig, RedshiftCopySink
from hdm.connectors.redshift.database import RedshiftDatabase, RedshiftProfile
from hdm.connectors.redshift.source import RedshiftCatalog, RedshiftSource

__all__ = [
    "RedshiftCatalog",
    "RedshiftCopyConfig",
    "RedshiftCopySink",
    "RedshiftDatabase",
    "RedshiftProfile",
    "RedshiftSource",
]
