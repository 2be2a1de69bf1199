"""Makes the statement of a certificate from what is on record about a run: scope, tables, verdict, hashes.

The form is an in-toto statement: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
All functions are pure; the caller has verified the trail before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hdm.errors import HdmError, UsageError
from hdm.proof import merkle
from hdm.proof.signing import canonical

STATEMENT = "https://in-toto.io/Statement/v1"
MIGRATION = "hdm:migration/v1"
"""The predicate type of a certificate."""
NOT_COMPARED = "NOT COMPARED"
PASSED, WARNED, FAILED = "PASSED", "WARNED", "FAILED"

_LEVELS = {"counts": 1, "columns": 2, "rows": 3}
_LOOKED = {
    "rows": "every value of every row was compared",
    "columns": "totals of each column were compared, rows were not",
    "counts": "rows were counted, no value was compared",
}
_BLIND = "not compared: "
"""How a comparison's note on a column begins that it left out."""
Row = dict[str, Any]


def refuse(evidence: Mapping[str, Any]) -> None:
    """Raise an error if a run cannot be certified: hdm has not looked at its end, or its trail is broken.

    ``UsageError`` for a run that is not over; ``HdmError`` if the trail does not hold.
    """
    verdict, run = evidence["verdict"], evidence["run"]
    if verdict.breaks:
        raise HdmError(
            f"nothing is certified: {len(verdict.breaks)} break(s) in the trail",
            hint="hdm state verify names them",
        )
    name = f"run {run['run_id'][:12]}"
    again = "run the manifest again until it ends with 0, then certify the new run"
    if run["status"] in ("in_progress", "aborted"):
        raise UsageError(f"{name} did not end: it is {run['status']}", hint=again)
    if evidence["open"]:
        said = ", ".join(f"{count} {status}" for status, count in sorted(evidence["open"].items()))
        raise UsageError(
            f"{name} has chunks that are not committed: {said}",
            hint="hdm retry or hdm waive for dead chunks, then run the manifest again",
        )
    unfinished = [one["target"] for one in evidence["jobs"] if one["status"] != "success"]
    if unfinished or evidence["failed"]:
        said = ", ".join(unfinished) or "; ".join(str(one.get("message")) for one in evidence["failed"])
        raise UsageError(f"{name} did not finish all tables: {said}", hint=again)
    undecided = sum(one["rows"] for one in evidence["set_aside"] if one["state"] == "open")
    if undecided:
        raise UsageError(
            f"{name} has {undecided} row(s) in quarantine",
            hint="hdm quarantine replay or hdm quarantine waive, then certify it",
        )
    if run["status"] != "success" and run["error_class"] not in ("NotEqual", "RowsSetAside"):
        raise UsageError(f"{name} ended with {run['status']}: {run['error_class']}", hint=again)
    if any(one["bound_kind"] == "legacy" for one in evidence["chunks"]):
        raise UsageError(f"{name} was imported: hdm did not move its rows", hint="certify a run of hdm")
    if not evidence["jobs"]:
        raise UsageError(f"{name} moved no table", hint="certify a run that did")


def leaves(evidence: Mapping[str, Any]) -> list[Row]:
    """Return a leaf for each committed chunk of a run, in the order of the tree."""
    jobs = {one["job_id"]: one for one in evidence["jobs"]}
    return [_leaf(one, jobs[one["job_id"]]) for one in evidence["chunks"]]


def _leaf(chunk: Mapping[str, Any], job: Mapping[str, Any]) -> Row:
    receipt = json.loads(chunk["receipt"]) if chunk["receipt"] else {}
    return {
        "chunk": chunk["chunk_id"],
        "job": job["job_id"],
        "from": _named(job, "source"),
        "table": _named(job, "target"),
        "number": chunk["chunk_no"],
        "upstream": chunk["corr_in"],
        "range": {
            "kind": chunk["bound_kind"], "low": chunk["lo"], "high": chunk["hi"],
            "filter": chunk["source_filter"],
        },
        "attempt": chunk["attempt"],
        "status": chunk["status"],
        "extracted": _number(chunk["rows_extracted"]),
        "loaded": _number(chunk["rows_loaded"]),
        "filtered": _number(chunk["rows_filtered"]),
        "rejected": _number(chunk["rows_rejected"]),
        "bytes": _number(chunk["bytes"]),
        "sha256": chunk["content_sha256"],
        "committed_at": chunk["sinking_end_time"],
        "receipt": {name: receipt.get(name) for name in ("rows", "sha256", "location", "files", "adopted")},
        "receipt_sha256": hashlib.sha256((chunk["receipt"] or "").encode()).hexdigest(),
    }  # fmt: skip


