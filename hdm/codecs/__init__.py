"""Exact conversions between Arrow and what databases and files speak."""
