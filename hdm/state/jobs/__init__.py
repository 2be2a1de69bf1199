"""Runs and jobs, and what is planned, followed, replaced and kept for them."""
