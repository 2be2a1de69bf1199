"""Reads what people write: manifests, profiles, secrets and templates. Knows no component."""
