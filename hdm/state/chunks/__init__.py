"""What becomes of a chunk: claimed, written, committed, and what follows from it."""
