"""Defines hdm's data model as values that cannot change, and their conversion to JSON and back."""

from hdm.model.change import Change
from hdm.model.file_names import FileNames
from hdm.model.holding import Holding
from hdm.model.json import (
    chunk_from_json,
    chunk_to_json,
    receipt_from_json,
    receipt_to_json,
    table_from_json,
    table_to_json,
    type_from_text,
    type_text,
)
from hdm.model.link_specs import LinkSpecs
from hdm.model.modes import Mode, ModeRules
from hdm.model.origin import Origin
from hdm.model.values import (
    Attempt,
    Chunk,
    Column,
    ComponentSpec,
    Condition,
    Dataset,
    Kind,
    LinkSpec,
    Payload,
    Receipt,
    StagedFile,
    Table,
    Tally,
    digest,
)
from hdm.model.window import Findings, Window

__all__ = [
    "Attempt",
    "Change",
    "Chunk",
    "Column",
    "ComponentSpec",
    "Condition",
    "Dataset",
    "FileNames",
    "Findings",
    "Holding",
    "Kind",
    "LinkSpec",
    "LinkSpecs",
    "Mode",
    "ModeRules",
    "Origin",
    "Payload",
    "Receipt",
    "StagedFile",
    "Table",
    "Tally",
    "Window",
    "chunk_from_json",
    "chunk_to_json",
    "digest",
    "receipt_from_json",
    "receipt_to_json",
    "table_from_json",
    "table_to_json",
    "type_from_text",
    "type_text",
]
