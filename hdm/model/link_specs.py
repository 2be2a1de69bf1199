"""All links of a manifest by their keys, with an index of which links read from which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView, Mapping

from hdm.model.values import LinkSpec


class LinkSpecs(Mapping[str, LinkSpec]):
    """Maps the keys of links to their ``LinkSpec``, and tells which links read what a link publishes.

    A run asks that several times for each table. So the answer is looked up, not searched for: a search
    through all links would make a run's cost grow with the square of the number of its tables.
    """

    def __init__(self, specs: Iterable[LinkSpec] = ()) -> None:
        self._specs = {spec.key: spec for spec in specs}
        self._readers: dict[str, list[LinkSpec]] = {}
        for spec in self._specs.values():
            for key in dict.fromkeys(spec.upstream):
                self._readers.setdefault(key, []).append(spec)

    def __getitem__(self, key: str) -> LinkSpec:
        return self._specs[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def __contains__(self, key: object) -> bool:
        return key in self._specs

    def readers(self, key: str) -> tuple[LinkSpec, ...]:
        """Return the links that read what the link with this key publishes; empty if there are none."""
        return tuple(self._readers.get(key, ()))

    @property
    def feeding(self) -> KeysView[str]:
        """The keys of the links that another link reads from."""
        return self._readers.keys()

    def feeds(self, key: str) -> bool:
        """Return True if a link reads what the link with this key publishes."""
        return key in self._readers
