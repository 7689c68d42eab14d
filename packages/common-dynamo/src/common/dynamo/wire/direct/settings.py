"""What a direct wire is opened with, read from the environment alone; importing this imports neither boto3 nor botocore."""

import os
import sys
from pathlib import Path
from typing import Final

from common.dynamo.value_classes import dataclass
from common.dynamo.wire.direct.credentials import CredentialSource, StaticCredentials, from_environment
from common.dynamo.wire.direct.endpoint import Endpoint
from common.dynamo.wire.direct.regions import check_region, endpoint_url_of

__all__ = ["DirectSettings", "NeedsBotocore", "endpoint_in", "region_of_environment", "settings_of_environment"]

_REGIONS: Final = ("AWS_DEFAULT_REGION", "AWS_REGION")
"""boto3 reads the first alone; AWS Lambda sets both, and other SDKs read the second."""
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL")
_ASK_BOTOCORE: Final = frozenset(
    {
        "AWS_ACCOUNT_ID_ENDPOINT_MODE",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_CSM_ENABLED",
        "AWS_DATA_PATH",
        "AWS_DEFAULT_PROFILE",
        "AWS_ENDPOINT_DISCOVERY_ENABLED",
        "AWS_PROFILE",
        "AWS_USE_DUALSTACK_ENDPOINT",
        "AWS_USE_FIPS_ENDPOINT",
    }
)
"""Variables whose meaning is botocore's to tell."""
_FILES: Final = (("AWS_CONFIG_FILE", "~/.aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))
_MODELS: Final = "~/.aws/models"


class NeedsBotocore(Exception):
    """Something is asked for that only botocore does; the text says what, for the operator, without values."""


@dataclass(frozen=True, slots=True)
class DirectSettings:
    """All that a direct wire has to know."""

    endpoint: Endpoint
    region: str
    credentials: CredentialSource
    ca_bundle: str | None
    """``None`` for what the environment says, else for what boto3 trusts."""
    reason: str
    """Why the direct wire can be used, in one line for the operator."""


def settings_of_environment(endpoint_url: str | None, region: str | None) -> DirectSettings | None:
    """Return what the environment's variables say; ``None`` where a configuration file or botocore has a say.

    Args:
        endpoint_url: Instead of the environment's.
        region: Instead of the environment's.

    Raises:
        ConfigurationError: Endpoint or region is malformed, or half of the credentials is missing.
        NeedsBotocore: Only botocore can reach that endpoint.
    """
    region = region or region_of_environment()
    if region is None or not os.environ.get("AWS_ACCESS_KEY_ID") or not _is_plain():
        return None
    credentials: StaticCredentials | None = from_environment()
    if credentials is None:
        return None
    if endpoint_url is None and os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true":
        endpoint_url = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    where = endpoint_in(region, endpoint_url)
    return DirectSettings(where, region, credentials, None, "region and credentials are variables of the environment")


def region_of_environment() -> str | None:
    """Return the region that the environment names; ``None`` where it names none."""
    return next((os.environ[name] for name in _REGIONS if os.environ.get(name)), None)


def endpoint_in(region: str, endpoint_url: str | None) -> Endpoint:
    """Return where requests for *region* go.

    Args:
        region: A region, which requests are signed for.
        endpoint_url: As it was given or configured; ``None`` for AWS.

    Raises:
        ConfigurationError: One of them is malformed.
        NeedsBotocore: Only botocore knows the endpoint of that region, how it is signed for, or the proxy to it.
    """
    check_region(region)
    if "fips" in region or region.endswith("-global"):
        raise NeedsBotocore("the region stands for another one, which only botocore knows")
    url = endpoint_url_of(region) if endpoint_url is None else endpoint_url
    if url is None:
        raise NeedsBotocore("only botocore knows the endpoint of the region")
    endpoint = Endpoint.parse(url)
    if _has_proxy(endpoint):
        raise NeedsBotocore("a proxy is configured for the endpoint")
    return endpoint


def _is_plain() -> bool:
    """Tell whether the environment's variables are all that botocore would look at, and mean what they say."""
    if any(os.environ.get(name) for name in _ASK_BOTOCORE) or os.path.exists(os.path.expanduser(_MODELS)):
        return False
    files = (os.path.expandvars(os.path.expanduser(os.environ.get(name) or usual)) for name, usual in _FILES)
    return not any(Path(file).is_file() for file in files)


def _has_proxy(endpoint: Endpoint) -> bool:
    """Tell whether botocore would go through a proxy: by the rules of ``urllib``, of which it asks for the scheme's own."""
    elsewhere = sys.platform in ("darwin", "win32")  # the system has settings of its own there
    if not elsewhere and not any(value for name, value in os.environ.items() if name.lower().endswith("_proxy")):
        return False
    from urllib.request import getproxies, proxy_bypass  # dear to import

    return bool(getproxies().get(endpoint.scheme)) and not proxy_bypass(endpoint.authority)
