"""Turns one table of a source's catalogue into a link, by filling a link template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import Field

from hdm.catalog.model import Path
from hdm.catalog.names import Case
from hdm.components import registry
from hdm.components.settings import Settings
from hdm.config.located import LocatedDict, Place
from hdm.config.manifest_model import Component, Template
from hdm.errors import UsageError
from hdm.model import Column, ComponentSpec, LinkSpec, Mode, Table
from hdm.planning.manifest import spec_of
from hdm.planning.plan import link_key, validate_words
from hdm.sql.cursor import LATER

OWN_KEYS = ("include", "exclude", "watermarks", "catalog")
"""Keys of the source's conf that only the orchestrator reads; no source accepts them."""
_HOLE = re.compile(r"<<\s*(schema|table|target_schema|target_table)\s*>>")


class WatermarkRule(Settings):
    """Rule for a table's watermark column: of several rules, the first that fits a column decides.

    If it fits several columns, the first in the table's order is taken. A column fits if its name, its type
    in the source's catalogue and its table's name match the patterns ``column``, ``type`` and ``table``
    (shell wildcards, case ignored), if its kind has an order or ``order`` vouches for one, and if it cannot
    be NULL or ``nullable`` is set. ``lag``, ``offset`` and ``order`` become the watermark's settings.
    """

    column: str = "*"
    """Pattern of the columns that become the watermark, without regard to case; left out, any name fits."""
    type: str = "*"
    """Pattern of their types in the source's catalogue, without regard to case; left out, any type fits."""
    table: str = "*"
    """Pattern of the tables, by name without schema; left out, any table fits."""
    lag: str | int | None = None
    """``lag`` of the watermark: a number, or a duration such as ``15m``; left out, none."""
    offset: str | int | None = None
    """``offset`` of the watermark, for mode ``merge``: a number, or a duration such as ``15m``; left out,
    none."""
    order: Literal["monotone"] | None = None
    """``monotone`` vouches, as in ``watermark``, that later rows have greater values in columns whose type
    does not ensure it; left out, such columns are not taken."""
    nullable: bool = Field(default=False)
    """Takes columns that may be NULL, too."""

    def fits(self, table: Table, column: Column) -> bool:
        """Return True if the column can be the table's cursor by this rule.

        Names, type, order and nullability must match.
        """
        pairs = ((self.column, column.name), (self.type, column.native), (self.table, table.path[-1]))
        named = all(fnmatchcase(name.lower(), pattern.lower()) for pattern, name in pairs)
        ordered = self.order is not None or column.kind in LATER
        return named and ordered and (self.nullable or not column.nullable)


def watermark_of(
    table: Table, rules: Iterable[WatermarkRule], columns: Sequence[str]
) -> dict[str, Any] | None:
    """Return the ``watermark`` settings for a table by the first rule that fits; None if none does.

    Rules are tried in order, and for each rule the table's columns in order. ``columns`` names those that are
    moved.
    """
    for rule in rules:
        for column in table.columns:
            if column.name in columns and rule.fits(table, column):
                found = {"column": column.name, "lag": rule.lag, "offset": rule.offset, "order": rule.order}
                return {key: value for key, value in found.items() if value is not None}
    return None


def bare_spec(component: Component, **extra: Any) -> ComponentSpec:
    """Return a component without the settings that only a table or the orchestrator fills.

    The rest is enough to reach its system. ``extra`` are settings to add.
    """
    conf = _placed(component.conf).without(*OWN_KEYS)
    for key in list(conf):
        if isinstance(conf[key], str) and "<<" in conf[key]:
            conf = conf.without(key)
    for key, value in extra.items():
        conf.put(key, value, conf.place, conf.place)
    return ComponentSpec(component.name, component.type, conf, _where(conf))


