"""Orchestrators decide which links a plan has; their base class carries out the run."""
