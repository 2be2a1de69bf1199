"""Stores of staged files: a local folder, S3 and servers that speak its protocol, Azure."""
