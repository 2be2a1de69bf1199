"""The life of a chunk: claimed, written, committed, and the effects of its commit."""
