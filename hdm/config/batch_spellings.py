"""Converts every spelling of a ``batch_definition`` to one: source_name, scenarios, threads."""

from __future__ import annotations

from typing import Any

from hdm.config.located import LocatedDict, Place, PlacedList, Problems, fold, misread, suggest


def shape_batch(value: LocatedDict | PlacedList, at: Place, problems: Problems) -> LocatedDict | None:
    """Return a ``batch_definition``, a mapping or a list, as ``{source_name, scenarios, threads}``.

    ``at`` is its place in the file. Mistakes are added to ``problems``. Returns None after a mistake that
    makes the rest meaningless.
    """
    entries = value if isinstance(value, PlacedList) else PlacedList([value], place=at)
    if not entries:
        problems.add("'batch_definition' is empty", at, "write {source_name: ..., scenarios: [...]}")
        return None
    out = LocatedDict(file=problems.file, place=at)
    scenarios = PlacedList(file=problems.file, place=at)
    fields: set[str] = set()
    for entry in entries:
        if not isinstance(entry, LocatedDict):
            problems.add("'batch_definition' must hold mappings", at, "write '- source_name: ...'")
            return None
        _batch_entry(entry, out, scenarios, fields, problems)
    if len(fields) > 1:
        problems.add(
            f"'batch_definition' fills several fields by separate lists: {', '.join(sorted(fields))}",
            at,
            "write scenarios, one mapping per link: scenarios: [{table_name: ..., watermark: {column: ...}}]",
        )
    out.put("scenarios", scenarios, at, scenarios.place)
    return out


def _batch_entry(
    entry: LocatedDict, out: LocatedDict, scenarios: PlacedList, fields: set[str], problems: Problems
) -> None:
    known = ("source_name", "scenarios", "field", "values", "threads")
    for key in entry:
        if key not in known:
            problems.add(f"batch_definition: unknown key '{key}'", entry.key_at(key), suggest(key, known))
    for key in ("source_name", "threads"):
        if key in entry and entry[key] is not None:
            if key in out and out[key] != entry[key]:
                problems.add(
                    f"batch_definition: '{key}' differs between its entries",
                    entry.value_at(key),
                    "write one template per source, or one value for all",
                )
            out.take(entry, key)
    if "scenarios" in entry:
        for key in ("field", "values"):
            if key in entry:
                problems.add(
                    f"batch_definition: '{key}' and 'scenarios' exclude each other",
                    entry.key_at(key),
                    f"remove '{key}'",
                )
        _scenarios(entry["scenarios"], entry.value_at("scenarios"), scenarios, problems)
        return
    for key in ("field", "values"):
        if key not in entry and not any(fold(key) == fold(name) for name in entry):
            problems.add(
                f"batch_definition: key '{key}' is missing",
                entry.place,
                "write 'field' and 'values', or 'scenarios'",
            )
    if "field" in entry and "values" in entry:
        _values(entry, scenarios, fields, problems)


def _scenarios(value: Any, at: Place, scenarios: PlacedList, problems: Problems) -> None:
    if not isinstance(value, PlacedList) or not value:
        problems.add(
            "'scenarios' must be a list with something in it", at, "write scenarios: [{table_name: ...}]"
        )
        return
    for index, item in enumerate(value):
        if isinstance(item, LocatedDict) and item:
            scenarios.add(item, value.item_at(index))
        else:
            problems.add("a scenario must be a mapping", value.item_at(index), "write {table_name: ...}")


def _values(entry: LocatedDict, scenarios: PlacedList, fields: set[str], problems: Problems) -> None:
    field, values = entry["field"], entry["values"]
    if not isinstance(field, str) or not all(field.split(".")):
        found = misread("field", entry.value_at("field"))
        problems.add(
            found[0] if found else "'field' wants the name of one key",
            entry.value_at("field"),
            found[1] if found else "write e.g. 'field: table_name'",
        )
        return
    fields.add(field)
    if not isinstance(values, PlacedList) or not values:
        problems.add(
            "'values' must be a list with something in it", entry.value_at("values"), "write '- value' lines"
        )
        return
    for index, value in enumerate(values):
        at = values.item_at(index)
        *outer, last = field.split(".")
        inner = LocatedDict(file=entry.file, place=at)
        inner.put(last, value, at, at)
        for part in reversed(outer):
            wrapped = LocatedDict(file=entry.file, place=at)
            wrapped.put(part, inner, at, at)
            inner = wrapped
        scenarios.add(inner, at)
