"""Stores of staged files: a local folder, S3 and servers like it, Azure, Google Cloud Storage, SFTP."""
