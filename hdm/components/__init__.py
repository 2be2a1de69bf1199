"""What a consultant subclasses, and how a manifest finds it. Never sees the state."""
