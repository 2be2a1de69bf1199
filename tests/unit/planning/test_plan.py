"""Plans: templates filled, links chained, keys that last."""

from __future__ import annotations

from pathlib import Path

import pytest

from hdm.errors import ManifestError
from hdm.planning.manifest import load_manifest
from hdm.planning.plan import Plan, make_plan
from tests.unit.planning.test_manifest import ORIGINAL, load, plan

BASE = """
template_data_links:
  - batch_definition:
      source_name: a
      threads: 2
      scenarios: [{table_name: t1, watermark: {column: id, offset: 5}}, {table_name: t2}]
    source:
      name: a
      type: DummySource
      conf:
        {env: db, table_name: <<template>>, watermark: {column: <<template>>, offset: <<template>>},
         chunk: 10}
    sink: {name: stage, type: FSSink, conf: {directory: /d}}
declared_data_links:
  - source: {name: stage, type: FSSource, conf: {directory: /d}}
    sink: {name: b, type: DummySink, conf: {table_name: x}}
"""


def keys(tmp_path: Path, text: str, env: str = "dev", name: str = "m.yml") -> list[str]:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return [link.key for link in make_plan(load_manifest(path, env, {})).links]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("chunk: 10", "chunk: 20"),
        ("threads: 2", "threads: 9"),
        ("offset: 5", "offset: 6"),
        ("type: DummySource\n", "type: dummy_source\n"),
        ("\n      threads: 2", "\n\n\n# moved down\n      threads: 2"),
        ("env: db", "connection: db"),
        ("sink: {name: b,", "mode: merge\n    sink: {name: b,"),
        ("sink: {name: b,", "schema_policy: evolve\n    sink: {name: b,"),
    ],
)
def test_a_key_does_not_depend_on(tmp_path: Path, old: str, new: str) -> None:
    assert old in BASE
    assert keys(tmp_path, BASE.replace(old, new)) == keys(tmp_path, BASE)


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("table_name: t1", "table_name: t9", [0]),
        ("name: b,", "name: c,", [2]),
        ("table_name: x", "table_name: y", [2]),
        ("env: db", "env: other", [0, 1]),
        ("/d}}\ndeclared", "/e}}\ndeclared", [0, 1]),
        ("env: db,", "env: db, where: x > 1,", [0, 1]),
    ],
)
def test_a_key_depends_on(tmp_path: Path, old: str, new: str, changed: list[int]) -> None:
    assert old in BASE
    before, after = keys(tmp_path, BASE), keys(tmp_path, BASE.replace(old, new))
    assert [n for n in range(3) if before[n] != after[n]] == changed


def test_a_key_is_not_the_file_and_is_the_environment(tmp_path: Path) -> None:
    assert keys(tmp_path, BASE, name="other.yml") == keys(tmp_path, BASE)
    assert not set(keys(tmp_path, BASE, env="prod")) & set(keys(tmp_path, BASE))
    # Written down, so that a change of the rule is noticed: it would move every table again.
    assert keys(tmp_path, BASE)[0] == "ca6fbcaad97b9d824dc56911598ee435"


def test_order_and_chains(tmp_path: Path) -> None:
    first, second, load_ = plan(tmp_path, BASE).links
    assert load_.upstream == (first.key, second.key)
    assert (first.upstream, second.upstream) == ((), ())
    assert (first.threads, load_.threads) == (2, None)


def test_declared_stages_that_feed_a_template_come_first(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        """
template_data_links:
  - batch_definition: {source_name: s, scenarios: [{table_name: t}]}
    source: {name: s, type: FSSource, conf: {table_name: <<template>>}}
    sink: {name: z, type: DummySink}
declared_data_links:
  - source: {name: a, type: DummySource}
    sink: {name: s, type: FSSink}
""",
    )
    declared, templated = made.links
    assert templated.upstream == (declared.key,)


def test_only_an_earlier_sink_chains(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        """
template_data_links:
  - batch_definition: {source_name: db, scenarios: [{table_name: t}, {table_name: u}]}
    source: {name: db, type: DummySource, conf: {table_name: <<template>>}}
    sink: {name: db, type: DummySink, conf: {table_name: 'new_<<template>>'}}
declared_data_links:
  - source: {name: later, type: DummySource}
    sink: {name: x, type: DummySink}
  - source: {name: y, type: DummySource}
    sink: {name: later, type: DummySink}
""",
    )
    assert [link.upstream for link in made.links] == [(), (), (), ()]
    assert [link.sink.conf.get("table_name") for link in made.links] == ["new_t", "new_u", None, None]


def filled(tmp_path: Path, scenarios: str, source: str, sink: str = "", source_name: str = "a") -> Plan:
    return plan(
        tmp_path,
        f"""
template_data_links:
  - batch_definition: {{source_name: {source_name}, scenarios: {scenarios}}}
    source: {{name: a, type: DummySource, conf: {{{source}}}}}
    sink: {{name: b, type: DummySink, conf: {{{sink}}}}}
""",
    )


