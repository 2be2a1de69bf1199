"""Base classes of sources, sinks and checks, and the registry that finds a class by its type name.

Nothing in this package reads or writes the state database.
"""
