"""Records what happens to a chunk: claimed, written, committed, and the effects of its commit."""
