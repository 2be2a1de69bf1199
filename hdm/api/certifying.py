"""Makes certificates of runs from the state database, and reads and writes the files they are kept in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hdm._version import __version__
from hdm.config.secrets import is_reference, look_up
from hdm.errors import UsageError
from hdm.proof import certificate, signing, statement
from hdm.state import StateManager
from hdm.state.queries.anchors import Anchor

Document = dict[str, Any]
LIMIT = 1 << 30
"""The largest file that is read as a certificate, in bytes."""


class _Twice(Exception):
    """A name stands twice in one JSON object; the argument is the name."""


def _once(pairs: Sequence[tuple[str, Any]]) -> Document:
    """Return an object that was read from JSON; raise ``_Twice`` if it has a name twice."""
    made: Document = {}
    for name, value in pairs:
        if name in made:
            raise _Twice(name)
        made[name] = value
    return made


def certify(
    state: StateManager,
    run: str,
    *,
    key: str,
    name: str,
    known: Sequence[Anchor] = (),
    repeat: Sequence[str] = (),
) -> Document:
    """Return a signed certificate of the run whose id begins with ``run``; it verifies the trail first.

    ``key`` refers to the private key, ``name`` is the signer's, ``known`` are anchors with which the trail is
    compared, ``repeat`` are commands that do the run and its comparison again. Raises ``UsageError`` for a
    run that is not over or not whole, ``HdmError`` if the trail does not hold.
    """
    signer = signing.private_key(_secret(key), "the key")
    ids = [one for one in state.reports.run_ids() if one.startswith(run)]
    if len(ids) != 1:
        raise UsageError(
            f"{len(ids)} runs in this state database begin with {run!r}", hint="hdm status --runs lists them"
        )
    evidence = state.trail.evidence(ids[0], known)
    statement.refuse(evidence)
    leaves = statement.leaves(evidence)
    issuer = {"name": name, "hdm_version": __version__, "public_key": signing.public_pem(signer)}
    return certificate.issue(statement.statement(evidence, leaves, issuer, repeat), leaves, signer)


def approve(made: Mapping[str, Any], *, key: str, name: str, at: str) -> Document:
    """Return a certificate with the approval of the person ``name``; ``key`` refers to the private key."""
    return certificate.approve(made, signing.private_key(_secret(key), "the key"), name, at)


def check(made: Mapping[str, Any], keys: Sequence[str]) -> certificate.Checked:
    """Check a certificate with the public keys in the files ``keys``; see ``certificate.check``."""
    texts = [_text(Path(one), "the public key") for one in keys]
    for text, file in zip(texts, keys, strict=True):
        signing.public_key(text, file)
    return certificate.check(made, texts)


def read(path: str) -> Document:
    """Return the certificate in a file; raise ``UsageError`` if it cannot be read or holds no certificate."""
    text = _text(Path(path), "the certificate")
    try:
        made = json.loads(text, object_pairs_hook=_once)
    except _Twice as error:
        raise UsageError(
            f"{path} has the name {error.args[0]!r} twice in one object: readers may differ on its value",
            hint="ask who changed the file",
        ) from None
    except (ValueError, RecursionError):
        made = None
    if not isinstance(made, dict) or made.get("hdm_certificate") != certificate.FORMAT:
        raise UsageError(f"{path} is not a certificate", hint="give the file that hdm certify wrote")
    certificate.statement_of(made)
    return made


def write(path: str, text: str, *, new: bool = True) -> None:
    """Write a certificate or its page to a file, as a whole or not at all.

    An existing file is replaced only if ``new`` is False. Raises ``UsageError`` if the file cannot be
    written, or must be new and exists.
    """
    place = Path(path)
    if new and place.exists():
        raise UsageError(f"{path} exists already", hint="give -o another file: no certificate is overwritten")
    beside = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(place)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint="give another file") from None


def spell(made: Mapping[str, Any]) -> str:
    """Return a certificate as the text of its file: JSON with one chunk a line, for editors and diffs."""
    lines = []
    for name, value in made.items():
        if isinstance(value, list) and value:
            parts = ",\n".join(f"  {json.dumps(one, sort_keys=True)}" for one in value)
            lines.append(f"{json.dumps(name)}: [\n{parts}\n]")
        else:
            lines.append(f"{json.dumps(name)}: {json.dumps(value, sort_keys=True)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _secret(key: str) -> str:
    """Return the private key to which a reference or a path points.

    A key itself is refused: a command line can be read by others.
    """
    if "-----" in key:
        raise UsageError(
            "a key cannot stand on the command line, where others can read it",
            hint="--key env:NAME, file:/path, keyring:service/user, or a path",
        )
    return look_up(key if is_reference(key) else f"file:{key}", where="--key")


def _text(path: Path, what: str) -> str:
    try:
        if path.stat().st_size > LIMIT:
            raise UsageError(f"{what} {path} is larger than {LIMIT} bytes", hint="correct the path")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"{what} {path} cannot be read: {why}", hint="correct the path") from None
