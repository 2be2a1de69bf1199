"""Compares two tables of any two systems, and names the rows and columns that differ."""