def tree_of(found: Sequence[Mapping[str, Any]]) -> Row:
    """Return the size and the root of the tree over these leaves."""
    hashes = [merkle.leaf_hash(canonical(one)) for one in found]
    return {"size": len(hashes), "root": merkle.root(hashes).hex()}


def statement(
    evidence: Mapping[str, Any], found: Sequence[Row], issuer: Mapping[str, Any], repeat: Sequence[str]
) -> Row:
    """Return the statement on a run: what was moved and compared, what is not proven, and the hashes.

    ``found`` are the run's leaves, ``issuer`` says who signs, ``repeat`` are the commands that do it again.
    """
    tables = _tables(evidence, found)
    result, says = _verdict(tables, evidence)
    run, tree = evidence["run"], tree_of(found)
    verdict = evidence["verdict"]
    subjects = [{"name": f"run {run['run_id']}", "digest": {"sha256": tree["root"]}}]
    subjects += [{"name": _unique(one), "digest": {"sha256": one["tree"]["root"]}} for one in tables]
    predicate = {
        "result": result,
        "says": says,
        "issuer": {**issuer, "at": evidence["now"]},
        "run": {name: value for name, value in run.items() if name != "error_msg"},
        "scope": {
            "selected": evidence["opened"].get("selected", []),
            "read_as_a_whole": evidence["opened"].get("refreshed", []),
            "left_out_columns": {_unique(one): one["left_out"] for one in tables if one["left_out"]},
        },
        "tables": tables,
        "tree": {**tree, "form": "RFC 6962, SHA-256, leaves in canonical JSON"},
        "trail": {
            **evidence["trail"], "chains": evidence["heads"],
            "verified": {
                "chains": verdict.chains, "events": verdict.events, "older": verdict.older,
                "anchors": verdict.anchors,
            },
        },
        "repeat": list(repeat),
    }  # fmt: skip
    return {"_type": STATEMENT, "subject": subjects, "predicateType": MIGRATION, "predicate": predicate}


def _tables(evidence: Mapping[str, Any], found: Sequence[Row]) -> list[Row]:
    read_on = {key for one in evidence["jobs"] for key in one["upstream"]}
    mine: dict[str, list[Row]] = {}
    for leaf in found:
        mine.setdefault(leaf["job"], []).append(leaf)
    return [
        _table(one, mine.get(one["job_id"], []), evidence, staged=one["pipeline_key"] in read_on)
        for one in evidence["jobs"]
    ]


def _table(job: Mapping[str, Any], found: Sequence[Row], evidence: Mapping[str, Any], *, staged: bool) -> Row:
    waived = [one for one in evidence["waived"] if one["job_id"] == job["job_id"]]
    aside = [one for one in evidence["set_aside"] if one["job_id"] == job["job_id"]]
    chosen = _chosen(job)
    looked = _looked(chosen) if chosen else ""
    if staged:
        looked = "staged files; compared as the table that is loaded from them"
    return {
        "job": job["job_id"],
        "source": _named(job, "source"),
        "target": _named(job, "target"),
        "link": f"{job['source_name']} ({job['source_type']}) -> {job['sink_name']} ({job['sink_type']})",
        "mode": job["mode"],
        "epoch": job["epoch"],
        "snapshot": job["snapshot_token"],
        "staged": staged,
        "compared": looked or NOT_COMPARED,
        "comparison": chosen,
        "comparisons": job["comparisons"],
        "rewritten": job["rewritten"],
        "set_aside": [{name: value for name, value in one.items() if name != "job_id"} for one in aside],
        "schemas": job["schemas"],
        "mapping": [_mapped(line) for line in job["columns"]],
        "left_out": _left_out(job),
        "losses": json.loads(job["losses"] or "[]"),
        "checks": job["checks"],
        "chunks": len(found),
        "verified": sum(one["status"] == "verified" for one in found),
        **{name: _total(found, name) for name in COUNTS},
        "waived": [
            {
                "chunk": one["chunk_id"], "filter": one["source_filter"], "error": one["error_class"],
                "by": one["resolved_by"], "at": one["resolved_at"], "reason": one["reason"],
            }
            for one in waived
        ],
        "tree": tree_of(found),
    }  # fmt: skip


COUNTS = ("extracted", "loaded", "filtered", "rejected", "bytes")
"""What the statement sums up of each table's leaves."""


def _total(found: Iterable[Mapping[str, Any]], name: str) -> int:
    return sum(one[name] for one in found)


