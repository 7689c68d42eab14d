"""The hash of what a caller asked for: it tells a repeated request from another one under the same id."""

import hashlib
from base64 import urlsafe_b64encode
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

from common.dynamo.decimals import digits
from common.dynamo.key_components import datetime_text

__all__ = ["HashedValue", "input_hash"]

HashedValue: TypeAlias = str | int | Decimal | datetime | Enum | None


def input_hash(*values: HashedValue) -> str:
    """Return 22 characters that stand for *values*, in this order: what kind of request it is, and with what.

    Only what the caller sent belongs in here (asset, quantity or amount, limit, bounds), never what the service adds
    (execution price, times), so that a repeat after a price move is the same request. Numbers and times count in their
    canonical form: ``5`` and ``5.00`` are one input. The fields are length-prefixed, so no two lists run together.

    128 bits of SHA-256: the hash separates a caller's own mistakes, it guards no secret.

    >>> from decimal import Decimal
    >>> input_hash("deposit", Decimal("5.00"))
    '0laNopa7rglx7YmQXZLWyg'
    """
    digest = hashlib.sha256()
    for value in values:
        text = _text(value)
        digest.update(b"%d:%s" % (len(text), text))
    return urlsafe_b64encode(digest.digest()[:16]).rstrip(b"=").decode("ascii")


def _text(value: HashedValue) -> bytes:
    if value is None:
        return b"\0none"
    if isinstance(value, Enum):
        value = str(value.value)
    if isinstance(value, Decimal):
        value = digits(value)
    if isinstance(value, datetime):
        value = datetime_text(value)
    return str(value).encode("utf-8")
