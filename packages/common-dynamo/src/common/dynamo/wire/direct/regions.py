"""Where DynamoDB is in each region of AWS, as far as that follows from the region's name."""

import re
from typing import Final

from common.exceptions import ConfigurationError

__all__ = ["check_region", "endpoint_url_of"]

_LABEL: Final = re.compile(r"(?![0-9]+$)(?!-)[a-zA-Z0-9-]{1,63}(?<!-)")
"""What botocore takes for a region: a label of a host name."""
_SUFFIXES: Final = (
    (re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d+"), "amazonaws.com"),
    (re.compile(r"us-gov-[a-z]+-\d+"), "amazonaws.com"),
    (re.compile(r"cn-[a-z]+-\d+"), "amazonaws.com.cn"),
)
"""Regions of the partitions aws, aws-us-gov and aws-cn (``partitions.json`` of the AWS SDKs)."""


def endpoint_url_of(region: str) -> str | None:
    """Return the address of DynamoDB in *region*; ``None`` where only botocore's data tell it.

    >>> endpoint_url_of("eu-central-1")
    'https://dynamodb.eu-central-1.amazonaws.com'
    >>> endpoint_url_of("us-isob-east-1") is None
    True
    """
    for pattern, suffix in _SUFFIXES:
        if pattern.fullmatch(region):
            return f"https://dynamodb.{region}.{suffix}"
    return None


def check_region(region: str | None) -> str:
    """Return *region*.

    Raises:
        ConfigurationError: There is none, or it is no name of one.
    """
    if region is None:
        raise ConfigurationError(
            "No AWS region is known. Give region= to Database.connect, or set AWS_REGION for the service."
        )
    if not _LABEL.fullmatch(region):
        raise ConfigurationError("The AWS region is malformed; it looks like eu-central-1.")
    return region
