"""Connects to S3, or to a server that speaks its protocol, with the credentials of a profile entry."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import model_validator

from hdm.components.settings import Settings
from hdm.config.secrets import Secret
from hdm.config.tls import is_local
from hdm.errors import MissingDriver

ATTEMPTS = 4


class S3Profile(Settings):
    """Profile entry of an S3 account: credentials, region and endpoint.

    Without keys and ``profile``, boto3 looks for credentials itself.
    """

    profile: str | None = None
    """Name of a profile in AWS's own configuration files; left out, boto3 looks for credentials itself."""
    aws_access_key_id: Secret | None = None
    """Access key to sign requests with; ``aws_secret_access_key`` belongs to it."""
    aws_secret_access_key: Secret | None = None
    """Secret of ``aws_access_key_id``; write a reference such as ``env:NAME``."""
    aws_session_token: Secret | None = None
    """Token of temporary credentials, beside the two keys; left out, there is none."""
    region: str | None = None
    """AWS region of the bucket; left out, ``region_name``, or what boto3 finds."""
    region_name: str | None = None
    """Another spelling of ``region``; ignored if ``region`` is given."""
    endpoint_url: str | None = None
    """Address of a server that speaks S3's protocol, without credentials in it; left out, AWS itself."""
    addressing_style: Literal["auto", "path", "virtual"] | None = None
    """Whether the bucket stands in the ``path`` or, ``virtual``, in the host's name; left out, ``path`` with
    ``endpoint_url``, else ``auto``."""
    ca_bundle: str | None = None
    """File (PEM) of the authorities that vouch for the server's certificate; left out, boto3's own."""
    insecure: bool = False
    """Accepts an ``endpoint_url`` without https on another machine, so that data travel in the clear."""

    @model_validator(mode="after")
    def _is_whole(self) -> S3Profile:
        if (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            raise ValueError("aws_access_key_id and aws_secret_access_key belong together")
        split = urlsplit(self.endpoint_url or "https://")
        if split.username or split.password or split.query:
            raise ValueError("endpoint_url must not hold credentials")
        if split.scheme != "https" and not is_local(split.hostname or "?") and not self.insecure:
            raise ValueError("endpoint_url must be https; write insecure: true to send data in the clear")
        return self


def connect(profile: S3Profile) -> Any:
    """Return a boto3 client for S3; raise ``MissingDriver`` if boto3 is not installed."""
    try:
        import boto3
        import botocore.session
        from botocore.config import Config
    except ImportError:
        raise MissingDriver("S3 needs boto3", hint="pip install 'hdm[s3]'") from None
    keys = {
        "aws_access_key_id": profile.aws_access_key_id,
        "aws_secret_access_key": profile.aws_secret_access_key,
        "aws_session_token": profile.aws_session_token,
    }
    inner = botocore.session.Session(profile=profile.profile)
    known = _descriptions(inner.get_config_variable("data_path"))
    inner.register_component("data_loader", known)
    session = boto3.Session(
        botocore_session=inner,
        region_name=profile.region or profile.region_name,
        **{name: secret.reveal() for name, secret in keys.items() if secret is not None},
    )
    known.search_paths[:] = dict.fromkeys(known.search_paths)  # each session appends boto3's own
    style = profile.addressing_style or ("path" if profile.endpoint_url else "auto")
    return session.client(
        "s3",
        endpoint_url=profile.endpoint_url,
        verify=profile.ca_bundle,
        config=Config(
            connect_timeout=10,
            read_timeout=60,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            max_pool_connections=32,
            s3={"addressing_style": style},
            # hdm sends checksums itself: many servers do not understand boto3's trailing ones.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent_extra="hdm",
        ),
    )


@lru_cache(maxsize=4)
def _descriptions(data_path: str | None) -> Any:
    """Return botocore's loader of the files that describe AWS services.

    It keeps what it has read; all sessions share it, since reading takes longer than the rest of connecting.
    ``data_path`` is the setting of that name in AWS's configuration.
    """
    from botocore.loaders import create_loader

    return create_loader(data_path)
