"""Makes, approves and checks certificates: signed statements on a run, with a leaf for each chunk.

A certificate is one JSON object: a DSSE envelope (``payloadType``, ``payload``, ``signatures``), and beside
it either ``chunks``, the leaves of the tree, or ``proof``, one leaf with its path; and ``approvals``, each an
envelope of its own. Tools that know DSSE read the envelope and ignore the rest. Nothing here needs the state
database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hdm.errors import UsageError
from hdm.proof import merkle, signing
from hdm.proof.statement import COUNTS, FAILED, MIGRATION, STATEMENT, tree_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FORMAT = 1
APPROVAL = "hdm:approval/v1"
"""The predicate type of an approval."""
Document = dict[str, Any]


class Wrong(ValueError):
    """Error: something that a certificate says does not hold; the error's text names it."""


_BROKEN = (Wrong, UsageError, KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError)
"""What reading a part of a file raises that is not of the expected form."""


@dataclass(slots=True)
class Checked:
    """Result of checking a certificate.

    ``holds`` are sentences on what was checked and holds, ``wrong`` on what does not. ``result`` is what the
    certificate says of the run: PASSED, WARNED or FAILED; None if its statement could not be read.
    """

    holds: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    result: str | None = None
    says: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 if the certificate holds, else 1; what it says of the run does not matter here."""
        return 1 if self.wrong else 0


def issue(
    statement: Mapping[str, Any], leaves: Sequence[Mapping[str, Any]], key: Ed25519PrivateKey
) -> Document:
    """Return a certificate: the statement signed with ``key``, and the leaves of its tree."""
    made = signing.envelope(statement, key)
    return {"hdm_certificate": FORMAT, **made, "chunks": list(leaves), "approvals": []}


def proof_of(made: Mapping[str, Any], chunk: str) -> Document:
    """Return a certificate that has, instead of all leaves, one chunk's leaf and its path in the tree.

    ``chunk`` is the beginning of the chunk's id. Raises ``UsageError`` if not exactly one leaf has it.
    """
    leaves = made.get("chunks")
    if leaves is None:
        raise UsageError(
            "this file has no list of chunks", hint="take the proof out of the whole certificate"
        )
    places = [place for place, one in enumerate(leaves) if str(one["chunk"]).startswith(chunk)]
    if len(places) != 1:
        raise UsageError(
            f"{len(places)} chunks of the certificate begin with {chunk!r}",
            hint="hdm lineage TABLE MANIFEST --chunks lists them",
        )
    hashes = [merkle.leaf_hash(signing.canonical(one)) for one in leaves]
    kept = {name: value for name, value in made.items() if name != "chunks"}
    path = [one.hex() for one in merkle.path(hashes, places[0])]
    return {
        **kept,
        "proof": {"leaf": leaves[places[0]], "index": places[0], "size": len(hashes), "path": path},
    }


def approve(made: Mapping[str, Any], key: Ed25519PrivateKey, name: str, at: str) -> Document:
    """Return the certificate with one more approval: a statement on it, signed with the approver's key.

    Raises ``UsageError`` if the certificate does not hold by itself, or if ``key`` has signed it already.
    """
    done = check(made, ())
    if done.wrong:
        raise UsageError(
            f"the certificate does not hold: {done.wrong[0]}", hint="do not approve it; ask who changed it"
        )
    pem = signing.public_pem(key)
    if signing.key_id(pem) in _signers(made):
        raise UsageError(
            "this key has signed the certificate already", hint="an approver needs a key of their own"
        )
    digest = hashlib.sha256(signing.payload_of(made)).hexdigest()
    approval = {
        "_type": STATEMENT,
        "subject": [{"name": "payload of the certificate", "digest": {"sha256": digest}}],
        "predicateType": APPROVAL,
        "predicate": {"name": name, "at": at, "public_key": pem},
    }
    return {**made, "approvals": [*made.get("approvals", ()), signing.envelope(approval, key)]}


def check(made: Mapping[str, Any], keys: Sequence[str]) -> Checked:
    """Check a certificate: every signature, every hash of its tree, every sum, every approval.

    ``keys`` are public keys in PEM: the first is the signer's, and each of the others must have approved,
    nobody else. Without any, the keys that the certificate itself names are used, which shows that nothing
    was changed since, but not who signed. Raises ``MissingDriver`` if no signature can be checked.
    """
    signing.ready()
    done = Checked()
    try:
        statement = _statement(made, MIGRATION)
        predicate = statement["predicate"]
        done.result, done.says = str(predicate["result"]), [str(one) for one in predicate["says"]]
        _check_signature(made, str(predicate["issuer"]["public_key"]), keys[:1] if keys else None)
        done.holds.append(_signed_by("signed", predicate["issuer"], trusted=bool(keys)))
        done.holds += _check_tree(made, statement)
        _check_subjects(statement)
    except _BROKEN as error:
        done.wrong.append(_in_words(error))
    approvers = keys[1:] if keys else None
    for approval in _approvals(made):
        try:
            done.holds.append(_check_approval(made, approval, approvers))
        except _BROKEN as error:
            done.wrong.append(f"an approval: {_in_words(error)}")
    done.wrong += [f"not approved by the key {one}" for one in _missing(made, keys[1:])]
    return done


def statement_of(made: Mapping[str, Any]) -> Document:
    """Return the statement in a certificate; raise ``UsageError`` if the file is no certificate."""
    try:
        return _statement(made, MIGRATION)
    except _BROKEN as error:
        raise UsageError(
            f"not a certificate: {_in_words(error)}", hint="give the file that hdm certify wrote"
        ) from None


def approvals_of(made: Mapping[str, Any]) -> list[Document]:
    """Return what each approval of a certificate says: the approver's name, the time and the public key."""
    return [dict(_statement(one, APPROVAL)["predicate"]) for one in _approvals(made)]


