"""A secret never prints, and what others print of it is masked."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import traceback
from pathlib import Path
from urllib.parse import quote, quote_plus

import keyring
import keyring.backend
import keyring.errors
import pytest
from pydantic import BaseModel, ValidationError

from hdm.config.secrets import MASK, Secret, is_private, is_reference, look_up, redact
from hdm.errors import ProfileError

CANARY = "c4n4ry/é+&=' \"x}y"


def test_no_way_of_printing_shows_it() -> None:
    secret = Secret(CANARY)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>40}",
        f"{[secret]}",
        f"{secret} {secret!r}",
    ]
    assert not any("c4n4ry" in text for text in shown)
    assert secret.reveal() == CANARY
    assert copy.deepcopy({"a": secret})["a"] is secret
    assert copy.copy(secret) is secret


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_cannot_be_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Secret(CANARY), protocol)


def test_json_holds_the_mask() -> None:
    class Login(BaseModel):
        password: Secret
        other: Secret | None = None

    login = Login.model_validate({"password": CANARY})
    assert login.password.reveal() == CANARY
    assert login.model_dump_json() == json.dumps({"password": MASK, "other": None}, separators=(",", ":"))
    assert "c4n4ry" not in repr(login) + str(login.model_dump())
    assert Login.model_validate({"password": login.password}).password is login.password
    assert Login.model_json_schema()["properties"]["password"]["writeOnly"] is True
    with pytest.raises(TypeError):
        json.dumps(login.password)
    with pytest.raises(ValidationError):
        Login.model_validate({"password": 12})


def test_equal_by_what_was_written() -> None:
    assert Secret("env:A_B") == Secret("env:A_B") != Secret("env:A_C")
    assert Secret("same") != "same"
    assert len({Secret("env:A_B"), Secret("env:A_B")}) == 1


@pytest.mark.parametrize(
    "spelling",
    [
        CANARY,
        quote(CANARY),
        quote(CANARY, safe=""),
        quote(CANARY, safe="").lower(),
        quote_plus(CANARY),
        json.dumps(CANARY),
        json.dumps(CANARY, ensure_ascii=False),
        repr(CANARY),
        CANARY.replace("'", "''"),
        CANARY.replace("}", "}}"),
        CANARY.encode().hex(),
        base64.b64encode(CANARY.encode()).decode(),
        base64.urlsafe_b64encode(CANARY.encode()).decode().rstrip("="),
    ],
)
def test_redacted_in_every_spelling(spelling: str) -> None:
    Secret(CANARY)
    text = redact(f"driver says: <{spelling}> was refused")
    assert spelling not in text
    assert "4n4ry" not in text.casefold()
    assert text.startswith("driver says: <")
    assert text.endswith("> was refused")


@pytest.mark.parametrize("user", ["a", "ab", "abc", "abcd"])
def test_redacted_inside_longer_base64(user: str) -> None:
    Secret("hunter2-canary-pass")
    token = base64.b64encode(f"{user}:hunter2-canary-pass:tail".encode()).decode()
    masked = redact(f"Authorization: Basic {token}")
    left = masked.removeprefix("Authorization: Basic ")
    assert MASK in left
    assert len(left.replace(MASK, "")) <= len(token) - 20


def test_a_password_in_a_url_and_the_lines_of_a_key_are_masked_alone() -> None:
    Secret("postgresql://me:p%40ssw0rd!x@db/x")
    assert redact("login failed with p@ssw0rd!x or p%40ssw0rd!x") == f"login failed with {MASK} or {MASK}"
    line = "MIIEvQIBADANBgkqhkiG9w0BAQ"
    Secret(f"-----BEGIN KEY-----\n{line}\n-----END KEY-----\n")
    assert line not in redact(f"cannot parse '{line}'")


@pytest.mark.parametrize(
    ("whole", "secret"),
    [
        ("Driver={X};Server=s;PWD={p;ss}}w0rd-odbc};Port=1", "p;ss}w0rd-odbc"),
        ("DSN=x;Password=plain-odbc-word", "plain-odbc-word"),
        ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5LWtleS1rZXk=;X=y", "a2V5LWtleS1rZXk="),
        ("https://a.blob.core.windows.net/c?sv=2024-01-01&sig=s1g%2Fn4ture", "s1g/n4ture"),
        ("sv=2024-01-01&se=2030&sig=s1gn4ture-two", "s1gn4ture-two"),
    ],
)
def test_what_is_secret_in_a_longer_text_is_masked_alone(whole: str, secret: str) -> None:
    Secret(whole)
    assert redact(f"refused: {secret}.") == f"refused: {MASK}."
    assert "Server" in redact("Server s is gone") and "2024-01-01" in redact("since 2024-01-01")


def test_short_values_do_not_garble_the_text() -> None:
    Secret("db")
    assert redact("the db is gone") == "the db is gone"


def test_references_are_looked_up_late(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = Secret("env:LATE_SECRET")
    monkeypatch.setenv("LATE_SECRET", "from-the-environment")
    assert redact("from-the-environment") == "from-the-environment"
    assert secret.reveal() == "from-the-environment"
    assert redact("from-the-environment") == MASK
    monkeypatch.delenv("LATE_SECRET")
    assert secret.reveal() == "from-the-environment"
    path = tmp_path / "password"
    path.write_text("  with blanks \n")
    assert Secret(f"file:{path}").reveal() == "  with blanks "
    assert Secret("literal:env:X").reveal() == "env:X"
    assert look_up("plain") == "plain"
    assert is_reference("keyring:a/b")
    assert not is_reference("envy")


def test_a_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {("hdm/prod", "ada"): "ring-canary"}

    def get(service: str, user: str) -> str | None:
        if service == "locked":
            raise keyring.errors.KeyringLocked("locked")
        return kept.get((service, user))

    monkeypatch.setattr(keyring, "get_password", get)
    assert Secret("keyring:hdm/prod/ada").reveal() == "ring-canary"
    for reference, said in (
        ("keyring:hdm/eve", "holds nothing"),
        ("keyring:locked/x", "cannot be read: KeyringLocked"),
        ("keyring:ada", "needs a service"),
    ):
        with pytest.raises(ProfileError, match=said) as caught:
            Secret(reference).reveal()
        assert caught.value.hint


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:NO_SUCH_VARIABLE", "'NO_SUCH_VARIABLE' is not set"),
        ("file:/no/such/file", "cannot be read"),
        ("vault:kv/x", "HashiCorp Vault"),
        ("aws-sm:x", "AWS Secrets Manager"),
        ("azkv:x/y", "Azure Key Vault"),
    ],
)
def test_a_reference_that_leads_nowhere(reference: str, said: str) -> None:
    with pytest.raises(ProfileError) as caught:
        Secret(reference, where="p.yml:3:4: dev.db.password").reveal()
    assert said in caught.value.message
    assert caught.value.message.startswith("p.yml:3:4: dev.db.password: ")
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_a_secret_file_that_is_no_text_or_too_large(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileError, match="not UTF-8"):
        Secret(f"file:{path}").reveal()
    path.write_bytes(b"x" * 70_000)
    with pytest.raises(ProfileError, match="larger than"):
        Secret(f"file:{path}").reveal()


def test_a_traceback_with_the_object_in_it_shows_nothing() -> None:
    secret = Secret("traceback-canary")
    try:
        raise ValueError(secret, {"password": secret})
    except ValueError:
        assert "traceback-canary" not in traceback.format_exc()


@pytest.mark.parametrize(
    ("key", "private"),
    [
        ("password", True), ("passwd", True), ("pwd", True), ("client_secret", True), ("sas", True),
        ("sas_token", True), ("aws_secret_access_key", True), ("private_key", True), ("account_key", True),
        ("private_key_passphrase", True), ("connection_string", True), ("url", True), ("api_key", True),
        ("user", False), ("host", False), ("aws_access_key_id", False), ("private_key_path", False),
        ("azure_account_url", False), ("passenger_count_dummy_name", False), ("warehouse", False),
    ],
)  # fmt: skip
def test_which_keys_are_private(key: str, private: bool) -> None:
    assert is_private(key) is private
