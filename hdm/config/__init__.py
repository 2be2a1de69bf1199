"""Read what people write: manifests, profiles, secrets and templates, without knowing any component."""