def _approvals(made: Mapping[str, Any]) -> list[Any]:
    """Return the approvals beside a certificate; what is no list is one that cannot be read."""
    found = made.get("approvals") or []
    return found if isinstance(found, list) else [found]


def _statement(made: Mapping[str, Any], kind: str) -> Document:
    found: Document = json.loads(signing.payload_of(made))
    if found["_type"] != STATEMENT or found["predicateType"] != kind:
        raise Wrong(f"the statement is not of the type {kind}")
    return found


def _signers(made: Mapping[str, Any]) -> set[str]:
    issuer = _statement(made, MIGRATION)["predicate"]["issuer"]
    return {signing.key_id(one["public_key"]) for one in (issuer, *approvals_of(made))}


def _missing(made: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """Return the ids of the keys that were given for approvers and have approved nothing here."""
    try:
        there = {signing.key_id(one["public_key"]) for one in approvals_of(made)}
    except _BROKEN:
        return []  # the approval that cannot be read was reported
    return [name for name in map(signing.key_id, keys) if name not in there]


def _check_signature(made: Mapping[str, Any], named: str, keys: Sequence[str] | None) -> None:
    """Raise ``Wrong`` unless the key that the statement names has signed it, and is among ``keys``.

    None stands for any key.
    """
    if keys is not None and signing.key_id(named) not in {signing.key_id(one) for one in keys}:
        raise Wrong(f"it is signed by the key {signing.key_id(named)[:16]}, which was not given for it")
    if not signing.signed_by(made, named):
        raise Wrong("the signature is not by the key that it names, over this text")


def _signed_by(how: str, who: Mapping[str, Any], *, trusted: bool) -> str:
    key = signing.key_id(str(who["public_key"]))
    whose = "a key that was given" if trusted else "whose key that is was not checked: give --key"
    return f"{how} by {who['name']} at {who['at']} with the key {key} ({whose})"


def _check_tree(made: Mapping[str, Any], statement: Mapping[str, Any]) -> Iterator[str]:
    tree = statement["predicate"]["tree"]
    if "chunks" in made:
        yield _check_leaves(made["chunks"], statement)
    elif "proof" in made:
        proof = made["proof"]
        if proof["size"] != tree["size"]:
            raise Wrong("the proof is of another tree")
        leaf = merkle.leaf_hash(signing.canonical(proof["leaf"]))
        path = [bytes.fromhex(one) for one in proof["path"]]
        found = merkle.root_of(leaf, int(proof["index"]), int(proof["size"]), path)
        if found is None or found.hex() != tree["root"]:
            raise Wrong("the chunk of the proof is not one of the chunks that were certified")
        yield f"the chunk {proof['leaf']['chunk']} is one of the {tree['size']} that were certified"
    else:
        raise Wrong("there are neither chunks nor a proof beside the statement")


def _check_leaves(leaves: Sequence[Mapping[str, Any]], statement: Mapping[str, Any]) -> str:
    """Raise ``Wrong`` unless these are the certified leaves, in order, and the sums are theirs."""
    predicate = statement["predicate"]
    tree = tree_of(leaves)
    if tree["size"] != predicate["tree"]["size"] or tree["root"] != predicate["tree"]["root"]:
        raise Wrong(f"the {tree['size']} chunks beside the statement are not those that were certified")
    if len({one["chunk"] for one in leaves}) != len(leaves):
        raise Wrong("a chunk occurs twice")
    for table in predicate["tables"]:
        mine = [one for one in leaves if one["job"] == table["job"]]
        if len(mine) != table["chunks"] or tree_of(mine) != table["tree"]:
            raise Wrong(f"the chunks of {table['target']['name']} are not those of its tree")
        for name in COUNTS:
            if sum(one[name] for one in mine) != table[name]:
                raise Wrong(f"{name} of {table['target']['name']} is not the sum over its chunks")
    if sum(table["chunks"] for table in predicate["tables"]) != len(leaves):
        raise Wrong("some chunks are of no table")
    return f"{len(leaves)} chunk(s) hash to the certified tree, and add up to the counts of every table"


def _check_subjects(statement: Mapping[str, Any]) -> None:
    predicate = statement["predicate"]
    found = [one["digest"]["sha256"] for one in statement["subject"]]
    if found != [predicate["tree"]["root"], *(table["tree"]["root"] for table in predicate["tables"])]:
        raise Wrong("the subjects are not the certified trees")
    if predicate["result"] != FAILED and any(
        table["comparison"] is not None and not table["comparison"]["equal"] for table in predicate["tables"]
    ):
        raise Wrong("a table differs, and the result does not say so")


def _check_approval(made: Mapping[str, Any], approval: Mapping[str, Any], keys: Sequence[str] | None) -> str:
    found = _statement(approval, APPROVAL)
    who = found["predicate"]
    _check_signature(approval, str(who["public_key"]), keys)
    digest = hashlib.sha256(signing.payload_of(made)).hexdigest()
    if [one["digest"]["sha256"] for one in found["subject"]] != [digest]:
        raise Wrong(f"{who['name']} approved another certificate")
    issuer = _statement(made, MIGRATION)["predicate"]["issuer"]
    if signing.key_id(str(who["public_key"])) == signing.key_id(str(issuer["public_key"])):
        raise Wrong("it is by the key that signed the certificate")
    return _signed_by("approved", who, trusted=keys is not None)


def _in_words(error: Exception) -> str:
    if isinstance(error, Wrong):
        return str(error)
    if isinstance(error, UsageError):
        return error.message
    return f"a part is missing or not of the expected form ({type(error).__name__})"
