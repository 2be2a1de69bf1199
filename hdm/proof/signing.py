"""Signs statements with Ed25519 keys, in DSSE envelopes: https://github.com/secure-systems-lab/dsse.

Keys are PEM texts as OpenSSL writes them. A key's id is the SHA-256 of its public half in DER:
``openssl pkey -pubin -in KEY.pub -outform DER | sha256sum``. The library ``cryptography`` is imported when a
key is used.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hdm.errors import MissingDriver, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_WANTED = "make one with: hdm certify --new-key FILE"


def ready() -> None:
    """Raise ``MissingDriver`` if the library for keys and signatures is not installed."""
    _ed25519()


def canonical(value: Any) -> bytes:
    """Return a value as JSON in ASCII: keys in order, no blanks. Leaves and statements are written so."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def new_key(path: Path) -> str:
    """Write a new private key to ``path`` (mode 0600) and its public half to ``path.pub``; return its id.

    Raises ``UsageError`` if one of the files exists or cannot be written.
    """
    key = _ed25519().Ed25519PrivateKey.generate()
    public = public_pem(key)
    beside = path.with_name(f"{path.name}.pub")
    for file in (path, beside):
        if file.exists():
            raise UsageError(f"{file} exists already", hint="give another FILE: no key is overwritten")
    try:
        _write_new(path, _private_pem(key), 0o600)
        _write_new(beside, public, 0o644)
    except OSError as error:
        raise UsageError(
            f"the key {path} cannot be written: {error.strerror}", hint="give another FILE"
        ) from None
    return key_id(public)


def private_key(pem: str, where: str) -> Ed25519PrivateKey:
    """Return the private key that a PEM text holds; ``where`` names its place in errors.

    Raises ``UsageError`` for a text that is no Ed25519 key, or is encrypted.
    """
    _ed25519()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise UsageError(
            f"{where}: the key is encrypted with a passphrase",
            hint="decrypt it with: openssl pkey -in KEY -out FILE, and guard that file",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{where}: not a private key in PEM", hint=_WANTED) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{where}: the key is not an Ed25519 key", hint=_WANTED)
    return key


def public_key(pem: str, where: str) -> Ed25519PublicKey:
    """Return the public key that a PEM text holds; ``where`` names its place in errors.

    Raises ``UsageError`` for a text that is no public Ed25519 key.
    """
    _ed25519()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(
            f"{where}: not a public Ed25519 key in PEM", hint="give the file KEY.pub that --new-key wrote"
        )
    return key


def public_pem(key: Ed25519PrivateKey) -> str:
    """Return the public half of a private key as PEM text."""
    _ed25519()
    from cryptography.hazmat.primitives import serialization

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def key_id(pem: str) -> str:
    """Return the id of a public key: the SHA-256 of its DER form in hex digits.

    It is computed of the key that signatures are checked with, not of the text: a PEM text may have other
    lines around the key. Raises ``UsageError`` for a text that is no public Ed25519 key.
    """
    key = public_key(pem, "the public key")
    from cryptography.hazmat.primitives import serialization

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def envelope(statement: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return a statement in a DSSE envelope with one signature."""
    payload = canonical(statement)
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [
            {
                "keyid": key_id(public_pem(key)),
                "sig": base64.b64encode(key.sign(_signed(payload))).decode(),
            }
        ],
    }


def payload_of(made: Mapping[str, Any]) -> bytes:
    """Return the payload of a DSSE envelope; raise ``ValueError`` if it has none of the expected type."""
    if made.get("payloadType") != PAYLOAD_TYPE or not isinstance(made.get("payload"), str):
        raise ValueError("not a DSSE envelope of an in-toto statement")
    return base64.b64decode(made["payload"], validate=True)


def signed_by(made: Mapping[str, Any], pem: str) -> bool:
    """Return True if one of an envelope's signatures is by the public key ``pem`` over its payload."""
    key = public_key(pem, "the public key")
    from cryptography.exceptions import InvalidSignature

    for one in made.get("signatures") or ():
        try:
            key.verify(base64.b64decode(str(one["sig"]), validate=True), _signed(payload_of(made)))
        except (InvalidSignature, KeyError, TypeError, ValueError):
            continue
        return True
    return False


def _signed(payload: bytes) -> bytes:
    """Return what is signed: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _private_pem(key: Ed25519PrivateKey) -> str:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _write_new(path: Path, text: str, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ModuleNotFoundError:
        raise MissingDriver(
            "certificates are signed with the library cryptography", hint="pip install 'hdm[certify]'"
        ) from None
    return ed25519
