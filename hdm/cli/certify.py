"""The command ``hdm certify``: signs, approves and checks certificates of runs."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from hdm.api import certifying
from hdm.cli.options import json_option, place_options
from hdm.cli.output import say, say_json
from hdm.cli.places import state_of
from hdm.errors import UsageError
from hdm.project import find_run, no_runs, read_plan
from hdm.proof.certificate import proof_of, statement_of
from hdm.proof.statement import PASSED
from hdm.state import StateManager
from hdm.state.queries.anchors import Anchor
from hdm.state.queries.anchors import read as read_anchors

_FILE = click.Path(dir_okay=False)


@click.command()
@click.argument("run", required=False)
@place_options
@click.option("--new-key", "new_key", type=_FILE, metavar="FILE", help="Write a new key: FILE and FILE.pub.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="REF",
    help="To sign: the private key, as env:NAME, file:/path, keyring:service/user or a path. "
    "To check: the signer's public key, then one of each approver.",
)
@click.option("--name", help="The name of the person who signs (default: this user) or approves.")
@click.option(
    "--anchor", type=_FILE, metavar="FILE", help="Compare the trail with anchors of hdm state anchor."
)
@click.option("--chunk", metavar="ID", help="Write only the proof that one chunk is certified.")
@click.option("--from", "whole", type=_FILE, metavar="FILE", help="Take --chunk out of this certificate.")
@click.option("--approve", type=_FILE, metavar="FILE", help="Add an approver's signature to a certificate.")
@click.option("--check", type=_FILE, metavar="FILE", help="Check a certificate, or the proof of one chunk.")
@click.option("-o", "--output", type=_FILE, help="The file to write (default: certificate-RUN.json).")
@click.option("--html", type=_FILE, metavar="FILE", help="Also write a page for people; prints on A4.")
@json_option
def command_certify(
    run: str | None,
    manifest: str | None,
    where: str | None,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    new_key: str | None,
    keys: tuple[str, ...],
    name: str | None,
    anchor: str | None,
    chunk: str | None,
    whole: str | None,
    approve: str | None,
    check: str | None,
    output: str | None,
    html: str | None,
    as_json: bool,
) -> int:
    """Sign what is proven of RUN: its tables, counts and hashes, what was compared, and what was not.

    RUN is the beginning of a run's id, or latest; its state database is that of MANIFEST, or --state. The
    whole trail is verified first; a run that is not over, or not whole, is refused. Ends with 0 if every
    value of every table was compared and is equal, with 1 if the certificate says anything less.

    \b
    hdm certify --new-key hdm.key                           makes hdm.key and hdm.key.pub
    hdm certify latest m.yml -e prod --key file:hdm.key     writes certificate-RUN.json
    hdm certify --approve CERTIFICATE --key file:other.key --name "A. Person"
    hdm certify --check CERTIFICATE --key hdm.key.pub --key other.key.pub
    hdm certify --chunk ID --from CERTIFICATE -o proof.json
    """
    asked = [one for one in (run, new_key, approve, check, whole) if one is not None]
    if len(asked) != 1:
        raise UsageError(
            "say one thing to do",
            hint="hdm certify RUN, --new-key, --approve, --check, or --chunk with --from",
        )
    if new_key is not None:
        say(f"wrote {new_key} and {new_key}.pub; the key's id is {_new_key(new_key)}")
        return 0
    if check is not None:
        _apart(html, check, *keys)
        return _check(certifying.read(check), keys, html, as_json=as_json)
    if approve is not None:
        _apart(html, approve, *keys)
        return _approve(approve, _one(keys), name, html)
    if whole is not None:
        made = certifying.read(whole)
        chunk = chunk or ""
    else:
        known = _anchors(anchor)
        with state_of(manifest, where, env, profiles, hint=_WHERE) as state:
            found = _run_id(state, str(run), manifest, env)
            made = certifying.certify(
                state, found, key=_one(keys), name=name or getpass.getuser(), known=known,
                repeat=_repeat(manifest, env, found),
            )  # fmt: skip
    if chunk is not None:
        made = proof_of(made, chunk)
    return _written(made, keys, output, html, as_json=as_json)


def _new_key(path: str) -> str:
    from hdm.proof.signing import new_key

    return new_key(Path(path))


def _apart(html: str | None, *files: str) -> None:
    """Raise ``UsageError`` if the page would replace one of the command's other files."""
    for file in files:
        if html is not None and os.path.realpath(html) == os.path.realpath(file.removeprefix("file:")):
            raise UsageError(f"--html {html} would replace {file}", hint="give the page a file of its own")


