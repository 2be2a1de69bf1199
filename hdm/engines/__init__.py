"""How workers are started; what they do is the same everywhere."""
