"""Where staged files lie: a folder, S3 and whatever speaks its protocol, Azure."""
