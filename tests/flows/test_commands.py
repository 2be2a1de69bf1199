"""How the command line speaks, stops and takes over."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from hdm.state import RunInfo, StateManager
from tests.flows.kit import Place, direct, load, on_sqlite, only, run, shop, stage


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return shop(tmp_path)


def test_json_events_are_one_object_a_line(place: Place) -> None:
    done = place.hdm("run", "--log-format", "json")
    names = [event["event"] for event in done.lines]
    assert (names[0], names[-1]) == ("run.started", "run.ended")
    assert names.count("chunk.committed") == names.count("chunk.started") > 5
    assert all("at" in event for event in done.lines)
    assert done.lines[-1]["exit_code"] == done.code == 0
    assert done.err == ""


def test_a_pipe_hears_no_progress(place: Place) -> None:
    done = place.hdm("run")
    assert done.out == ""
    assert "\r" not in done.err and "\x1b" not in done.err
    assert place.hdm("run", "--quiet").said == ""


def test_log_settings_are_the_users_own(place: Place) -> None:
    log = place.folder / "own.log"
    settings = {
        "formatters": {"mine": {"format": "%(levelname)s|%(name)s|%(message)s"}},
        "handlers": {"file": {"class": "logging.FileHandler", "filename": str(log), "formatter": "mine"}},
        "root": {"level": "DEBUG", "handlers": ["file"]},
    }
    path = place.folder / "log.yml"
    path.write_text(yaml.safe_dump(settings))
    assert place.start("run", "-l", str(path)).wait(60) == 0
    said = log.read_text()
    assert "DEBUG|hdm.planner|planned orders" in said
    assert "INFO|hdm.run|run started: run=" in said
    assert "INFO|hdm.run|chunk committed: table=orders link=src_orders->files chunk=" in said
    assert "INFO|hdm.run|table ended: run=" in said
    assert said.count("INFO|hdm.run|run ended: run=") == 1


INI = """
[loggers]
keys=root
[handlers]
keys=file
[formatters]
keys=mine
[logger_root]
level=INFO
handlers=file
[handler_file]
class=FileHandler
formatter=mine
args=({log!r},)
[formatter_mine]
format=%(levelname)s|%(name)s|%(message)s
"""


def test_log_settings_may_be_an_ini_file_on_every_command(place: Place) -> None:
    log, path = place.folder / "own.log", place.folder / "log.ini"
    path.write_text(INI.format(log=str(log)))
    on_sqlite(place.source, "UPDATE items SET what = NULL WHERE line = 1")
    checks = [{"type": "NotNull", "column": "what"}]
    place.manifest["declared_data_links"]["stages"][1]["checks"] = checks
    place.write()
    assert place.hdm("run", "-l", str(path)).code == 1
    said = log.read_text()
    assert "ERROR|hdm.run|chunk dead: table=items link=src_items->files chunk=" in said
    assert "error=CheckFailed" in said and "ERROR|hdm.run|table ended: run=" in said
    for verb in ("plan", "status", "doctor", "gc"):
        log.write_text("")
        (log.parent / "log.ini").write_text(INI.format(log=str(log)).replace("level=INFO", "level=DEBUG"))
        place.hdm(verb, "-l", str(path))
        assert log.exists()
    path.write_text(INI.format(log=str(log)).replace("keys=file", "keys=nosuch"))
    for verb in ("run", "plan", "status", "doctor", "gc", "retry"):
        done = place.hdm(verb, "-l", str(path))
        assert done.code == 2 and f"{path}:1:1: " in done.err, (verb, done.err)


def test_the_originals_command_line_runs(place: Place) -> None:
    path = place.folder / "log.yml"
    path.write_text("{version: 1, root: {level: INFO}}")
    words = [
        str(place.folder / "m.yml"),
        "-l",
        str(path),
        "-e",
        "dev",
        "--profiles",
        str(place.folder / "p.yml"),
    ]
    assert place.python(["-m", "hashmap_data_migrator", *words]).wait(60) == 0
    assert place.rows("orders") == place.source_rows("orders")


def test_a_secret_is_not_taken_into_the_manifest(place: Place) -> None:
    place.manifest["declared_data_links"]["stages"][0]["source"]["conf"]["table_name"] = "$SHOP_PASSWORD"
    done = place.write().hdm("plan", env={"SHOP_PASSWORD": "s3cret-canary"})
    assert done.code == 2
    assert "s3cret-canary" not in done.said
    assert "env:SHOP_PASSWORD" in done.err


def test_a_table_cannot_forge_what_is_said_of_it(place: Place) -> None:
    forged = "t\nrun 123: all committed, 999 rows\x1b[2K"
    on_sqlite(place.source, f'CREATE TABLE "{forged}" (id INTEGER PRIMARY KEY, b TEXT)')
    only(place, direct(place, forged))
    for verb in ("plan", "run", "status"):
        done = place.hdm(verb)
        assert done.said.replace("\n", "").isprintable(), repr(done.said)
        assert not any(line.startswith("run 123") for line in done.said.splitlines()), done.said


@pytest.mark.parametrize(
    "words",
    [("status",), ("status", "--runs"), ("lineage", "orders"), ("lineage", "orders", "--chunks"),
     ("lineage", "orders", "--columns"), ("plan",), ("doctor",), ("gc",), ("state", "verify"),
     ("state", "reconcile"), ("status", "--dead")],
    ids=" ".join,
)  # fmt: skip
def test_every_table_can_be_json(place: Place, words: tuple[str, ...]) -> None:
    place.hdm("run")
    told, shown = place.hdm(*words, "--json"), place.hdm(*words)
    assert (told.code, shown.code) == (0, 0), told.said + shown.said
    assert isinstance(told.json, list)
    assert told.err == ""


def test_sigterm_drains_and_the_next_run_goes_on(place: Place) -> None:
    only(place, stage("orders", place, chunk={"rows": 5}), load(place))
    slow = {"HDM_FAILPOINT": ",".join(f"C3:{n}:sleep:0.4" for n in range(3, 40))}
    process = place.start("run", **slow)
    assert place.until(lambda: len(place.state("SELECT 1 FROM hdm_chunk WHERE status = 'verified'")) > 0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert place.state("SELECT count(*) FROM hdm_chunk WHERE status IN ('leased', 'written')") == [(0,)]
    assert place.state("SELECT status FROM hdm_run") == [("aborted",)]
    assert place.hdm("run").code == 0
    assert place.rows("orders") == place.source_rows("orders")


@pytest.mark.parametrize("broken", ["the ledger", "a folder"])
def test_a_sink_that_cannot_be_asked_is_named_and_the_others_are_cleaned(place: Place, broken: str) -> None:
    place.manifest["orchestrator"]["conf"]["workers"] = 1
    links = []
    for table in ("orders", "items"):
        link = stage(table, place)
        link["sink"] = {**link["sink"], "name": f"{table}_files"}
        only(place, link).start("run", HDM_FAILPOINT="C6:1:kill").wait(60)
        links.append(link)
    only(place, *links)
    assert len(place.hdm("gc", "--dry-run", "--json").json) == 2
    (folder,) = place.stage.glob("orders_files/*")
    if broken == "a folder":
        folder.rename(place.folder / "aside")
        folder.symlink_to(place.folder / "aside")
    else:
        (part,) = folder.rglob("*.parquet")
        part.with_name(part.name.split(".")[0] + ".manifest.json").write_text("{}")
    for options, left in ((("--dry-run",), 2), ((), 1)):
        done = place.hdm("gc", "--json", *options)
        assert done.code == 1
        assert [row["uri"].split("/")[-3] for row in done.json] == ["items_files"]
        assert done.err.count("\n") == 1
        assert "orders_files" in done.err and "left" in done.err
        assert len(place.state("SELECT 1 FROM hdm_artifact WHERE state = 'TMP'")) == left
    done = place.hdm("state", "reconcile", "--json")
    assert (done.code, [row["table"] for row in done.json]) == (1, ["items"])
    assert "sink orders_files: " in done.err


def test_a_terminal_shows_bars_and_says_that_it_drains(place: Place) -> None:
    only(place, stage("orders", place, chunk={"rows": 5}), load(place))
    slow = ",".join(f"C3:{n}:sleep:0.4" for n in range(3, 40))
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 150, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "hdm", "run", *place.args],
        env={**os.environ, **place.env, "HDM_FAILPOINT": slow, "TERM": "xterm"},
        stdin=slave, stdout=subprocess.DEVNULL, stderr=slave,
    )  # fmt: skip
    os.close(slave)
    seen, asked, decoder = "", False, codecs.getincrementaldecoder("utf-8")()
    with contextlib.suppress(OSError):  # the terminal is closed with its process
        while said := os.read(master, 65536):
            seen += decoder.decode(said)
            if not asked and "/s" in seen:
                process.send_signal(signal.SIGTERM)  # once: a second one stops at once
                asked = True
    os.close(master)
    assert process.wait(60) == 143
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    assert re.search(r"orders -> files .*\d+/\d+ +[\d.]+k? rows, [\d.]+k?/s", text), text[-2000:]
    assert text.count("draining: what is in work is finished; once more to stop at once") == 1
    assert "stopped; run again to go on" in text


def test_what_a_dead_process_of_this_host_holds_is_taken_over_at_once(place: Place) -> None:
    only(place, direct(place, "orders"))
    process = place.start("run", HDM_FAILPOINT="L4:2:kill", HDM_LEASE_TTL="300")
    assert process.wait(60) == -signal.SIGKILL
    began = time.monotonic()
    done = place.hdm("run", env={"HDM_LEASE_TTL": "300"})
    assert done.code == 0
    assert "took over" in done.err and "from a dead process of this host" in done.err
    assert time.monotonic() - began < 60
    assert place.rows("orders") == place.source_rows("orders")


def test_the_lease_of_another_host_is_waited_for_and_said(place: Place) -> None:
    only(place, direct(place, "orders"))
    assert place.start("run", HDM_FAILPOINT="L4:2:kill").wait(60) == -signal.SIGKILL
    state = place.home / ".hashmap_data_migrator" / "state.db"
    with sqlite3.connect(state) as connection:
        connection.execute("UPDATE hdm_worker SET host = 'elsewhere/1'")
    connection.close()
    place.tampered = True
    done = place.hdm("run")
    assert done.code == 0
    assert "leased to host elsewhere: if it is dead, up to 3 s to wait" in done.err
    assert place.rows("orders") == place.source_rows("orders")


def test_a_worker_helps_an_open_run_and_does_not_start_another(place: Place) -> None:
    only(place, stage("orders", place, chunk={"rows": 5}), stage("items", place), load(place))
    slow = {"HDM_FAILPOINT": ",".join(f"C3:{n}:sleep:0.3" for n in range(2, 30))}
    opener = place.start("run", "--select", "orders", **slow)
    helper = place.start("work", "--wait", "30")
    assert (opener.wait(90), helper.wait(90)) == (0, 0)
    assert len({row[0] for row in place.state("SELECT worker_id FROM hdm_worker")}) == 2
    assert place.state("SELECT count(*), max(epoch) FROM hdm_job") == [(2, 1)]
    assert place.rows("orders") == place.source_rows("orders")
    assert place.hdm("work").code == 2
    assert place.hdm("run").code == 0
    assert place.rows("items") == place.source_rows("items")


def test_a_worker_reads_as_a_whole_what_the_run_it_helps_was_to_read_so(place: Place) -> None:
    link = direct(place, "orders", watermark={"column": "changed"})
    only(place, {**link, "mode": "merge"})
    assert place.hdm("run").code == 0
    place.sql("UPDATE orders SET cents = -1 WHERE id = 7")
    with StateManager.open(f"sqlite:///{place.home}/.hashmap_data_migrator/state.db") as state:
        manifest, env = place.state("SELECT manifest_name, env FROM hdm_run")[0]
        info = RunInfo(manifest, "0" * 64, env, "tester", None, False, "0.1", "elsewhere")
        state.runs.open(replace(info, refreshed=("orders",)))
    assert place.hdm("work").code == 0
    assert place.rows("orders") == place.source_rows("orders")


def test_a_transient_error_is_tried_again_and_a_poison_chunk_is_not(place: Place) -> None:
    only(place, direct(place, "orders"))
    done = place.hdm("run", "--log-format", "json", env={"HDM_FAILPOINT": ""})
    assert done.code == 0
    other = shop(place.folder / "b") if (place.folder / "b").mkdir() is None else place
    only(other, direct(other, "orders"))
    process = other.start(
        "run", "--log-format", "json", HDM_FAILPOINT="L1:1:raise:Deadlock,L1:2:raise:RejectedRows"
    )
    assert process.wait(60) == 1
    events = [json.loads(line) for line in (other.folder / "out.txt").read_text().splitlines()]
    by = {name: [e for e in events if e["event"] == name] for name in ("chunk.failed", "chunk.dead")}
    assert [event["error"] for event in by["chunk.failed"]] == ["Deadlock"]
    assert [event["error"] for event in by["chunk.dead"]] == ["RejectedRows"]
    (dead,) = other.hdm("status", "--dead", "--json").json
    assert (dead["error"], dead["attempts"]) == ("RejectedRows", 1)
    (context,) = other.state("SELECT context FROM hdm_dead_letter")[0]
    assert {"phase", "attempt", "worker", "source", "sink", "errors"} <= set(json.loads(context))
    assert other.hdm("retry").code == 0
    assert other.hdm("run").code == 0
    assert other.rows("orders") == other.source_rows("orders")


def test_columns_are_followed_from_either_end(place: Place) -> None:
    place.manifest["declared_data_links"]["stages"][2]["sink"]["conf"]["table_name"] = "copied"
    stages = place.manifest["declared_data_links"]["stages"]
    place.manifest["declared_data_links"]["stages"] = [stages[0], stages[2]]
    assert place.write().hdm("run").code == 0
    for table in ("orders", "copied"):
        shown = place.hdm("lineage", table, "--columns").out
        assert "orders.cents" in shown and "copied.cents" in shown, shown
        assert len(place.hdm("lineage", table, "--columns", "--json").json) == 8


def test_a_plan_shows_what_is_left(place: Place) -> None:
    def planned() -> list[tuple[str, int, int]]:
        rows = place.hdm("plan", "--json").json
        return [
            (row["table"], row["chunks"], row["rows (estimate)"]) for row in rows if row["chunks"] is not None
        ]

    assert planned() == [("orders", 7, 250), ("items", 2, 60)]
    place.start("run", HDM_FAILPOINT="C4:3:kill").wait(60)
    assert [chunks for _, chunks, _ in planned()] != [7, 2]
    assert place.hdm("run").code == 0
    assert planned() == [("orders", 0, 0), ("items", 0, 0)]
    place.sql("INSERT INTO orders VALUES (900, 'new', 1, 900), (901, 'new', 1, 901)")
    assert planned() == [("orders", 2, 2), ("items", 0, 0)]
    state = place.state("SELECT count(*) FROM hdm_event")
    place.hdm("plan")
    assert place.state("SELECT count(*) FROM hdm_event") == state


def test_a_catalogue_is_mapped_to_a_target_that_is_named(tmp_path: Path) -> None:
    """Never to the source's own system because none was; a crawl needs none."""
    place = shop(tmp_path, orders=1, items=1)
    rest = ["--from", "sqlite:src", "-e", "dev", "--profiles", str(tmp_path / "p.yml")]
    for words in (["catalog", "map", "--out", str(tmp_path / "ddl")], ["assess"]):
        done = run([*words, *rest], place.env)
        assert done.code == 2 and "write --to" in done.err
    assert run(["catalog", "crawl", *rest], place.env).code == 0
    done = run(["catalog", "crawl", *rest, "--include", "odrers"], place.env)
    assert done.code == 2 and "nothing that matches include: odrers" in done.err