def _written(
    made: dict[str, Any], keys: tuple[str, ...], output: str | None, html: str | None, *, as_json: bool
) -> int:
    """Write a certificate and its page, and print in short what it says; return the exit code."""
    said = statement_of(made)["predicate"]
    kind = "proof" if "proof" in made else "certificate"
    file = output or f"{kind}-{said['run']['run_id'][:12]}.json"
    _apart(html, file, *keys)
    page = _page(made) if html else ""
    certifying.write(file, certifying.spell(made))
    if html:
        certifying.write(html, page, new=False)
    if as_json:
        say_json({"file": file, "result": said["result"], "says": said["says"], "root": said["tree"]["root"]})
    else:
        say(f"{said['result']}: {kind} of {said['tree']['size']} chunk(s) written to {file}")
        for line in said["says"]:
            say(f"  {line}")
    return 0 if said["result"] == PASSED else 1


def _check(made: dict[str, Any], keys: tuple[str, ...], html: str | None, *, as_json: bool) -> int:
    done = certifying.check(made, keys)
    if html:
        if done.wrong:
            raise UsageError(f"no page is made: {done.wrong[0]}", hint="ask who changed the certificate")
        certifying.write(html, _page(made), new=False)
    if as_json:
        say_json({"holds": done.holds, "wrong": done.wrong, "result": done.result, "says": done.says})
        return done.exit_code
    for line in done.holds:
        say(line)
    for line in done.wrong:
        say(f"WRONG: {line}")
    if not done.wrong:
        say(f"the certificate holds; of the run it says {done.result}")
        for line in done.says:
            say(f"  {line}")
    return done.exit_code


def _approve(file: str, key: str, name: str | None, html: str | None) -> int:
    if not (name or "").strip():
        raise UsageError("who approves?", hint="--name with the name of the person")
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    made = certifying.approve(certifying.read(file), key=key, name=str(name), at=at)
    certifying.write(file, certifying.spell(made), new=False)
    if html:
        certifying.write(html, _page(made), new=False)
    say(f"approved by {name}: {file}")
    return 0


def _page(made: dict[str, Any]) -> str:
    from hdm.proof.certificate_page import to_html

    return to_html(made)


def _one(keys: tuple[str, ...]) -> str:
    if len(keys) != 1:
        raise UsageError(
            "a signature needs one private key", hint="--key file:/path; make one with --new-key FILE"
        )
    return keys[0]


def _anchors(file: str | None) -> list[Anchor]:
    if file is None:
        return []
    try:
        return read_anchors(Path(file).read_text(encoding="utf-8"), file)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(
            f"the anchor {file} cannot be read: {why}", hint="give the file that hdm state anchor -o wrote"
        ) from None


def _repeat(manifest: str | None, env: str, run: str) -> list[str]:
    """Return the commands that compare and certify again, with the manifest's file name."""
    if manifest is None:
        return [f"hdm state verify --state STATE, then hdm certify {run} --state STATE --key KEY"]
    name = os.path.basename(manifest)
    return [
        f"hdm validate {name} -e {env} --level rows",
        f"hdm state verify {name} -e {env}",
        f"hdm certify {run} {name} -e {env} --key KEY",
    ]


def _run_id(state: StateManager, run: str, manifest: str | None, env: str) -> str:
    """Return ``run``, or for latest the id of the newest run: of the manifest, without one of all."""
    if run != "latest":
        return run
    if manifest is None:
        ids = state.reports.run_ids()
        return ids[-1] if ids else run
    plan = read_plan(manifest, env)
    found = find_run(state, plan, None)
    if found is None:
        raise UsageError(no_runs(state, plan), hint="hdm run moves what the manifest says")
    return found


_WHERE = "name the database in which the run is: a manifest and -e, or --state URL_OR_PATH"
