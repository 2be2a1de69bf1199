"""Manifests that are right, in every spelling."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pytest

from hdm.model import Mode
from hdm.planning.manifest import Manifest, load_manifest
from hdm.planning.plan import Plan, make_plan

ORIGINAL = """\
version: 1
orchestrator: {name: Batch Orchestration, type: BatchOrchestrator, conf: {back_pressure_factor: 10}}
state_manager: {name: state_manager, type: SQLiteStateManager, conf: {connection: state_manager}}
template_data_links:
  templates:
    - batch_template:
      batch_definition:
        source_name: netezza_source
        scenarios:
          - {table_name: ADMIN.TEST1, watermark: {column: T1, offset: 2}}
          - {table_name: ADMIN.TEST2}
      source:
        name: netezza_source
        type: NetezzaSource
        conf:
          env: netezza_jdbc
          table_name: <<template>>
          watermark: {column: <<template>>, offset: <<template>>}
          checksum: {function: hash8, column: c}
      sink: {name: fs_chunk_stg, type: FSSink, conf: {directory: $HDM_DATA_STAGING}}
declared_data_links:
  stages:
    - source: {name: fs_chunk_stg, type: FSChunkSource, conf: {directory: $HDM_DATA_STAGING, chunk: 200}}
      sink: {name: fs_stg, type: FSSink, conf: {directory: $HDM_DATA_STAGING}}
    - source: {name: fs_stg, type: FSSource, conf: {directory: $HDM_DATA_STAGING}}
      sink: {name: azure_sink, type: AzureBlobSink, conf: {env: azure, container: data}}
    - source: {name: azure_sink, type: AzureBlobSource, conf: {env: azure, container: data, file_format: csv}}
      sink:
        name: sflk_copy_into_sink
        type: SnowflakeAzureCopySink
        conf: {env: snowflake_x, stage_name: TMP, file_format: csv, stage_directory: data}
"""
HEAD = "declared_data_links:\n"
STAGE = "source: {name: a, type: DummySource}, sink: {name: b, type: DummySink}"


def load(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Manifest:
    path = tmp_path / "m.yml"
    path.write_text(text, encoding="utf-8")
    return load_manifest(path, None, environ or {})


def plan(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Plan:
    return make_plan(load(tmp_path, text, environ))


def test_the_original_manifest(tmp_path: Path) -> None:
    made = plan(tmp_path, ORIGINAL, {"HDM_DATA_STAGING": "/data"})
    first, second, chunks, upload, copy = made.links
    assert first.source.conf == {
        "env": "netezza_jdbc",
        "table_name": "ADMIN.TEST1",
        "watermark": {"column": "T1", "offset": 2},
        "checksum": {"function": "hash8", "column": "c"},
    }
    assert "watermark" not in second.source.conf
    assert first.sink.conf == {"directory": "/data"}
    assert chunks.upstream == (first.key, second.key)
    assert chunks.source.conf == {"directory": "/data", "chunk": 200}
    assert (upload.upstream, copy.upstream) == ((chunks.key,), (upload.key,))
    assert made.orchestrator.conf == {"back_pressure_factor": 10}
    assert made.orchestrator.name == "Batch Orchestration"
    assert made.state is not None
    assert (made.state.type, made.state.conf) == ("SQLiteStateManager", {"connection": "state_manager"})
    assert made.manifest_name == "m.yml"
    assert made.manifest_sha256 == hashlib.sha256(ORIGINAL.encode()).hexdigest()
    assert made.env == "dev"
    assert made.has_templates


def test_the_seeds_batch(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        """
orchestrator:
  name: Manual Orchestration
  type: batch_orchestrator
  conf: null
state_manager:
  name: state_manager
  type: SQLiteStateManager
  connection: state_manager
template_data_links:
  - batch_definition:
      - source_name: netezza_source
        field: table_name
        values:
          - database.schema.table_1
          - database.schema.table_1
          - database.schema.table_2
        threads: 5
    source:
      name: netezza_source
      type: NetezzaSource
      table_name: <<template>>
    sink:
      name: fs_chunk_stg
      type: FSSink
