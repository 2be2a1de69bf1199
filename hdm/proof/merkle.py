"""Computes Merkle trees (RFC 6962): one hash over all leaves, short proofs that a leaf is among them.

https://www.rfc-editor.org/rfc/rfc6962#section-2.1
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256 over a zero byte and the leaf's data."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node: SHA-256 over a byte 1 and the hashes of its two children."""
    return hashlib.sha256(b"\1" + left + right).digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """Return the hash over all leaves, from their hashes in order; without any, SHA-256 of no bytes."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = _split(len(hashes))
    return node_hash(root(hashes[:split]), root(hashes[split:]))


def path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes that prove leaf ``index`` to be among the leaves, from the leaf up to the root."""
    if len(hashes) == 1:
        return []
    split = _split(len(hashes))
    if index < split:
        return [*path(hashes[:split], index), root(hashes[split:])]
    return [*path(hashes[split:], index - split), root(hashes[:split])]


def root_of(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """Return the root to which a leaf's hash and its path lead; None if the path cannot be of such a tree.

    ``index`` is the leaf's place among ``size`` leaves: https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.2
    """
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf
    for other in proof:
        if last == 0:
            return None
        if place % 2 or place == last:
            found = node_hash(other, found)
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            found = node_hash(found, other)
        place, last = place // 2, last // 2
    return found if last == 0 else None


def _split(size: int) -> int:
    """Return the largest power of two that is less than ``size``, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)
