"""A certificate says what was looked at, refuses what was not, and whoever changes it is found."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import runpy
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hdm import failpoints
from hdm.api import certifying
from hdm.proof import signing
from hdm.proof.certificate import issue, proof_of, statement_of
from tests.flows.kit import ROOT, Done, Place, direct, load, on_sqlite, only, run, shop, stage

PAGE = ROOT / "docs" / "howto" / "check-a-certificate.md"
Document = dict[str, Any]
STALE = "orders: NOT COMPARED since its rows were last written"


def certify(place: Place, *words: str) -> Done:
    """``hdm certify latest`` of the project."""
    return run(["certify", "latest", *place.args, *words], place.env)


def plain(place: Place, *words: str) -> Done:
    """``hdm certify`` without a run."""
    return run(["certify", *words], place.env)


def both(tmp_path: Path, orders: int = 120, **conf: Any) -> Place:
    """Two tables that go straight into the target, and three keys: the signer's, an approver's, another."""
    place = shop(tmp_path, orders, 30)
    links = [direct(place, "orders", **conf), direct(place, "items")]
    links[1]["source"]["name"], links[1]["sink"]["name"] = "src2", "dst2"
    only(place, *links)
    for name in ("signer", "approver", "other"):
        done = plain(place, "--new-key", str(tmp_path / name))
        assert done.code == 0, done.err
    return place


def key(place: Place, name: str = "signer") -> tuple[str, str]:
    return ("--key", f"file:{place.folder / name}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run that was compared row by row, its certificate ``c.json``, and that approved, ``a.json``."""
    place = both(tmp_path_factory.mktemp("certificate"))
    assert place.hdm("run").code == 0
    assert place.hdm("validate").code == 0
    done = certify(
        place, *key(place), "-o", str(place.folder / "c.json"), "--html", str(place.folder / "c.html")
    )
    assert (done.code, done.out.split(":")[0]) == (0, "PASSED"), done.said
    (place.folder / "a.json").write_text((place.folder / "c.json").read_text())
    words = (
        "--approve",
        str(place.folder / "a.json"),
        *key(place, "approver"),
        "--name",
        "The <second> person",
    )
    done = plain(place, *words)
    assert done.code == 0, done.said
    return place


@pytest.fixture(scope="module")
def verifier(made: Place) -> Path:
    """The verifier of the page, as a stranger saves it."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(program.splitlines()) <= 120
    assert not re.search(r"^\s*(?:from|import)\s+hdm\b", program, re.MULTILINE)
    file = made.folder / "verify.py"
    file.write_text(program, encoding="utf-8")
    return file


def judged(made: Place, verifier: Path, document: Document, *, approved: bool = False) -> tuple[Done, Done]:
    """What hdm and the stranger's verifier say of a certificate."""
    file = made.folder / "judged.json"
    file.write_text(certifying.spell(document), encoding="utf-8")
    keys = [str(made.folder / f"{name}.pub") for name in ("signer", *(("approver",) if approved else ()))]
    ours = plain(made, "--check", str(file), *(word for one in keys for word in ("--key", one)))
    program = [sys.executable, "-I", str(verifier), str(file), *keys]
    theirs = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    return ours, Done(theirs.returncode, theirs.stdout, theirs.stderr)


def whole(made: Place, name: str = "a.json") -> Document:
    return certifying.read(str(made.folder / name))


@pytest.mark.slow
def test_a_certificate_holds_for_hdm_and_for_a_stranger(made: Place, verifier: Path) -> None:
    for name, approved in (("c.json", False), ("a.json", True)):
        for one in judged(made, verifier, whole(made, name), approved=approved):
            assert one.code == 0, one.said
            assert "the certificate holds; of the run it says PASSED" in one.out
    said = json.loads(base64.b64decode(whole(made)["payload"]))
    tables = {one["target"]["name"]: one for one in said["predicate"]["tables"]}
    assert {name.rpartition(".")[2]: one["loaded"] for name, one in tables.items()} == {
        "orders": 120,
        "items": 30,
    }
    assert all(one["compared"] == "every value of every row was compared" for one in tables.values())
    assert said["predicateType"] == "hdm:migration/v1"
    assert len(whole(made)["chunks"]) == sum(one["chunks"] for one in tables.values()) > 2