def make_link(
    template: Template,
    env: str,
    paths: tuple[Path, Path],
    columns: Mapping[str, str],
    watermark: Mapping[str, Any] | None,
    case: Case,
    types: Mapping[str, str] | None = None,
    *,
    only: bool = False,
) -> LinkSpec:
    """Return the link that moves the source table ``paths[0]`` to the target table ``paths[1]``.

    ``columns`` maps old column names to new ones; ``types`` gives the native types of measured columns;
    ``case`` is the case of names on the target. ``only`` leaves out rows of tables that inherit from the
    source table.
    """
    old, new = paths
    holes = {"schema": _schema(old), "table": old[-1], "target_schema": _schema(new), "target_table": new[-1]}
    source = _filled(template.source.conf, holes).without(*OWN_KEYS, "table_name", "query")
    sink = _filled(template.sink.conf, holes)
    _put(source, "table_name", list(old))
    _put(source, "columns", list(columns))
    if types:
        _put(source, "types", {**dict(source.get("types") or {}), **types})
    if only and "only" in registry.find("source", template.source.type).Config.model_fields:
        _put(source, "only", True)
    if watermark and "watermark" not in source:
        _put(source, "watermark", dict(watermark))
    known = registry.find("sink", template.sink.type).Config.model_fields
    if "table_name" in known and "table_name" not in template.sink.conf:
        _put(sink, "table_name", list(new))
    cased = {name: _cased(name, case) if "identifiers" in known else name for name in columns}
    if case is not Case.KEEP and "identifiers" in known and "identifiers" not in sink:
        _put(sink, "identifiers", case.value)
    left = ComponentSpec(template.source.name, template.source.type, source, _where(source))
    right = ComponentSpec(template.sink.name, template.sink.type, sink, _where(sink))
    allowed = template.allow_loss
    return LinkSpec(
        key=link_key(left, right, env),
        source=left,
        sink=right,
        mode=template.mode or Mode.APPEND,
        site=template.site,
        transform=template.transform or _renaming(columns, cased),
        checks=tuple(check.model_dump() for check in template.checks),
        schema_policy=template.schema_policy,
        on_dead=template.on_dead,
        quarantine=spec_of(template.quarantine, "quarantine") if template.quarantine else None,
        allow_loss=allowed if isinstance(allowed, bool) else tuple(allowed),
        threads=template.threads,
        limits=template.limits.model_dump(exclude_none=True) if template.limits else {},
        union=template.union if isinstance(template.union, bool) else tuple(template.union),
        validate=validate_words(template),
        max_deletes=str(0 if template.max_deletes is None else template.max_deletes),
        one_of_many=True,
    )


def fed_by(link: LinkSpec, made: Sequence[LinkSpec]) -> LinkSpec:
    """Return a declared link whose ``upstream`` also names the generated links that feed it.

    A generated link feeds it if its sink has the name of the link's source. Raises ``ManifestError`` if
    the declared link has mode replace and a link that feeds it has not (the target would keep only what was
    staged last), and if it has mode append and a link that feeds it has mode replace (each run would load
    everything again).
    """
    above = [one for one in made if one.sink.name == link.source.name]
    whole = link.mode.rules.reads_everything
    wrong = next((one for one in above if one.mode.rules.reads_everything != whole), None)
    if wrong is not None and not link.mode.rules.merges_by_key:
        raise registry.misplaced(
            link.source,
            f"mode {link.mode.value} does not fit: '{link.source.name}' is filled in mode {wrong.mode.value}",
            f"write mode: {'replace or merge' if link.mode.rules.only_adds else 'append or merge'} here",
        )
    return replace(link, upstream=(*link.upstream, *(one.key for one in above)))


def _renaming(columns: Mapping[str, str], cased: Mapping[str, str]) -> str | None:
    """Return a transform that renames columns where the sink's ``identifiers`` is not enough; else None."""
    if all(columns[name] == cased[name] for name in columns):
        return None
    shown = ", ".join(
        _quoted(old) if new == cased[old] else f"{_quoted(old)} AS {_quoted(new)}"
        for old, new in columns.items()
    )
    return f"SELECT {shown} FROM batch"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _cased(name: str, case: Case) -> str:
    return {Case.KEEP: name, Case.UPPER: name.upper(), Case.LOWER: name.lower()}[case]


def _schema(path: Path) -> str:
    return path[-2] if len(path) > 1 else ""


def _filled(conf: Mapping[str, Any], holes: Mapping[str, str]) -> LocatedDict:
    placed = _placed(conf)
    made = placed.like()
    for key in placed:
        made.put(key, _text(placed[key], holes), placed.key_at(key), placed.value_at(key))
    return made


def _text(value: Any, holes: Mapping[str, str]) -> Any:
    if isinstance(value, LocatedDict):
        return _filled(value, holes)
    if not isinstance(value, str):
        return value
    filled = _HOLE.sub(lambda hole: holes[hole[1]], value)
    if "<<" in filled:
        raise UsageError(
            f"the template has {value!r}, which no catalogue fills",
            hint="use <<schema>>, <<table>>, <<target_schema>> or <<target_table>>",
        )
    return filled


def _placed(conf: Mapping[str, Any]) -> LocatedDict:
    return conf.copy() if isinstance(conf, LocatedDict) else LocatedDict(conf)


def _put(conf: LocatedDict, key: str, value: Any) -> None:
    place = Place(conf.place.line, conf.place.column)
    conf.put(key, value, place, place)


def _where(conf: LocatedDict) -> tuple[int, int]:
    return (conf.place.line, conf.place.column)
