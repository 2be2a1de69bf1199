"""Print ``name==version`` of everything that hdm[demo,test] stands on, as installed now."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement


def closure(name: str, extras: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [(name, extras)]
    while todo:
        package, wanted = todo.pop()
        key = (re.sub(r"[-_.]+", "-", package).lower(), wanted)
        if key in seen:
            continue
        seen.add(key)
        try:
            installed = distribution(package)
        except PackageNotFoundError:
            continue  # needed on another platform or Python only
        found[key[0]] = installed.version
        for text in installed.requires or []:
            need = Requirement(text)
            if need.marker is None or any(
                need.marker.evaluate({"extra": extra}) for extra in wanted or frozenset({""})
            ):
                todo.append((need.name, frozenset(need.extras)))
    return found


if __name__ == "__main__":
    pins = closure("hdm", frozenset({"demo", "test"}))
    pins.pop("hdm", None)
    sys.stdout.write("# What `make demo` and `make test` install; written by `make lock`.\n")
    for name, version in sorted(pins.items()):
        sys.stdout.write(f"{name}=={version}\n")