@pytest.mark.slow
def test_each_chunk_can_be_proven_alone(made: Place, verifier: Path) -> None:
    document = whole(made)
    for leaf in document["chunks"]:
        assert judged(made, verifier, proof_of(document, leaf["chunk"]), approved=True)[0].code == 0
    proof = made.folder / "one.json"
    chunk = document["chunks"][1]["chunk"]
    done = plain(made, "--chunk", chunk[:10], "--from", str(made.folder / "a.json"), "-o", str(proof))
    assert done.code == 0, done.said
    ours, theirs = judged(made, verifier, certifying.read(str(proof)), approved=True)
    assert (ours.code, theirs.code) == (0, 0), (ours.said, theirs.said)
    assert f"chunk {chunk} is one of the" in theirs.out
    assert document["chunks"][0]["chunk"] not in proof.read_text(), "a proof shows other chunks"
    assert plain(made, "--chunk", "zz", "--from", str(made.folder / "a.json")).code == 2


def payload(document: Document, change: Callable[[Document], object]) -> Document:
    """The certificate with its statement changed, the signature left as it is."""
    said = json.loads(base64.b64decode(document["payload"]))
    change(said)
    return {**document, "payload": base64.b64encode(signing.canonical(said)).decode()}


def edited(document: Document, made: Place) -> Document:
    return payload(document, lambda said: said["predicate"]["run"].update(started_by="somebody else"))


def of_another_key(document: Document, made: Place) -> Document:
    other = signing.private_key((made.folder / "other").read_text(), "other")
    said = json.loads(base64.b64decode(document["payload"]))
    said["predicate"]["issuer"]["public_key"] = signing.public_pem(other)
    return issue(said, document["chunks"], other)


def signature_of_another_key(document: Document, made: Place) -> Document:
    other = signing.private_key((made.folder / "other").read_text(), "other")
    said = json.loads(base64.b64decode(document["payload"]))
    return {**document, "signatures": signing.envelope(said, other)["signatures"]}


def dropped(document: Document, made: Place) -> Document:
    return {**document, "chunks": document["chunks"][:-1]}


def swapped(document: Document, made: Place) -> Document:
    first, second, *rest = document["chunks"]
    return {**document, "chunks": [second, first, *rest]}


def rebuilt(document: Document, made: Place) -> Document:
    """A count changed, with every hash and sum made to fit, but not the signature."""
    from hdm.proof.statement import tree_of

    chunks = copy.deepcopy(document["chunks"])
    chunks[0]["loaded"] += 1
    chunks[0]["extracted"] += 1

    def change(said: Document) -> None:
        facts = said["predicate"]
        facts["tree"].update(tree_of(chunks))
        for table in facts["tables"]:
            mine = [one for one in chunks if one["job"] == table["job"]]
            table["tree"] = tree_of(mine)
            table["loaded"], table["extracted"] = (sum(c[n] for c in mine) for n in ("loaded", "extracted"))
        for subject, tree in zip(said["subject"], [facts, *facts["tables"]], strict=True):
            subject["digest"]["sha256"] = tree["tree"]["root"]

    return payload({**document, "chunks": chunks}, change)


def moved_approval(document: Document, made: Place) -> Document:
    """The approval of this certificate at another one that the same person signed."""
    signer = signing.private_key((made.folder / "signer").read_text(), "signer")
    said = json.loads(base64.b64decode(document["payload"]))
    said["predicate"]["issuer"]["at"] = "2031-01-01T00:00:00.000000Z"
    return {**issue(said, document["chunks"], signer), "approvals": document["approvals"]}


def no_approval(document: Document, made: Place) -> Document:
    return {**document, "approvals": []}


def disguised(document: Document, made: Place) -> Document:
    """Signed with another key, which stands in one PEM text below the lines of the signer's."""
    other = signing.private_key((made.folder / "other").read_text(), "other")
    said = json.loads(base64.b64decode(document["payload"]))
    said["predicate"]["issuer"]["public_key"] = below(made, "signer", other)
    return issue(said, document["chunks"], other)