def test_holes_at_any_depth_in_source_and_sink(tmp_path: Path) -> None:
    (link,) = filled(
        tmp_path,
        "[{table_name: T, deep: {deeper: {deepest: 3}}, columns: [x, y], flag: no}]",
        "table_name: <<template>>, deep: {deeper: {deepest: <<template>>}, kept: 1}, columns: <<template>>",
        "table_name: stg_<<template>>, list: ['<<table_name>>', k],"
        " n: <<deep.deeper.deepest>>, flag: <<template>>",
    ).links
    assert link.source.conf == {
        "table_name": "T",
        "deep": {"deeper": {"deepest": 3}, "kept": 1},
        "columns": ["x", "y"],
    }
    assert link.sink.conf == {"table_name": "stg_T", "list": ["T", "k"], "n": 3, "flag": False}


def test_a_value_keeps_the_place_where_it_is_written(tmp_path: Path) -> None:
    (link,) = filled(tmp_path, "[{table_name: NO}]", "table_name: <<template>>").links
    assert link.source.conf.value_at("table_name") == (3, 65, "NO")  # type: ignore[attr-defined]


def test_a_scenario_also_replaces_what_is_written(tmp_path: Path) -> None:
    one, two = filled(
        tmp_path,
        "[{table_name: T, watermark: {column: X}}, {table_name: U}]",
        "table_name: old, watermark: {column: Y, offset: 1}",
    ).links
    assert one.source.conf == {"table_name": "T", "watermark": {"column": "X", "offset": 1}}
    assert two.source.conf == {"table_name": "U", "watermark": {"column": "Y", "offset": 1}}


def test_the_source_name_may_be_the_sinks(tmp_path: Path) -> None:
    (link,) = filled(tmp_path, "[{table_name: T}]", "table_name: keep", "table_name: old", "b").links
    assert (link.source.conf["table_name"], link.sink.conf["table_name"]) == ("keep", "T")


def test_a_whole_mapping_in_one_hole(tmp_path: Path) -> None:
    one, two = filled(
        tmp_path,
        "[{table_name: T, watermark: {column: X}}, {table_name: U}]",
        "table_name: <<template>>, watermark: <<template>>",
    ).links
    assert one.source.conf["watermark"] == {"column": "X"}
    assert "watermark" not in two.source.conf


def test_one_scenario_leaves_the_next_alone(tmp_path: Path) -> None:
    scenarios = "[{table_name: T, w: {c: 1}}, {table_name: U, w: {d: 2}}]"
    one, two = filled(
        tmp_path, scenarios, "table_name: <<template>>, w: {c: <<template>>, d: <<template>>, e: 0}"
    ).links
    assert (one.source.conf["w"], two.source.conf["w"]) == ({"c": 1, "e": 0}, {"d": 2, "e": 0})


def test_a_dotted_field_of_the_seeds_list(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        """
template_data_links:
  - batch_definition: [{source_name: a, field: where.region, values: [north, south]}]
    source: {name: a, type: DummySource, conf: {table_name: t, where: {region: <<template>>}}}
    sink: {name: b, type: DummySink}
""",
    )
    assert [link.source.conf["where"] for link in made.links] == [{"region": "north"}, {"region": "south"}]


AUTO = """
orchestrator: {type: auto_batch_orchestrator, conf: {include: ["sales.*"]}}
template_data_links:
  - source: {name: a, type: DummySource, conf: {table_name: <<template>>}}
    sink: {name: b, type: DummySink}
"""


def test_a_catalogue_fills_open_templates(tmp_path: Path) -> None:
    manifest = load(tmp_path, AUTO)
    still_open = make_plan(manifest)
    assert still_open.links == ()
    assert len(still_open.open_templates) == 1
    made = make_plan(manifest, lambda template: [{"table_name": "t1"}, {"table_name": "t2"}])
    assert [link.source.conf["table_name"] for link in made.links] == ["t1", "t2"]
    assert made.open_templates == ()
    with pytest.raises(ManifestError, match="no place for 'other'"):
        make_plan(manifest, lambda template: [{"table_name": "t1", "other": 1}])


def test_a_plan_is_the_same_every_time(tmp_path: Path) -> None:
    environ = {"HDM_DATA_STAGING": "/d"}
    assert plan(tmp_path, ORIGINAL, environ) == plan(tmp_path, ORIGINAL, environ)


@pytest.mark.parametrize(
    ("above", "here", "refused"),
    [
        ("append", "replace", "mode replace would leave in 'b' only what 'stage' was given last"),
        ("replace", "append", "mode append would add every row to 'b' again with each run"),
        ("append", "append", None),
        ("append", "merge", None),
        ("replace", "replace", None),
        ("replace", "merge", None),
    ],
)
def test_a_chain_replaces_as_a_whole(tmp_path: Path, above: str, here: str, refused: str | None) -> None:
    text = BASE.replace("  - batch_definition:", f"  - mode: {above}\n    batch_definition:")
    text = text.replace("  - source: {name: stage", f"  - mode: {here}\n    source: {{name: stage")
    if refused is None:
        assert len(keys(tmp_path, text)) == 3
        return
    with pytest.raises(ManifestError) as wrong:
        keys(tmp_path, text)
    assert refused in str(wrong.value) and str(wrong.value).startswith(f"{tmp_path / 'm.yml'}:17:")
    assert wrong.value.hint is not None and "where 'stage' is the sink" in str(wrong.value.hint)
