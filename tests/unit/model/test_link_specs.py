"""The links of a manifest, and which of them read from which."""

from __future__ import annotations

from hdm.model import ComponentSpec, LinkSpec, LinkSpecs


def link(key: str, *upstream: str) -> LinkSpec:
    return LinkSpec(key, ComponentSpec("s", "X", {}), ComponentSpec("t", "Y", {}), upstream=upstream)


def test_it_is_a_mapping_of_links_by_their_keys_in_their_order() -> None:
    specs = LinkSpecs([link("b"), link("a", "b")])
    assert (list(specs), len(specs), "a" in specs, "c" in specs) == (["b", "a"], 2, True, False)
    assert specs["a"].upstream == ("b",)
    assert not LinkSpecs()


def test_it_tells_who_reads_what_a_link_publishes() -> None:
    specs = LinkSpecs([link("root"), link("one", "root"), link("two", "root", "root", "one"), link("free")])
    assert [one.key for one in specs.readers("root")] == ["one", "two"]
    assert [one.key for one in specs.readers("one")] == ["two"]
    assert (specs.readers("two"), specs.readers("unknown")) == ((), ())
    assert [key for key in specs if specs.feeds(key)] == ["root", "one"] == list(specs.feeding)


def test_the_last_of_two_links_with_one_key_counts() -> None:
    specs = LinkSpecs([link("root"), link("a", "root"), link("a")])
    assert (len(specs), specs.readers("root")) == (2, ())