def disguised_approval(document: Document, made: Place) -> Document:
    """Approved with another key, which stands in one PEM text below the lines of the approver's."""
    other = signing.private_key((made.folder / "other").read_text(), "other")
    said = json.loads(base64.b64decode(document["approvals"][0]["payload"]))
    said["predicate"]["public_key"] = below(made, "approver", other)
    return {**document, "approvals": [signing.envelope(said, other)]}


def below(made: Place, shown: str, real: Any) -> str:
    return f"{(made.folder / f'{shown}.pub').read_text().splitlines()[1]}\n{signing.public_pem(real)}"


def foreign_proof(document: Document, made: Place) -> Document:
    """The proof of a chunk, with another chunk in its place."""
    proof = proof_of(document, document["chunks"][0]["chunk"])
    proof["proof"]["leaf"] = {**proof["proof"]["leaf"], "chunk": hashlib.sha256(b"another").hexdigest()}
    return proof


def moved_proof(document: Document, made: Place) -> Document:
    proof = proof_of(document, document["chunks"][0]["chunk"])
    proof["proof"]["index"] = 1
    return proof


TAMPERINGS = [
    edited, of_another_key, signature_of_another_key, dropped, swapped, rebuilt, moved_approval, no_approval,
    foreign_proof, moved_proof, disguised, disguised_approval,
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda one: one.__name__)
def test_each_tampering_is_found_by_both_verifiers(
    made: Place, verifier: Path, tamper: Callable[[Document, Place], Document]
) -> None:
    approved = "approval" in tamper.__name__
    document = whole(made, "a.json" if approved else "c.json")
    ours, theirs = judged(made, verifier, tamper(document, made), approved=approved)
    assert (ours.code, "WRONG: " in ours.out) == (1, True), ours.said
    assert theirs.code == 1, theirs.said
    assert "INVALID: " in theirs.err, theirs.said


def test_without_a_key_it_is_not_said_who_signed(made: Place) -> None:
    done = plain(made, "--check", str(made.folder / "a.json"))
    assert (done.code, "whose key that is was not checked" in done.out) == (0, True), done.said


def test_keys_are_guarded_and_mistakes_are_said(made: Place) -> None:
    folder = made.folder
    assert stat.S_IMODE((folder / "signer").stat().st_mode) == 0o600
    again = plain(made, "--new-key", str(folder / "signer"))
    assert (again.code, "exists already" in again.err) == (2, True)
    pem = (folder / "signer").read_text()
    shown = certify(made, "--key", pem)
    assert (shown.code, "command line" in shown.err) == (2, True)
    assert pem.splitlines()[1] not in shown.said
    for words, said in (
        ((), "one private key"),
        (("--key", f"file:{folder / 'signer.pub'}"), "not a private key in PEM"),
        (("--key", f"file:{folder / 'none'}"), "cannot be read"),
        ((*key(made), "-o", str(folder / "c.json")), "exists already"),
        ((*key(made), "--check", str(folder / "c.json")), "say one thing to do"),
    ):
        done = certify(made, *words)
        assert (done.code, said in done.err) == (2, True), done.said
    for words, said in (
        (("--check", str(folder / "m.yml")), "is not a certificate"),
        (("--check", str(folder / "c.json"), "--key", str(folder / "signer")), "not a public Ed25519 key"),
        (("--approve", str(folder / "c.json"), *key(made, "other")), "who approves?"),
        (("--approve", str(folder / "c.json"), *key(made), "--name", "A. Person"), "own"),
        ((), "say one thing to do"),
        (("zzz", *made.args, *key(made)), "0 runs in this state database begin with 'zzz'"),
    ):
        done = plain(made, *words)
        assert (done.code, said in done.err) == (2, True), done.said


def test_a_signer_cannot_approve_under_another_spelling_of_its_key(made: Place) -> None:
    document = whole(made, "a.json")
    signer = signing.private_key((made.folder / "signer").read_text(), "signer")
    said = json.loads(base64.b64decode(document["approvals"][0]["payload"]))
    said["predicate"]["public_key"] = f"eA==\n{signing.public_pem(signer)}"
    file = made.folder / "self.json"
    file.write_text(certifying.spell({**document, "approvals": [signing.envelope(said, signer)]}))
    done = plain(made, "--check", str(file))
    assert (done.code, "by the key that signed the certificate" in done.out) == (1, True), done.said


