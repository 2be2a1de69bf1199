"""The manifest's words as models: what is left once every accepted spelling is one."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation

from hdm.model import Mode

Conf = SkipValidation[dict[str, Any]]
"""Kept as it was read, with its places; validated against the component's own Config."""

SchemaPolicy = Literal["evolve", "freeze", "discard", "fail"]

OnDead = Literal["continue", "stop"]


def _version(value: object) -> object:
    return 1 if value in ("1", "1.0", 1.0) and not isinstance(value, bool) else value


Count = Annotated[int, Field(ge=1)]


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Component(_Words):
    """A source or a sink. Keys that stand beside ``type`` count as ``conf``."""

    name: Annotated[str, Field(min_length=1)]
    type: Annotated[str, Field(min_length=1)]
    conf: Conf = Field(default_factory=dict)


class Service(_Words):
    """The orchestrator or the state manager."""

    type: Annotated[str, Field(min_length=1)]
    name: str = ""
    conf: Conf = Field(default_factory=dict)


class Limits(_Words):
    """What a link may take from its source: connections at once, rows and bytes a second."""

    connections: Count | None = None
    rows_per_second: Count | None = None
    bytes_per_second: Count | None = None


class CheckWords(_Words):
    """An in-flight rule: its type, and what that type takes."""

    model_config = ConfigDict(extra="allow", frozen=True)
    type: Annotated[str, Field(min_length=1)]


class WatermarkWords(_Words):
    """The ordered column, how far to look back each time, and what is vouched for."""

    column: str
    offset: str | int | float | None = None
    lag: str | int | None = None
    order: Literal["monotone"] | None = None
    max: str | int | float | date | None = None
    zone: Literal["utc"] | None = None


class ChunkWords(_Words):
    """How large a chunk may be."""

    rows: Count | None = None
    bytes: Count | str | None = None


class Link(_Words):
    """One source -> sink pair: a stage."""

    source: Component
    sink: Component
    type: str = "DataLink"
    name: str | None = None
    mode: Mode | None = None
    transform: str | None = None
    checks: list[CheckWords] = Field(default_factory=list)
    watermark: WatermarkWords | None = None
    chunk: ChunkWords | Count | None = None
    schema_policy: SchemaPolicy = "fail"
    on_dead: OnDead = "continue"
    site: str | None = None
    limits: Limits | None = None
    allow_loss: bool | list[str] = False
    threads: Count | None = None
    union: bool | list[str] = False


class Batch(_Words):
    """What a template is filled with: one link per scenario."""

    source_name: Annotated[str, Field(min_length=1)]
    scenarios: SkipValidation[list[dict[str, Any]]]
    threads: Count | None = None


class Template(Link):
    """A link with ``<<template>>`` in it. Without ``batch_definition``, the catalogue fills it."""

    batch_definition: Batch | None = None


class ManifestWords(_Words):
    """A whole manifest."""

    version: Annotated[Literal[1], BeforeValidator(_version)] = 1
    name: str | None = None
    description: str | None = None
    orchestrator: Service | None = None
    state_manager: Service | None = None
    template_data_links: list[Template] = Field(default_factory=list)
    declared_data_links: list[Link] = Field(default_factory=list)
    plugins: list[str] = Field(default_factory=list)
