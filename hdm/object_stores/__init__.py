"""Object storage services as stores of staged files: S3 and whatever speaks its protocol, Azure."""
