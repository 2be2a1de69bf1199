"""The templates of components, and the registry by which a manifest finds them; never uses the state."""
