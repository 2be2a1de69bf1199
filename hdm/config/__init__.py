"""Reads what people write: manifests, profiles, secrets, templates. Knows no component."""
