"""Keeps secrets from being printed, and masks them in text that other software produces.

A secret is written as a reference (``env:NAME``, ``file:/path``, ``keyring:service/user``) or literally. It
is looked up when its value is first needed. Every value that was looked up is remembered, so that ``redact``
can mask it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, quote_plus, unquote, urlsplit

from hdm.errors import MissingDriver, ProfileError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

MASK = "***"
SHORTEST = 4
"""Length of the shortest value that is masked in text; to mask shorter ones would garble the text and hide
nothing."""

_REFERENCE = re.compile(r"(env|file|keyring|literal|vault|aws-sm|azkv):(.+)", re.DOTALL)
_LATER = {"vault": "HashiCorp Vault", "aws-sm": "AWS Secrets Manager", "azkv": "Azure Key Vault"}
_FILE_LIMIT = 64 * 1024

_PRIVATE = re.compile(
    r"passw|passphrase|^pwd$|^pass$|secret|token|^sas$|sas_|_sas$|private_key$|private_key_pem|credential"
    r"|api_?key|account_key|access_key$|connection_string|conn_str|^url$|^dsn$|_url$",
    re.IGNORECASE,
)
_INNER = re.compile(
    r"(?:^|[;&?])\s*(pwd|password|passwd|accountkey|sharedaccesskey|sharedaccesssignature|sig|token|secret)"
    r"\s*=\s*(\{(?:[^}]|\}\})*\}|[^;&]+)",
    re.IGNORECASE,
)
_CERTAIN = re.compile(
    r"(?:.*_)?(?:password|passwd|pwd|passphrase|secret|secret_access_key|account_key|sas_token|private_key)",
    re.IGNORECASE,
)
_NOT_PRIVATE = re.compile(
    r"(_path|_file|_id|_name|_type|_expiry)$|^azure_account_url$|^endpoint_url$|^account_url$|^token_url$",
    re.IGNORECASE,
)


class Secret:
    """A secret value that prints as ``***`` and cannot be pickled.

    Only ``reveal()`` gives the value; it raises ``ProfileError`` if a reference names a value that does not
    exist. ``where`` is the place in the profile, for that error.
    """

    __slots__ = ("_lock", "_source", "_value", "_where")

    def __init__(self, source: str, *, where: str = "") -> None:
        self._source = source
        self._where = where
        self._value: str | None = None
        self._lock = threading.Lock()
        if not is_reference(source):
            self._value = source
            remember(source)

    def reveal(self) -> str:
        """Return the secret's value; it is looked up on first use and remembered for ``redact``."""
        with self._lock:
            if self._value is None:
                self._value = look_up(self._source, where=self._where)
            return self._value

    def refused(self) -> tuple[str, str] | None:
        """Return message and hint if the secret refers to a kind of vault that hdm cannot open; else None."""
        match = _REFERENCE.fullmatch(self._source)
        return _not_yet(match[1]) if match and match[1] in _LATER else None

    def __repr__(self) -> str:
        return f"Secret('{MASK}')"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._source == self._source

    def __hash__(self) -> int:
        return hash((Secret, self._source))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled; load the profile again where it is needed")

    def __reduce__(self) -> NoReturn:
        self.__reduce_ex__(2)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Accept text or a ``Secret``; write only the mask into JSON."""
        from pydantic_core import core_schema

        made = core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(strict=True), serialization=None
        )
        return core_schema.json_or_python_schema(
            json_schema=made,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), made]),
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """Describe the key as a password, or a reference to one."""
        return {
            "type": "string",
            "writeOnly": True,
            "description": "a secret: env:NAME, file:/path, keyring:service/user, or the value itself",
        }


def must_be_private(key: str) -> bool:
    """Return True if a key of this name always has a secret, and so may only stand in a profile."""
    return _CERTAIN.fullmatch(key) is not None


def is_private(key: str) -> bool:
    """Return True if a profile key of this name has a secret, such as ``password``."""
    return bool(_PRIVATE.search(key)) and not _NOT_PRIVATE.search(key)


def is_reference(text: str) -> bool:
    """Return True if the text is a reference to a secret (``env:NAME``, ``file:/path``).

    False if it is a secret itself.
    """
    return _REFERENCE.fullmatch(text) is not None


def look_up(source: str, *, where: str = "") -> str:
    """Return the value to which a secret's reference points; text that is no reference is returned as it is.

    Raises ``ProfileError``, with the place ``where``, if the value does not exist or cannot be read. The
    value is remembered for ``redact``.
    """
    match = _REFERENCE.fullmatch(source)
    value = source if match is None else _follow(match[1], match[2], where)
    remember(value)
    return value


def _follow(scheme: str, name: str, where: str) -> str:
    at = f"{where}: " if where else ""
    if scheme == "literal":
        return name
    if scheme == "env":
        value = os.environ.get(name)
        if value is None:
            raise ProfileError(
                f"{at}the environment variable '{name}' is not set", hint=f"export {name}=... and run again"
            )
        return value
    if scheme == "file":
        return _from_file(name, at)
    if scheme == "keyring":
        return _from_keyring(name, at)
    said, hint = _not_yet(scheme)
    raise ProfileError(at + said, hint=hint)


def _not_yet(scheme: str) -> tuple[str, str]:
    return (
        f"secrets from {_LATER[scheme]} ({scheme}:) are not available in this version of hdm",
        "refer to the secret by env:NAME, file:/path or keyring:service/user",
    )


def _from_file(name: str, at: str) -> str:
    path = Path(name).expanduser()
    try:
        with path.open("rb") as handle:
            raw = handle.read(_FILE_LIMIT + 1)
        text = raw.decode()
    except OSError as error:
        raise ProfileError(
            f"{at}the secret file {path} cannot be read: {error.strerror}",
            hint="create it, readable by you alone, or correct the path",
        ) from None
    except UnicodeDecodeError:
        raise ProfileError(f"{at}the secret file {path} is not UTF-8 text", hint="save it as UTF-8") from None
    if len(raw) > _FILE_LIMIT:
        raise ProfileError(
            f"{at}the secret file {path} is larger than {_FILE_LIMIT} bytes", hint="correct the path"
        )
    return text.removesuffix("\n").removesuffix("\r")


def _from_keyring(name: str, at: str) -> str:
    service, slash, user = name.rpartition("/")
    if not slash or not service or not user:
        raise ProfileError(
            f"{at}a keyring reference needs a service and a user", hint="write keyring:service/user"
        )
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise MissingDriver(
            f"{at}the secret is kept in a keyring, and the package for it is not installed",
            hint="pip install 'hdm[keyring]'",
        ) from None
    try:
        value = keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        raise ProfileError(
            f"{at}the keyring cannot be read: {type(error).__name__}",
            hint="unlock it, or refer to the secret by env:NAME or file:/path",
        ) from None
    if value is None:
        raise ProfileError(
            f"{at}the keyring holds nothing for service '{service}', user '{user}'",
            hint=f"store it: keyring set {service} {user}",
        )
    return str(value)


# -- redaction ----------------------------------------------------------------

_forms: set[str] = set()
_pattern: re.Pattern[str] | None = None
_guard = threading.Lock()


def remember(value: str) -> None:
    """Make ``redact`` mask this value from now on.

    If it is a URL, a connection string or a signature with its fields, the secrets inside it are masked, too.
    A value of fewer than ``SHORTEST`` characters is not masked.
    """
    global _pattern  # noqa: PLW0603 - one registry per process, as secrets are
    forms = {form for part in (value, *_passwords_in(value)) for form in _spellings(part)}
    with _guard:
        if not forms <= _forms:
            _forms.update(forms)
            longest_first = sorted(_forms, key=lambda form: (-len(form), form))
            _pattern = re.compile("|".join(re.escape(form) for form in longest_first))


def redact(text: str) -> str:
    """Return the text with every secret masked that this process knows: see ``remember``.

    All usual spellings of a secret are masked: as it is, URL-encoded, in base64 (also inside longer base64),
    in hex, and as JSON, SQL and Python quote it.
    """
    return _pattern.sub(MASK, text) if _pattern else text


def redact_values(value: Any) -> Any:
    """Return a nested structure of dicts and lists with every secret masked in its texts and keys.

    Tuples become lists. Call this before a structure is serialised: masking a secret that is a word or a
    number in finished JSON would damage the JSON.
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact_values(key): redact_values(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [redact_values(part) for part in value]
    return value


def _passwords_in(text: str) -> list[str]:
    """Return the secrets inside a URL or a connection string, both as written and decoded.

    These are the password of a URL, and the values in ``PWD=...;``, ``AccountKey=...;`` or ``&sig=...``.
    """
    try:
        password = urlsplit(text).password if "://" in text else None
    except ValueError:
        password = None
    found = [password] if password else []
    found += [one[2].strip().removeprefix("{").removesuffix("}") for one in _INNER.finditer(text)]
    return [part for one in found if one for part in (one, unquote(one), one.replace("}}", "}"))]


def _spellings(value: str) -> list[str]:
    if len(value) < SHORTEST:
        return []
    raw = value.encode("utf-8", "surrogatepass")
    escaped = quote(value, safe="", errors="replace")
    forms = [
        value,
        escaped,
        quote(value, errors="replace"),
        quote_plus(value, errors="replace"),
        re.sub("%[0-9A-F]{2}", lambda hit: hit[0].lower(), escaped),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        repr(raw)[2:-1],
        repr(raw + b"'\"")[2:-4],
        value.replace("'", "''"),
        value.replace("}", "}}"),
        raw.hex(),
        raw.hex().upper(),
        *_in_base64(raw),
    ]
    lines = value.splitlines()
    if len(lines) > 1:
        forms += [line for line in lines if len(line) >= 16 and not line.startswith("-----")]
    return [form for form in forms if len(form) >= SHORTEST]


def _in_base64(raw: bytes) -> list[str]:
    """Return the base64 of the value, whole and as a part of a longer encoded text.

    Inside a text such as ``user:password`` the value can begin at three positions within a group of three
    bytes; for each, the characters that do not depend on its neighbours are returned.
    """
    found: list[str] = []
    for lead in range(3):
        text = base64.b64encode(b"\0" * lead + raw).decode()
        whole = (lead + len(raw)) // 3 * 4
        core = text[(0, 2, 3)[lead] : whole]
        if len(core) >= 6:
            found += [core, core.translate(str.maketrans("+/", "-_"))]
    full = base64.b64encode(raw).decode()
    return [full, full.rstrip("="), full.translate(str.maketrans("+/", "-_")), *found]
