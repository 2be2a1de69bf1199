"""How the list of links is obtained, and nothing else."""
