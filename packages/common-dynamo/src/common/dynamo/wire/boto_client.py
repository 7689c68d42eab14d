"""Building a boto3 client that makes one attempt; importing this imports boto3."""

import os
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import InvalidRegionError, NoRegionError, ProfileNotFound

from common.exceptions import ConfigurationError

_CONNECT_SECONDS = 1.0
_CONNECTIONS = 64


def build_client(session: Any, *, endpoint_url: str | None, region: str | None, timeout: float) -> Any:
    """Return a DynamoDB client of *session*, or of a new session configured by the environment.

    Args:
        session: A boto3 session or ``None``.
        endpoint_url: A compatible endpoint, or ``None`` for the session's own choice.
        region: Overrides the session's region; where neither is known, ``AWS_REGION`` is, which boto3 does not read.
        timeout: Seconds; the read timeout, and the connect timeout if below one.

    Raises:
        ConfigurationError: No region is known, there is no such profile, or region or endpoint is malformed.
    """
    try:
        session = session or boto3.Session()
    except ProfileNotFound:
        raise ConfigurationError(
            "The profile of AWS_PROFILE is in no configuration file. Add it there, or unset the variable."
        ) from None
    config = Config(
        # Requests are rendered from values that are right by construction, and the engine checks them again; the check of
        # every member and the composing of the default user agent are a fifth of what a call costs the client.
        parameter_validation=False,
        user_agent=_user_agent(session),
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=min(_CONNECT_SECONDS, timeout),
        read_timeout=timeout,
        max_pool_connections=_CONNECTIONS,
        tcp_keepalive=True,
    )
    try:
        return session.client("dynamodb", region_name=region, endpoint_url=endpoint_url, config=config)
    except NoRegionError:
        unread = os.environ.get("AWS_REGION")
        if region is None and unread:
            return build_client(session, endpoint_url=endpoint_url, region=unread, timeout=timeout)
        raise ConfigurationError(
            "No AWS region is known. Give region= to Database.connect, or set AWS_REGION for the service."
        ) from None
    except (InvalidRegionError, ValueError):
        # The text of the error repeats what was given, which may hold credentials (http://user:password@host).
        raise ConfigurationError(
            "endpoint_url or region is malformed; they look like http://127.0.0.1:8000 and eu-central-1."
        ) from None


def _user_agent(session: Any) -> str:
    """Return what the client calls itself, with the operator's application id; botocore adds its own name."""
    application = session._session.get_config_variable("user_agent_appid")
    return f"Boto3/{boto3.__version__} lib/common-dynamo" + (f" app/{application}" if application else "")
