"""Reads the description of a configuration key, which is the docstring under its field in the source code.

Pydantic's ``use_attribute_docstrings`` reads every model's source when the model is imported, which would
slow down every start of hdm. Here the source is read only when somebody asks for a description.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    import ast

    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema


class Described(BaseModel):
    """Base class of pydantic models whose JSON Schema includes the description of each key."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        made = handler(core_schema)
        properties = handler.resolve_ref_schema(made).get("properties", {})
        for name, text in descriptions(cls).items():
            key = cls.model_fields[name].alias or name
            if key in properties:
                properties[key].setdefault("description", text)
        return made


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return a model's descriptions: field -> one line of text, for each field that has one.

    ``Field(description=...)`` comes first, then the docstring under the field in the class that declared the
    field last. A model whose source is not available, or that was made at run time, has only the former.
    """
    found = {}
    for name, info in model.model_fields.items():
        text = info.description or _docstring(model, name)
        if text:
            found[name] = " ".join(text.replace("``", "`").split())
    return found


def _docstring(model: type[BaseModel], name: str) -> str | None:
    for cls in model.__mro__:
        fields = _classes(_source(cls.__module__)).get(cls.__qualname__, {})
        if name in fields:
            return fields[name]
    return None


def _source(module: str) -> str:
    import inspect

    try:
        return inspect.getsource(sys.modules[module])
    except (OSError, TypeError, KeyError):
        return ""


@lru_cache(maxsize=256)
def _classes(source: str) -> Mapping[str, Mapping[str, str | None]]:
    """Return qualified class name -> annotated attribute -> its docstring (None without one)."""
    import ast

    found: dict[str, dict[str, str | None]] = {}

    def walk(body: list[ast.stmt], path: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                found[f"{path}{node.name}"] = _attributes(node.body)
                walk(node.body, f"{path}{node.name}.")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                walk(node.body, f"{path}{node.name}.<locals>.")
            elif isinstance(node, ast.If | ast.Try | ast.With):
                walk(node.body, path)

    walk(ast.parse(source).body, "")
    return found


def _attributes(body: list[ast.stmt]) -> dict[str, str | None]:
    import ast

    found: dict[str, str | None] = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            said = after.value if isinstance(after, ast.Expr) else None
            text = said.value if isinstance(said, ast.Constant) else None
            found[node.target.id] = text if isinstance(text, str) else None
    return found
