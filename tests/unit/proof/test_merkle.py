"""The tree over a run's chunks is that of RFC 6962."""

from __future__ import annotations

import hashlib

import pytest

from hdm.proof import merkle

LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                 "606162636465666768696a6b6c6d6e6f")
]  # fmt: skip
ROOTS = [
    # The roots over the first leaves that the RFC's authors publish with their implementation:
    # https://github.com/google/certificate-transparency/blob/master/cpp/merkletree/merkle_tree_test.cc
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(9))
def test_the_root_is_the_published_one(size):
    assert merkle.root([merkle.leaf_hash(one) for one in LEAVES[:size]]).hex() == ROOTS[size]


def test_a_path_proves_its_leaf_at_its_place_and_nothing_else():
    for size in range(1, 20):
        hashes = [merkle.leaf_hash(bytes([n])) for n in range(size)]
        top = merkle.root(hashes)
        for place in range(size):
            path = merkle.path(hashes, place)
            assert merkle.root_of(hashes[place], place, size, path) == top
            for other in range(-1, size + 1):
                if other != place:
                    assert merkle.root_of(hashes[place], other, size, path) != top
            assert merkle.root_of(hashlib.sha256(b"x").digest(), place, size, path) != top
            assert merkle.root_of(hashes[place], place, size, [*path, hashes[0]]) != top
            if path:
                assert merkle.root_of(hashes[place], place, size, path[:-1]) != top