@pytest.mark.parametrize("approvals", [5, True, "x", [5], [None]])
def test_approvals_of_another_form_are_wrong_in_words(made: Place, approvals: Any) -> None:
    file = made.folder / "malformed.json"
    file.write_text(json.dumps({**whole(made, "c.json"), "approvals": approvals}))
    done = plain(made, "--check", str(file))
    assert (done.code, "WRONG: an approval: " in done.out, done.err) == (1, True, ""), done.said


MALFORMED: tuple[dict[str, Any], ...] = (
    {"approvals": 5}, {"approvals": [5]}, {"approvals": [{}]}, {"approvals": [{"payload": 1}]},
    {"approvals": None}, {"signatures": None}, {"signatures": []}, {"signatures": [{"sig": "!"}]},
    {"signatures": [{"sig": 7}]}, {"signatures": "x"}, {"signatures": {"sig": "AAAA"}}, {"payload": None},
    {"payload": "AAAA"}, {"payload": base64.b64encode(b"[" * 200_000).decode()}, {"chunks": None},
    {"chunks": {}}, {"chunks": [5]}, {"chunks": [{}]}, {"chunks": ["x"]}, {"chunks": 7},
)  # fmt: skip


@pytest.mark.slow
def test_what_has_another_form_is_invalid_to_the_stranger_in_a_line(
    made: Place, verifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, key_file = made.folder / "malformed.json", str(made.folder / "signer.pub")
    texts = [json.dumps({**whole(made, "c.json"), **one}) for one in MALFORMED]
    calls = [[str(file), key_file]] * len(texts) + [
        [str(file), str(file)],
        [str(file)],
        [],
        ["none", key_file],
    ]
    texts += [json.dumps(one) for one in (whole(made, "c.json"),) * 4]
    for text, call in zip((*texts, "{", "[]", ""), (*calls, *calls[:3]), strict=True):
        file.write_text(text)
        monkeypatch.setattr(sys, "argv", ["verify.py", *call])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(verifier), run_name="__main__")
        assert str(ended.value.code).startswith("INVALID: "), (text[:200], call)


def test_a_file_that_is_nested_too_deep_or_says_a_thing_twice_is_refused(made: Place) -> None:
    text, file = (made.folder / "c.json").read_text(), made.folder / "odd.json"
    deep = base64.b64encode(b"[" * 200_000).decode()
    twice = re.sub(r'"loaded": (\d+)', r'"loaded": 99999, "loaded": \1', text, count=1)
    for odd, said in (
        (json.dumps({**whole(made, "c.json"), "payload": deep}), "not a certificate"),
        (twice, "'loaded' twice"),
        (text.replace("{\n", '{\n"payload": "AAAA",\n', 1), "'payload' twice"),
    ):
        file.write_text(odd)
        done = plain(made, "--check", str(file))
        assert (done.code, said in done.err) == (2, True), done.said


def test_a_page_replaces_neither_the_certificate_nor_a_key(made: Place) -> None:
    folder = made.folder
    kept = (folder / "signer").read_bytes()
    for words in (
        ("-o", str(folder / "one"), "--html", str(folder / "one")),
        ("-o", str(folder / "two"), "--html", str(folder / "signer")),
    ):
        done = certify(made, *key(made), *words)
        assert (done.code, "would replace" in done.err) == (2, True), done.said
    done = plain(made, "--check", str(folder / "c.json"), "--html", str(folder / "c.json"))
    assert (done.code, "would replace" in done.err) == (2, True), done.said
    assert (folder / "signer").read_bytes() == kept
    assert not (folder / "one").exists()


def test_the_page_escapes_all_and_loads_nothing(made: Place) -> None:
    page = made.folder / "approved.html"
    done = plain(made, "--check", str(made.folder / "a.json"), "--html", str(page))
    assert done.code == 0, done.said
    text = page.read_text(encoding="utf-8")
    assert "The &lt;second&gt; person" in text
    assert "<second>" not in text
    assert "EVERY VALUE WAS COMPARED, AND ALL ARE EQUAL" in text
    assert not re.search(r"<(script|link|img|iframe)|src=|href=|url\(|@import", text)
    assert text.count("<svg") == 2
    assert "@page{size:A4" in text


