"""Keep staged files: in a local folder, in S3 and servers that speak its protocol, in Azure."""