def test_a_component_is_shown_with_its_choices(place: Place) -> None:
    done = run(["components", "fs_sink"], place.env)
    assert done.code == 0
    assert "  file_format: parquet | csv | jsonl | arrow, by default parquet\n" in done.out
    assert "  split: {rows, bytes}\n" in done.out and "  split.rows: int\n      Most rows" in done.out
    assert "  directory: str, required\n      Folder that takes the files;" in done.out
    found = run(["components", "DuckDBSink", "--json"], place.env).json[0]
    mode = found["conf"]["mode"]
    assert mode.pop("description").startswith("`append`, `replace`, `merge` or `sync`, as on the link")
    assert mode == {"type": "append | replace | merge | sync", "required": False, "default": None}


@pytest.mark.parametrize("name", ["PostgresSource", "SnowflakeS3CopySink", "AutoBatchOrchestrator"])
def test_what_keys_do_is_told_in_eighty_columns(place: Place, name: str) -> None:
    done = run(["components", name], {**place.env, "COLUMNS": "80"})
    assert done.code == 0
    assert [line for line in done.out.splitlines() if len(line) > 80] == []


def test_a_broken_chain_is_exit_code_1_and_named(place: Place) -> None:
    assert place.hdm("run").code == 0
    assert place.hdm("state", "verify").code == 0
    ((run_id,),) = place.state("SELECT run_id FROM hdm_run")
    place.state("UPDATE hdm_event SET event_type = 'other' WHERE seq = 3")
    done = place.hdm("state", "verify")
    assert (done.code, run_id[:12] in done.out) == (1, True), done.said
    assert "hdm: 3 break(s) in the trail" in done.err
    one = place.hdm("state", "verify", "--run", run_id[:8])
    assert (one.code, "event 3: was changed" in one.out) == (1, True), one.said
    assert "hdm: 1 break(s) in the event chain" in one.err


