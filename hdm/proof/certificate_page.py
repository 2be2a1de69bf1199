"""Makes an HTML page for people from a certificate; the page loads nothing from elsewhere and fits A4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hdm.catalog.pages import render
from hdm.proof.certificate import approvals_of, statement_of
from hdm.proof.signing import key_id
from hdm.proof.statement import COUNTS, FAILED, NOT_COMPARED, PASSED, WARNED, differs

_VERDICTS = {
    PASSED: ("EVERY VALUE WAS COMPARED, AND ALL ARE EQUAL AS DECLARED", "#2e7d32"),
    WARNED: ("NOT EVERYTHING IS PROVEN", "#b26a00"),
    FAILED: ("SOURCE AND TARGET DIFFER", "#b71c1c"),
}
_PARTS = ("loaded", "filtered", "rejected")
_SHOWN = 200
_DRAWN = 40
Row = dict[str, Any]


def to_html(made: Mapping[str, Any]) -> str:
    """Return the HTML page of a certificate; long lists show their first 200 entries.

    It shows what the certificate says and checks no signature. Raises ``UsageError`` for a file that is no
    certificate, ``MissingDriver`` if Jinja2 is not installed.
    """
    said = statement_of(made)["predicate"]
    tables = [one for one in said["tables"] if not one["staged"]]
    verdict, colour = _VERDICTS[said["result"]]
    run = said["run"]
    return render(
        "certificate.html",
        title=f"Certificate of {run['manifest_name']}, run {run['run_id'][:12]}",
        verdict=verdict,
        colour=colour,
        says=said["says"],
        warning="This page shows a signed file and is not signed itself: check the file with "
        "hdm certify --check FILE --key KEY.pub.",
        tiles=[
            (f"{len(tables):,}", "tables"),
            (f"{sum(one['loaded'] for one in tables):,}", "rows loaded"),
            (f"{sum(one['chunks'] for one in said['tables']):,}", "chunks, each with a hash"),
            (f"{sum(one['comparison'] is not None for one in tables):,}", "tables compared"),
            (str(run["ended_at"])[:10], f"{run['env']}, by {run['started_by']}"),
        ],
        flow=[_flow(one) for one in tables[:_DRAWN]],
        balance=_balance(tables[:_DRAWN]),
        scope=_scope(said),
        counts=_table(
            ("target", "mode", *COUNTS, "chunks", "read back by count"),
            [
                (
                    one["target"]["name"] + (" (staged files)" if one["staged"] else ""), one["mode"],
                    *(one[name] for name in (*COUNTS, "chunks", "verified")),
                )
                for one in said["tables"]
            ],
        ),
        compared=_table(
            ("target", "compared", "source rows", "target rows", "found", "at", "by"),
            [_compared(one) for one in tables],
        ),
        tables=[_section(one) for one in tables[:_DRAWN]],
        waived=_table(
            ("target", "rows where", "error", "waived by", "at", "reason"),
            [
                (one["target"]["name"], w["filter"], w["error"], w["by"], w["at"], w["reason"])
                for one in said["tables"]
                for w in (*one["waived"], *_waived_rows(one))
            ],
        ),
        checks=_table(
            ("target", "check", "column", "rule", "severity", "result", "chunks"),
            [
                (
                    one["target"]["name"], c["kind"], c["column_name"], c["predicate"], c["severity"],
                    c["status"], c["chunks"],
                )
                for one in said["tables"]
                for c in one["checks"]
            ],
        ),
        signatures=_table(
            ("", "name", "at", "key"),
            [
                (how, who["name"], who["at"], key_id(who["public_key"]))
                for how, who in (
                    ("signed", said["issuer"]),
                    *(("approved", one) for one in approvals_of(made)),
                )
            ],
        ),
        hashes=_hashes(said),
        repeat=said["repeat"],
    )  # fmt: skip


def _waived_rows(one: Mapping[str, Any]) -> list[Row]:
    """Return the rows in quarantine that somebody accepted, in the form of waived chunks."""
    return [
        {**each, "filter": f"{each['rows']} row(s) of chunk {each['chunk_id'][:12]}", "error": "set aside"}
        for each in one["set_aside"]
        if each["state"] == "waived"
    ]


def _flow(one: Mapping[str, Any]) -> Row:
    compared = one["comparison"]
    colour = "#b26a00" if compared is None else "#2e7d32" if compared["equal"] else "#b71c1c"
    return {
        "source": _short(one["source"]["name"], 40), "target": _short(one["target"]["name"], 40),
        "colour": colour, "said": f"{one['loaded']:,} rows, {_word(one)}",
    }  # fmt: skip


def _word(one: Mapping[str, Any]) -> str:
    compared = one["comparison"]
    if compared is None:
        return NOT_COMPARED
    return f"equal by {compared['level']}" if compared["equal"] else "DIFFERENT"


def _balance(tables: Sequence[Mapping[str, Any]]) -> list[Row]:
    most = max((one["extracted"] for one in tables), default=0) or 1
    found = []
    for one in tables:
        loaded, filtered, rejected = (440 * one[name] / most for name in _PARTS)
        found.append(
            {
                "name": _short(one["target"]["name"], 34),
                "loaded": f"{loaded:.1f}",
                "at": f"{240 + loaded:.1f}",
                "filtered": f"{filtered:.1f}",
                "after": f"{240 + loaded + filtered:.1f}",
                "rejected": f"{rejected:.1f}",
                "end": f"{246 + loaded + filtered + rejected:.1f}",
                "said": f"{one['extracted']:,} = {' + '.join(f'{one[name]:,}' for name in _PARTS)}",
            }
        )
    return found


def _compared(one: Mapping[str, Any]) -> tuple[Any, ...]:
    found = one["comparison"]
    if found is None:
        return (one["target"]["name"], NOT_COMPARED, "", "", "", "", "")
    said = "equal" if found["equal"] else f"DIFFERENT: {differs(found)}"
    if found["within_tolerance"]:
        said += f"; {found['within_tolerance']:,} rows within the accepted tolerance"
    return (
        one["target"]["name"], one["compared"], found["source_rows"], found["target_rows"], said,
        found["at"], found["by"],
    )  # fmt: skip


def _section(one: Mapping[str, Any]) -> Row:
    found = one["comparison"]
    notes = [*(found["notes"] if found else ())]
    notes += [f"declared loss: {column}: {why}" for column, why in one["losses"]]
    notes += [f"not moved: the source's column {name}" for name in one["left_out"]]
    notes += [_rewritten(each) for each in one["rewritten"]]
    notes += [
        f"{each['rows']} row(s) in quarantine were {each['state']} by {each['by']} at {each['at']}"
        for each in one["set_aside"]
    ]
    return {
        "title": f"{one['source']['name']} to {one['target']['name']}",
        "link": one["link"],
        "compared": one["compared"],
        "big": found is None,
        "notes": notes,
        "mapping": _table(
            ("from", "type", "to", "type", "how", "by", "masked", "lossy"),
            [
                (
                    m["from"], m["from_type"], m["to"], m["to_type"], m["how"].lower(), m["by"],
                    "masked" if m["masked"] else "", "lossy" if m["lossy"] else "",
                )
                for m in one["mapping"]
            ],
        ),
    }  # fmt: skip


def _rewritten(one: Mapping[str, Any]) -> str:
    who = f" by {one['by']}" if one["by"] else ""
    done = ", ".join(f"{count:,} {kind}" for kind, count in one["done"].items())
    end = (done or "nothing changed") if one["ended"] else "its end is not on record"
    return f"{one['kind']} of run {one['run'][:12]}{who} at {one['began']}: {end}"


def _scope(said: Mapping[str, Any]) -> Row:
    scope, run = said["scope"], said["run"]
    chosen = ", ".join((*scope["selected"], *scope["read_as_a_whole"]))
    rows = [
        ("manifest", f"{run['manifest_name']} in {run['env']}"),
        ("tables chosen", chosen or "all of the manifest"),
        ("started", f"{run['started_at']} by {run['started_by']} on {run['host']}"),
        ("ended", f"{run['ended_at']} with {run['status']}"),
        ("certified", f"{said['issuer']['at']} by {said['issuer']['name']}"),
    ]
    rows += [
        (f"snapshot of {one['source']['name']}", one["snapshot"] or "none: the source was read as it stood")
        for one in said["tables"]
    ]
    return _table(("what", "is"), rows)


def _hashes(said: Mapping[str, Any]) -> Row:
    run = said["run"]
    code = f"{run['git_sha'] or 'no commit'}{' with changes' if run['git_dirty'] else ''}"
    rows = [
        ("root of the tree over all chunks", said["tree"]["root"]),
        ("manifest", run["manifest_sha256"]),
        ("code: commit of the manifest's folder", code),
        ("hdm", run["hdm_version"]),
    ]
    rows += [(f"chunks of {one['target']['name']}", one["tree"]["root"]) for one in said["tables"]]
    for one in said["tables"]:
        for side, found in one["schemas"].items():
            if found is not None:
                name = one["source" if side == "source" else "target"]["name"]
                rows.append((f"schema of {name}, version {found['version']}", found["schema_sha256"]))
    rows += [
        (f"trail of run {one['run'][:12]}, event {one['events']}", one["hash"])
        for one in said["trail"]["chains"]
    ]
    return _table(("of", "hash"), rows)


def _table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> Row:
    """Return a table as the page's macro takes it."""
    kept = rows[:_SHOWN]
    right = [any(isinstance(cell, int) for cell in column) for column in zip(*kept, strict=True)]
    text = [[f"{cell:,}" if isinstance(cell, int) else str(cell or "") for cell in row] for row in kept]
    left = len(rows) - len(kept)
    return {"headers": headers, "rows": text, "right": right, "more": f"{left:,}" if left else ""}


def _short(name: str, size: int) -> str:
    return name if len(name) <= size else f"...{name[3 - size :]}"