@pytest.mark.slow
def test_what_was_not_compared_is_said_in_big_words(tmp_path: Path) -> None:
    place = both(tmp_path)
    assert place.hdm("run").code == 0
    page = tmp_path / "page.html"
    done = certify(place, *key(place), "-o", str(tmp_path / "one.json"), "--html", str(page))
    assert done.code == 1
    assert done.out.startswith("WARNED")
    assert len(re.findall("NOT COMPARED with its source by hdm", done.out)) == 2
    assert "NOT EVERYTHING IS PROVEN" in page.read_text()
    assert "NOT COMPARED" in page.read_text()
    assert place.hdm("validate", "--select", "items").code == 0
    assert place.hdm("validate", "--select", "orders", "--level", "counts").code == 0
    done = certify(place, *key(place), "-o", str(tmp_path / "two.json"))
    assert done.code == 1
    assert "orders: rows were counted, no value was compared" in done.out
    assert "NOT COMPARED" not in done.out


@pytest.mark.slow
def test_a_comparison_counts_only_for_the_rows_it_looked_at(tmp_path: Path) -> None:
    place = both(tmp_path, watermark={"column": "id"})
    assert place.hdm("run").code == 0
    assert place.hdm("validate").code == 0
    place.sql("INSERT INTO orders VALUES (5000, 'late', 1, 1)")
    assert place.hdm("run").code == 0
    done = certify(place, *key(place), "-o", str(tmp_path / "one.json"))
    assert (done.code, "NOT COMPARED" in done.out) == (1, True), done.said
    on_sqlite(place.target, "UPDATE orders SET customer = 'wrong' WHERE id = 7")
    assert place.hdm("validate").code == 1
    done = certify(place, *key(place), "-o", str(tmp_path / "two.json"))
    assert (done.code, done.out.startswith("FAILED")) == (1, True), done.said
    assert "source and target DIFFER (1 different)" in done.out
    assert place.hdm("validate", "--level", "counts").code == 0
    done = certify(place, *key(place), "-o", str(tmp_path / "three.json"))
    assert (done.code, done.out.startswith("WARNED")) == (1, True), done.said
    on_sqlite(place.target, "UPDATE orders SET customer = 'c0' WHERE id = 7")
    assert place.hdm("validate").code == 0
    done = certify(place, *key(place), "-o", str(tmp_path / "four.json"))
    assert (done.code, done.out.startswith("PASSED")) == (0, True), done.said
    place.trail_holds()


@pytest.mark.slow
def test_a_comparison_from_before_rows_were_read_again_does_not_count(tmp_path: Path) -> None:
    place = both(tmp_path)
    for link in place.manifest["declared_data_links"]["stages"]:
        link["mode"] = "merge"
    place.write()
    assert place.hdm("run").code == 0
    assert place.hdm("validate").code == 0
    assert place.hdm("reload", "orders", "--range", "0:10").code == 0
    assert place.hdm("run").code == 0
    done = certify(place, *key(place), "-o", str(tmp_path / "one.json"))
    assert (done.code, "orders: NOT COMPARED since its rows were last written" in done.out) == (1, True), (
        done.said
    )


def compared_before(place: Place) -> Place:
    """A run that was compared, then a target in which one row is wrong."""
    assert place.hdm("run").code == 0
    assert place.hdm("validate").code == 0
    on_sqlite(place.target, "UPDATE orders SET customer = 'wrong' WHERE id = 7")
    return place


@pytest.mark.slow
def test_a_repair_is_named_and_only_a_comparison_after_it_counts(tmp_path: Path) -> None:
    place, page = compared_before(both(tmp_path)), tmp_path / "page.html"
    assert place.hdm("validate", "--repair").code == 0
    done = certify(place, *key(place), "-o", str(tmp_path / "one.json"), "--html", str(page))
    assert (done.code, done.out.startswith("PASSED")) == (0, True), done.said
    orders = next(one for one in tables_of(tmp_path / "one.json") if one["target"]["name"].endswith("orders"))
    (repair,) = orders["rewritten"]
    assert (repair["kind"], repair["done"]["changed"], repair["equal"]) == ("repair", 1, True)
    assert orders["comparison"]["began"] == repair["until"]
    assert re.search("repair of run .*: .*1 changed", page.read_text())
    place.trail_holds()