def test_a_state_database_is_verified_alone_and_against_an_anchor(place: Place) -> None:
    """Without its manifest, the runs of every manifest; the anchor finds what the chain cannot tell."""
    assert place.hdm("run").code == 0
    state = str(place.home / ".hashmap_data_migrator" / "state.db")
    anchor = str(place.folder / "anchor.jsonl")
    assert run(["state", "anchor", "--state", state, "-o", anchor], place.env).code == 0
    assert json.loads(run(["state", "anchor", "--state", state], place.env).out)["runs"] == 1
    done = run(["state", "verify", "--state", f"sqlite:///{state}"], place.env)
    assert (done.code, "1 chain(s) hold" in done.out, "no anchor was given" in done.out) == (0, True, True)
    assert place.hdm("run").code == 0
    assert place.hdm("state", "anchor", "-o", anchor).code == 0
    done = place.hdm("state", "verify", "--anchor", anchor)
    assert (done.code, "2 anchor(s) agree" in done.out) == (0, True), done.said
    assert place.hdm("state", "verify", "--anchor", anchor, "--json").json == []
    place.state("DELETE FROM hdm_anchor")
    place.state("DELETE FROM hdm_event WHERE event_type = 'run.closed'")
    place.state("UPDATE hdm_chain_head SET (seq, hash) = (SELECT e.seq, e.hash FROM hdm_event e WHERE "
                "e.run_id = hdm_chain_head.run_id ORDER BY e.seq DESC LIMIT 1)")  # fmt: skip
    done = run(["state", "verify", "--state", state, "--anchor", anchor], place.env)
    assert (done.code, "its chain was cut" in done.out) == (1, True), done.said


