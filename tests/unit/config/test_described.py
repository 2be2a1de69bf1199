"""What a key does stands under its field, and is read only when somebody asks."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import BaseModel, Field, create_model

from hdm.config.described import Described, descriptions


class Outer(Described):
    rows: int = 1
    """How many ``rows``
    there are."""
    folder: str = Field("x", description="Where it lies.")
    """Not this one."""
    bare: str = ""
    schema_name: str = Field("", alias="schema")
    """Names the schema."""

    class Inner(BaseModel):
        rows: str = ""
        """Another one of this name."""


class Later(Outer):
    rows: int = 2
    more: Outer | None = None
    """Holds keys of its own."""


def test_the_text_below_a_field_is_its_description() -> None:
    assert descriptions(Outer) == {
        "rows": "How many `rows` there are.",
        "folder": "Where it lies.",
        "schema_name": "Names the schema.",
    }
    assert descriptions(Outer.Inner) == {"rows": "Another one of this name."}


def test_a_field_that_is_declared_again_has_to_say_it_again() -> None:
    assert set(descriptions(Later)) == {"folder", "schema_name", "more"}


def test_models_within_functions_and_models_made_at_run_time() -> None:
    class Local(BaseModel):
        rows: int = 1
        """Stands in a function."""

    assert descriptions(Local) == {"rows": "Stands in a function."}
    made = create_model(
        "made", __base__=Outer, extra=(int, Field(1, description="Said by hand.")), mute=(int, 1)
    )
    assert descriptions(made) == descriptions(Outer) | {"extra": "Said by hand."}


def test_the_schema_says_it_under_the_names_that_are_written() -> None:
    schema = Later.model_json_schema()
    assert schema["properties"]["more"]["description"] == "Holds keys of its own."
    assert "description" not in schema["properties"]["rows"]
    inner = schema["$defs"]["Outer"]["properties"]
    assert inner["schema"]["description"] == "Names the schema."
    assert inner["folder"]["description"] == "Where it lies."
    assert "description" not in inner["bare"]


@pytest.mark.slow
def test_no_source_is_read_before_somebody_asks() -> None:
    """Neither when a component is imported, nor when its configuration is made."""
    code = """
from hdm.components import registry
from hdm.config import described
profile = registry.find("source", "SQLiteSource").Profile(path="a.db")
print(described._classes.cache_info().misses, profile.model_config.get("use_attribute_docstrings"))
print("path" in described.descriptions(type(profile)), described._classes.cache_info().misses > 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "None", "True", "True"]