@pytest.mark.slow
def test_a_comparison_from_before_a_broken_repair_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = compared_before(both(tmp_path))
    with monkeypatch.context() as broken:
        broken.setattr(failpoints, "_points", {"Y5": [(1, "raise:ConnectionLost")]})
        broken.setattr(failpoints, "_passes", {})
        assert place.hdm("validate", "--repair", "--select", "orders").code == 1
    done = certify(place, *key(place), "-o", str(tmp_path / "one.json"))
    assert (done.code, "orders: NOT COMPARED since its rows were last written" in done.out) == (1, True), (
        done.said
    )
    assert "items" not in done.out.partition("NOT COMPARED")[2]


@pytest.mark.slow
def test_a_comparison_from_before_a_sync_does_not_count(tmp_path: Path) -> None:
    place = compared_before(both(tmp_path))
    options = ["-e", "dev", "--profiles", str(place.folder / "p.yml")]
    synced = run(["sync", "sqlite:src.orders", "sqlite:dst.orders", *options], place.env)
    assert synced.code == 0, synced.said
    done = certify(place, *key(place), "-o", str(tmp_path / "one.json"))
    assert (done.code, "orders: NOT COMPARED since its rows were last written" in done.out) == (1, True), (
        done.said
    )
    assert place.hdm("validate").code == 0
    done = certify(place, *key(place), "-o", str(tmp_path / "two.json"))
    assert (done.code, done.out.startswith("PASSED")) == (0, True), done.said


@pytest.mark.slow
def test_rows_in_quarantine_are_counted_and_named(tmp_path: Path) -> None:
    place = both(tmp_path)
    first = place.manifest["declared_data_links"]["stages"][0]
    first["checks"] = [{"type": "Range", "column": "id", "max": 28, "severity": "quarantine"}]
    first["quarantine"] = {"type": "FSSink", "conf": {"directory": str(tmp_path / "aside")}}
    place.write()
    assert place.hdm("run").code == 1
    done = certify(place, *key(place), "-o", str(tmp_path / "one.json"))
    assert done.code == 2 and re.search(r"has \d+ row\(s\) in quarantine", done.err), done.said
    words = ("--by", "A. Person", "--reason", "ticket 4711")
    assert place.hdm("quarantine", "waive", *words).code == 0
    page = tmp_path / "page.html"
    done = certify(place, *key(place), "-o", str(tmp_path / "one.json"), "--html", str(page))
    assert done.code == 1 and re.search(
        r"row\(s\) are missing, waived by A. Person: ticket 4711", done.out
    ), done.said
    table = next(one for one in tables_of(tmp_path / "one.json") if one["rejected"])
    assert table["extracted"] == table["loaded"] + table["filtered"] + table["rejected"]
    assert "extracted rows are not" not in done.out
    assert "ticket 4711" in page.read_text() and "set aside" in page.read_text()