def _chosen(job: Mapping[str, Any]) -> Row | None:
    """Return the comparison that counts for a job: of those since hdm last wrote to the target the closest.

    Where one found a difference, only later ones can outweigh it.
    """
    last = max((job["last_commit"] or "", *(one["until"] or "" for one in job["rewritten"])))
    fresh = [one for one in job["comparisons"] if str(one["began"]) >= last]
    wrong = [place for place, one in enumerate(fresh) if not one["equal"]]
    if wrong and wrong[-1] == len(fresh) - 1:
        return dict(fresh[-1])
    fresh = fresh[wrong[-1] + 1 :] if wrong else fresh
    return dict(max(fresh, key=lambda one: (_LEVELS[one["level"]], one["at"]))) if fresh else None


def _verdict(tables: Sequence[Row], evidence: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the result, and a sentence on everything that is not proven, the gravest first."""
    failed: list[str] = []
    warned: list[str] = []
    for one in tables:
        name, compared = one["target"]["name"], one["comparison"]
        if compared is not None and not compared["equal"]:
            failed.append(f"{name}: source and target DIFFER ({differs(compared)})")
        elif compared is None and not one["staged"]:
            stale = "since its rows were last written" if one["comparisons"] else "with its source by hdm"
            warned.append(f"{name}: {NOT_COMPARED} {stale}")
        elif compared is not None and _looked(compared) != _LOOKED["rows"]:
            warned.append(f"{name}: {_looked(compared)}")
        if compared is not None and compared.get("manifest_sha256") != evidence["run"]["manifest_sha256"]:
            warned.append(f"{name}: compared under another manifest than the run's: its rules may differ")
        for each in one["waived"]:
            warned.append(f"{name}: a part is missing, waived by {each['by']}: {each['reason']}")
        for each in one["set_aside"]:
            if each["state"] == "waived":
                missing = f"{each['rows']} row(s) are missing"
                warned.append(f"{name}: {missing}, waived by {each['by']}: {each['reason']}")
        for each in one["checks"]:
            if each["status"] in ("fail", "error"):
                where = f" of {each['column_name']}" if each["column_name"] else ""
                said = f"{name}: check {each['kind']}{where} failed in {each['chunks']} chunk(s)"
                (failed if each["severity"] == "error" else warned).append(said)
        if one["extracted"] != one["loaded"] + one["filtered"] + one["rejected"]:
            failed.append(f"{name}: extracted rows are not loaded + filtered + rejected")
    if evidence["verdict"].older:
        warned.append(f"{evidence['verdict'].older} run(s) in the trail are of hdm 0.1, which sealed less")
    return (FAILED if failed else WARNED if warned else PASSED), [*failed, *warned]


def _looked(compared: Mapping[str, Any]) -> str:
    """Return how closely a comparison looked, with the columns that it left out.

    Columns that only the target has are not among them: no source says what they should hold.
    """
    said = _LOOKED[compared["level"]]
    notes = [one.removeprefix(_BLIND) for one in compared["notes"] if one.startswith(_BLIND)]
    told = {one.partition(" (")[0]: one for one in reversed(notes) if not one.startswith("only the second")}
    if not told:
        return said
    head = "every row was compared" if compared["level"] == "rows" else said
    return f"{head}, but not these columns: {', '.join(told[name] for name in sorted(told))}"


def differs(compared: Mapping[str, Any]) -> str:
    """Return in a few words what a comparison found; it names no value."""
    said = [*compared["only_one_side"]]
    if compared["source_rows"] != compared["target_rows"]:
        said.append(f"{compared['source_rows']} rows in the source, {compared['target_rows']} in the target")
    said += [f"{compared[name]} {name}" for name in ("missing", "extra", "different") if compared[name]]
    said += [f"{column}: {', '.join(facts)}" for column, facts in sorted(compared["totals_differ"].items())]
    return "; ".join(said) or "rows changed while they were compared"


def _mapped(line: Mapping[str, Any]) -> Row:
    return {
        "from": line["source_column"], "from_type": line["source_type"], "to": line["sink_column"],
        "to_type": line["sink_type"], "how": f"{line['transform_type']} {line['transform_subtype']}",
        "by": line["expression"], "masked": bool(line["masking"]), "lossy": bool(line["lossy"]),
    }  # fmt: skip


def _left_out(job: Mapping[str, Any]) -> list[str]:
    """Return the source's columns that go into no column of the target, as far as lineage knows."""
    if any(line["transform_type"] == "UNKNOWN" for line in job["columns"]) or not job["columns"]:
        return []
    used = {line["source_column"] for line in job["columns"] if line["transform_type"] == "DIRECT"}
    return [one["name"] for one in json.loads(job["source_table"])["columns"] if one["name"] not in used]


def _named(job: Mapping[str, Any], side: str) -> Row:
    return {"namespace": job[f"{side}_namespace"], "name": job[side]}


def _unique(table: Mapping[str, Any]) -> str:
    return f"{table['target']['namespace']} {table['target']['name']} of job {table['job']}"


def _number(value: Any) -> int:
    return 0 if value is None else int(value)
