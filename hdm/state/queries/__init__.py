"""Queries of the state database that change nothing."""