def tables_of(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = statement_of(certifying.read(str(file)))["predicate"]["tables"]
    return found


@pytest.mark.slow
def test_a_column_that_was_left_out_is_not_every_value(tmp_path: Path) -> None:
    place = both(tmp_path)
    orders = place.manifest["declared_data_links"]["stages"][0]
    orders["validate"] = {"level": "rows", "exclude": ["customer"]}
    place.write()
    assert place.hdm("run").code == 0
    assert place.hdm("validate", "--select", "items").code == 0
    done = certify(place, *key(place), "-o", str(tmp_path / "one.json"))
    assert (done.code, done.out.startswith("WARNED")) == (1, True), done.said
    assert "orders: every row was compared, but not these columns: customer" in done.out
    orders["validate"] = {"level": "rows", "accept": {"customer": {"trailing_blanks": True}}}
    place.write()
    assert place.hdm("validate").code == 0
    done = certify(place, *key(place), "-o", str(tmp_path / "two.json"))
    assert (done.code, done.out.startswith("WARNED")) == (1, True), done.said
    assert "orders: compared under another manifest than the run's" in done.out


@pytest.mark.slow
def test_files_between_are_certified_with_the_table_that_is_loaded_from_them(tmp_path: Path) -> None:
    place = shop(tmp_path, 120, 30)
    only(place, stage("orders", place), load(place))
    assert plain(place, "--new-key", str(tmp_path / "signer")).code == 0
    assert place.hdm("run").code == 0
    assert place.hdm("validate").code == 0
    done = certify(place, *key(place), "-o", str(tmp_path / "c.json"))
    assert done.code == 0, done.said
    said = json.loads(base64.b64decode(certifying.read(str(tmp_path / "c.json"))["payload"]))["predicate"]
    assert [one["staged"] for one in said["tables"]] == [True, False]
    assert [one["loaded"] for one in said["tables"]] == [120, 120]
    assert "staged files" in said["tables"][0]["compared"]


@pytest.mark.slow
def test_what_was_not_looked_at_is_refused(tmp_path: Path) -> None:
    place = shop(tmp_path, 100, 30)
    link = direct(place, "orders")
    link["checks"] = [{"type": "RowCount", "max": 60}]
    link["source"]["conf"]["chunk"] = {"rows": 70}
    only(place, link)
    assert plain(place, "--new-key", str(tmp_path / "signer")).code == 0
    done = certify(place, *key(place))
    assert (done.code, "nothing was run yet" in done.err) == (2, True), done.said
    assert place.hdm("run").code == 1
    done = certify(place, *key(place))
    assert (done.code, "not committed: 1 dead" in done.err) == (2, True), done.said
    assert place.hdm("waive", "--by", "A. <b>Person", "--reason", "the source is wrong").code == 0
    done = certify(place, *key(place))
    assert (done.code, "did not finish all tables" in done.err) == (2, True), done.said
    assert place.hdm("run").code == 0
    page = tmp_path / "c.html"
    done = certify(place, *key(place), "-o", str(tmp_path / "c.json"), "--html", str(page))
    assert done.code == 1
    assert "a part is missing, waived by A. <b>Person: the source is wrong" in done.out
    assert "<b>Person" not in page.read_text()
    place.state("UPDATE hdm_run SET status = 'in_progress', ended_at = NULL")
    done = certify(place, *key(place))
    assert (done.code, "break(s) in the trail" in done.err) == (1, True), done.said
    assert not list(Path().glob("certificate-*.json"))


@pytest.mark.slow
def test_a_comparison_without_the_right_to_record_it_says_so(tmp_path: Path) -> None:
    from hdm.api import recording
    from hdm.errors import StateError

    place = both(tmp_path)
    assert place.hdm("run").code == 0

    def refused(*_: object) -> None:
        raise StateError("this user may only read")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hdm.state.aggregates.trail.Trail.record_comparison", refused)
        done = place.hdm("validate")
    assert recording.Before().broken is None
    assert done.code == 0, done.said
    assert done.out.count("this comparison is not on record: this user may only read") == 2


@pytest.mark.slow
def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = both(tmp_path)
    assert place.hdm("run").code == 0
    assert plain(place, "--new-key", str(tmp_path / "board.key")).code == 0
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    commands = [shlex.split(line.removeprefix("$ hdm "), comments=True) for line in block.splitlines()]
    assert len(commands) == 6
    for words in commands:
        made = sorted(tmp_path.glob("certificate-*.json"))
        known = {"manifests/orders.yml": place.args[0], "prod": "dev"}
        if made:
            known["certificate-5f0c.json"] = made[0].name
            known["9e1b"] = certifying.read(str(made[0]))["chunks"][0]["chunk"][:10]
        given = [known.get(word, word) for word in words]
        profiles = place.args[-2:] if place.args[0] in given else []
        done = run([*given, *profiles], place.env)
        assert done.code == 0, (given, done.said)
    assert "approved by The second person" in plain(place, "--check", made[0].name).out
    assert (tmp_path / "proof.json").exists()


def test_a_library_that_is_missing_is_named_in_a_line(
    made: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for part in ("exceptions", "hazmat.primitives.asymmetric"):
        monkeypatch.setitem(sys.modules, f"cryptography.{part}", None)
    for words in (("--new-key", str(tmp_path / "k")), ("--check", str(made.folder / "c.json"))):
        done = plain(made, *words)
        assert "pip install 'hdm[certify]'" in done.said, done.said
        assert (done.code, done.err.count("\n")) == (2, 2), done.said