""",
    )
    assert [link.source.conf["table_name"] for link in made.links] == [
        "database.schema.table_1",
        "database.schema.table_2",
    ]
    assert [link.threads for link in made.links] == [5, 5]
    assert len(made.notes) == 1
    assert ":16: this scenario stands twice" in made.notes[0]
    assert made.state is not None
    assert made.state.conf == {"connection": "state_manager"}
    assert made.orchestrator.type == "BatchOrchestrator"


@pytest.mark.parametrize(
    "text",
    [
        f"declared_data_links: {{stages: [{{{STAGE}}}]}}",
        f"declared_data_links: [{{{STAGE}}}]",
        f"data_links: {{type: builder, mode: manual, stages: [{{{STAGE}}}]}}",
        f"data_links: {{stages: [{{{STAGE}}}]}}",
        f"version: 1\norchestrator: null\nstate_manager: ~\nplugins:\ndeclared_data_links: [{{{STAGE}}}]",
        f"template_data_links:\ndeclared_data_links: [{{{STAGE}}}]",
        f"version: '1'\norchestrator: declared_orchestrator\ndeclared_data_links: [{{{STAGE}}}]",
        HEAD + "- source: {name: a, type: dummy_source, conf: null}\n  sink: {name: b, type: DUMMYSINK}",
        HEAD + "- source: {name: a, type: dummysource, conf: {}}\n  sink: {name: b, type: Dummy_Sink}",
    ],
)
def test_spellings_of_a_stage(tmp_path: Path, text: str) -> None:
    made = plan(tmp_path, text)
    (link,) = made.links
    assert (link.source.name, link.source.type, dict(link.source.conf)) == ("a", "DummySource", {})
    assert (link.sink.name, link.sink.type, dict(link.sink.conf)) == ("b", "DummySink", {})
    assert made.orchestrator.type == "DeclaredOrchestrator"
    assert made.state is None
    assert link.mode is Mode.APPEND
    assert link.upstream == ()


BATCH = "source: {name: a, type: DummySource, table_name: <<template>>}, sink: {name: b, type: DummySink}"
SCENARIOS = "{source_name: a, scenarios: [{table_name: t}]}"
VALUES = "{source_name: a, field: table_name, values: [t]}"
DEFINITION = f"batch_definition: {SCENARIOS}"


@pytest.mark.parametrize(
    "text",
    [
        f"template_data_links: {{templates: [{{{DEFINITION}, {BATCH}}}]}}",
        f"template_data_links: [{{{DEFINITION}, {BATCH}}}]",
        f"templated_data_links: {{templates: [{{{DEFINITION}, {BATCH}}}]}}",
        f"template_data_links: [{{batch_template: , {DEFINITION}, {BATCH}}}]",
        f"template_data_links: [{{batch_template: {{{DEFINITION}, {BATCH}}}}}]",
        f"template_data_links: [{{batch_template: {{{DEFINITION}}}, {BATCH}}}]",
        f"template_data_links: [{{batch_definition: {VALUES}, {BATCH}}}]",
        f"template_data_links: [{{batch_definition: [{VALUES}], {BATCH}}}]",
        f"template_data_links: [{{batch_definition: [{SCENARIOS}], {BATCH}}}]",
    ],
)
def test_spellings_of_a_template(tmp_path: Path, text: str) -> None:
    made = plan(tmp_path, text)
    (link,) = made.links
    assert link.source.conf == {"table_name": "t"}
    assert link.threads is None
    assert made.orchestrator.type == "BatchOrchestrator"


def test_everything_that_a_link_may_say(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        """
name: everything
declared_data_links:
  - name: offload
    source: {name: a, type: DummySource, conf: {table_name: t}}
    sink: {name: b, type: DummySink, conf: {mode: merge, table_name: u}}
    transform: SELECT * FROM batch WHERE price > 5
    checks: [{type: not_null, column: id}, {type: RowCount, min: 1, severity: warn}]
    watermark: {column: id, offset: 2020-01-01, lag: 1h}
    chunk: {rows: 1000, bytes: 64MB}
    schema_policy: evolve
    site: onprem
    limits: {connections: 2, rows_per_second: 500}
    allow_loss: [price]
    threads: 3
""",
    )
    (link,) = made.links
    assert made.manifest_name == "everything"
    assert link.source.conf == {
        "table_name": "t",
        "watermark": {"column": "id", "offset": "2020-01-01", "lag": "1h"},
        "chunk": {"rows": 1000, "bytes": "64MB"},
    }
    assert link.sink.conf == {"table_name": "u"}
    assert link.mode is Mode.MERGE
    assert link.transform == "SELECT * FROM batch WHERE price > 5"
    assert link.checks == (
        {"type": "NotNull", "column": "id"},
        {"type": "RowCount", "min": 1, "severity": "warn"},
    )
    assert (link.schema_policy, link.site, link.threads) == ("evolve", "onprem", 3)
    assert link.limits == {"connections": 2, "rows_per_second": 500}
    assert link.allow_loss == ("price",)


def test_variables(tmp_path: Path) -> None:
    text = (
        HEAD + "- source: {name: a, type: DummySource, x: \"$A/${B}\", y: '$$A $5 a$', n: $N}\n"
        "  sink: {name: b, type: DummySink}\n  threads: $N"
    )
    made = plan(tmp_path, text, {"A": "one", "B": "NO: [$A]", "N": "7"})
    assert made.links[0].source.conf == {"x": "one/NO: [$A]", "y": "$A $5 a$", "n": "7"}
    assert made.links[0].threads == 7
    assert made.manifest_sha256 == plan(tmp_path, text, {"A": "2", "B": "3", "N": "4"}).manifest_sha256


def test_the_environment_is_asked_or_told(tmp_path: Path) -> None:
    text = f"declared_data_links: [{{{STAGE}}}]"
    path = tmp_path / "m.yml"
    path.write_text(text)
    assert load_manifest(path, None, {"HDM_ENV": "prod"}).env == "prod"
    assert load_manifest(path, "qa", {"HDM_ENV": "prod"}).env == "qa"


def test_a_plan_survives_json_and_pickling(tmp_path: Path) -> None:
    made = plan(tmp_path, ORIGINAL, {"HDM_DATA_STAGING": "/data"})
    again = pickle.loads(pickle.dumps(made.links))
    assert again == made.links
    assert again[0].source.conf.value_at("table_name") == made.links[0].source.conf.value_at("table_name")
    body = json.loads(json.dumps([asdict(link) for link in made.links]))
    assert body[0]["source"]["conf"]["watermark"] == {"column": "T1", "offset": 2}


def test_a_plugin_gives_its_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hdm import locator

    monkeypatch.setattr(locator, "_known", {kind: dict(names) for kind, names in locator._known.items()})
    (tmp_path / "plugged_for_manifest.py").write_text(
        "from hdm import Source, register\n@register\nclass Comet(Source):\n"
        "    def describe(self): ...\n    def read(self, table, chunk): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    stage = STAGE.replace("DummySource", "comet")
    made = plan(tmp_path, f"plugins: [plugged_for_manifest]\ndeclared_data_links: [{{{stage}}}]")
    assert made.links[0].source.type == "Comet"
    assert made.plugins == ("plugged_for_manifest",)
