"""Records runs and jobs: opening, planning, loading from upstream, replacing, retention."""
