"""Moves chunks through their links, and records the receipts."""
