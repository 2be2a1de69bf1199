"""Defines ``Files``, the methods of the state database about staged files."""

from __future__ import annotations

from hdm.state.aggregates.base import Aggregate
from hdm.state.chunks import artifacts
from hdm.state.jobs import retention
from hdm.state.records import Lease, StaleArtifact


class Files(Aggregate):
    """Records staged files, and returns those that may be removed; used as ``StateManager.files``."""

    def begin(self, lease: Lease, uri: str, format: str) -> None:  # noqa: A002
        """Record a file of an attempt before its first byte is written.

        Raises ``LeaseLost`` if the lease is lost.
        """
        artifacts.begin(self._base, lease, uri, format)

    def stale(self) -> list[StaleArtifact]:
        """Return the files that ended attempts began to write and that no receipt names.

        Leaves out those of attempts whose lease is live, and of written chunks that are still to be
        published.
        """
        return artifacts.stale(self._base)

    def expendable(self, link_key: str, readers: frozenset[str], days: float = 0) -> list[StaleArtifact]:
        """Return a link's staged files that may be removed; none if ``readers`` is empty.

        They are at least ``days`` days old. The links with the keys ``readers``, and all others downstream,
        have loaded them, and everything made of them is verified, waived or superseded.
        """
        return retention.expendable(self._base, link_key, readers, days)

    def deleted(self, artifact_id: str) -> None:
        """Record that a staged file was deleted; do nothing if the file is not recorded."""
        artifacts.deleted(self._base, artifact_id)
