"""A consultant's own DataLink: named in the manifest, its ``transform`` is Python."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.kit import Place, shop

PLUGIN = """
import pyarrow as pa
import pyarrow.compute as pc

from hdm import DataLink, register


@register
class Loud{name}(DataLink):
    def transform(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        at = batch.schema.get_field_index("{column}")
        kept = batch.filter(pc.greater(batch.column("id"), 10))
        return kept.set_column(at, batch.schema.field(at), pc.utf8_upper(kept.column(at)))
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Orders go straight to the target through a link of our own."""
    place = shop(tmp_path, orders=30, items=1)
    name = f"own_link_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(PLUGIN.format(name=name.replace("_", ""), column="customer"))
    monkeypatch.syspath_prepend(str(tmp_path))
    place.manifest["plugins"] = [name]
    sink = {"name": "dst", "type": "SQLiteSink", "conf": {"env": "dst", "table_name": "orders"}}
    source = {"name": "src", "type": "SQLiteSource", "conf": {"env": "src", "table_name": "orders"}}
    stage = {"type": f"loud_{name}", "source": source, "sink": sink}
    place.manifest["declared_data_links"] = {"stages": [stage]}
    place.manifest["orchestrator"] = {"type": "DeclaredOrchestrator", "conf": None}
    place.manifest.pop("template_data_links", None)
    yield place
    sys.modules.pop(name, None)


def test_its_rows_arrive_as_it_made_them_and_the_rest_is_counted(place: Place) -> None:
    done = place.write().hdm("run")
    assert done.code == 0, done.said
    arrived = place.rows("orders")
    assert len(arrived) == 19
    assert place.state("SELECT SUM(rows_extracted), SUM(rows_filtered), SUM(rows_loaded) FROM hdm_chunk") == [
        (30, 11, 19)
    ]
    assert all(text == text.upper() for row in arrived for text in row if isinstance(text, str))


def test_one_that_nobody_registered_is_named_with_its_place(place: Place) -> None:
    place.manifest["declared_data_links"]["stages"][0]["type"] = "Quiet"
    done = place.write().hdm("run")
    assert done.code == 2
    assert "no data link is registered as 'Quiet'" in done.err
    assert "m.yml:" in done.err


def test_its_columns_are_unknown_to_an_auditor_until_it_declares_them(place: Place) -> None:
    assert place.write().hdm("run").code == 0
    asked = "SELECT DISTINCT transform_type, source_column FROM hdm_column_lineage"
    assert place.state(asked) == [("UNKNOWN", "")]
    shown = place.hdm("lineage", "orders", "--columns")
    assert "unknown" in shown.out and "does not declare origins" in shown.out, shown.said


@pytest.mark.parametrize("column", ["customer", "id"])
def test_question_12_is_right_under_a_transform(place: Place, column: str) -> None:
    """A constant under the column's name is not the column, and its hash under another name is."""
    (stage,) = place.manifest["declared_data_links"]["stages"]
    stage.pop("type")
    stage["transform"] = "SELECT id, sha256(customer) AS code, 'x' AS customer FROM batch"
    place.manifest["plugins"] = []
    assert place.write().hdm("run").code == 0
    file = Path(__file__).parents[2] / "docs" / "reference" / "audit.sql"
    (question,) = re.findall(r"^-- Q12 [^\n]*\n([^\n]*;)$", file.read_text(), re.M)
    ((name,),) = place.state(
        "SELECT d.name FROM hdm_dataset d JOIN hdm_job j ON j.source_dataset_id = d.dataset_id"
    )
    found = place.state(question.replace("<table>", name).replace("<column>", column))
    told = [(row[1], row[4], row[5], row[7]) for row in found]
    wanted = {"customer": [("code", "DIRECT", "TRANSFORMATION", 1)], "id": [("id", "DIRECT", "IDENTITY", 0)]}
    assert told == wanted[column]
