"""The staged files in the state database."""

from __future__ import annotations

from hdm.state.aggregates.base import Aggregate
from hdm.state.chunks import artifacts
from hdm.state.jobs import retention
from hdm.state.records import Lease, StaleArtifact


class Files(Aggregate):
    """Records staged files, and returns those that may be removed; used as ``StateManager.files``."""

    def begin(self, lease: Lease, uri: str, format: str) -> None:  # noqa: A002
        """Record a file before its first byte is written; raise ``LeaseLost`` if the lease is lost."""
        artifacts.begin(self._base, lease, uri, format)

    def stale(self) -> list[StaleArtifact]:
        """Return files that ended attempts may have left behind."""
        return artifacts.stale(self._base)

    def expendable(self, link_key: str, readers: frozenset[str], days: float = 0) -> list[StaleArtifact]:
        """Return a link's staged files that may be removed, at least ``days`` days old.

        Everything that the links ``readers``, and all others, made of them is verified.
        """
        return retention.expendable(self._base, link_key, readers, days)

    def deleted(self, artifact_id: str) -> None:
        """Record that a staged file was deleted."""
        artifacts.deleted(self._base, artifact_id)