def test_there_is_no_holding_of_nothing(place: Place) -> None:
    done = place.hdm("state", "verify")
    assert (done.code, "nothing to verify" in done.err, "hold" in done.said) == (1, True, False), done.said
    empty = str(place.folder / "empty.db")
    StateManager.open(f"sqlite:///{empty}").close()
    for verb in ("verify", "anchor"):
        done = run(["state", verb, "--state", empty], place.env)
        assert (done.code, "no run is on record" in done.err) == (1, True), done.said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("verify",), "name either a manifest or, with --state, a state database"),
        (("verify", "m.yml", "--state", "s.db"), "name either a manifest or"),
        (("verify", "--state", "none.db"), "there is no file none.db"),
        (("verify", "--state", "oracle://h/d"), "cannot be on 'oracle'"),
        (
            ("verify", "--state", "postgresql://u:${NO_SUCH_WORD}@h/d"),
            "there is no such environment variable",
        ),
        (("verify", "--state", "none.db", "--anchor", "none.json"), "the anchor none.json cannot be read"),
        (
            ("verify", "--state", "none.db", "--anchor", "pyproject.toml"),
            "pyproject.toml:1: this is no anchor",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_place_to_verify_is_named(place: Place, words: tuple[str, ...], said: str) -> None:
    done = run(["state", *words], place.env)
    assert (done.code, said in done.err) == (2, True), done.said


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_table_that_cannot_be_cut_is_named(place: Place, verb: str) -> None:
    place.sql("CREATE TABLE loose (a INTEGER)")
    place.sql("INSERT INTO loose VALUES (?)", [(n,) for n in range(5)])
    only(place, direct(place, "loose", chunk={"rows": 2}))
    done = place.hdm(verb)
    assert (done.code, "note: loose: moved as one chunk" in done.err) == (0, True), done.said
