"""What is stored, item by item. These models never leave the stores.

Moments are numbers of seconds, exact: :func:`exact_seconds` writes every ``float`` so that the same one is read back. Where
a moment also ends an item, ``sweep_at`` is the second in which the table may delete it; nothing is decided by it.
"""

import math
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from common.auth.exceptions import ConfigurationError

__all__ = [
    "ApiKeyItem",
    "AuditItem",
    "DeniedItem",
    "EpochItem",
    "LoginCounterItem",
    "NonceItem",
    "SessionItem",
    "UserSessionItem",
    "exact_seconds",
    "second_of",
    "sweep_second",
]


def exact_seconds(seconds: float) -> Decimal:
    """Return *seconds* as the shortest decimal number that is read back as the same ``float``.

    Raises:
        ConfigurationError: It is no finite number.

    >>> float(exact_seconds(1_795_521_600.1)) == 1_795_521_600.1
    True
    """
    return Decimal(repr(_finite(seconds)))


def sweep_second(expires_at: float) -> int:
    """Return the first whole second at or after *expires_at*.

    Raises:
        ConfigurationError: It is no finite number.

    >>> sweep_second(60.5), sweep_second(60.0)
    (61, 60)
    """
    return math.ceil(_finite(expires_at))


def second_of(moment: float) -> int:
    """Return the second that *moment* is in.

    Raises:
        ConfigurationError: It is no finite number.

    >>> second_of(60.5)
    60
    """
    return math.floor(_finite(moment))


def _finite(seconds: float) -> float:
    if not math.isfinite(seconds):
        raise ConfigurationError("A moment must be a finite number of seconds.", reason="bad_moment")
    return float(seconds)


class _Item(BaseModel):
    """A frozen value whose errors do not quote what was stored."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class SessionItem(_Item):
    """A session; see :class:`common.auth.security.stores.RefreshFamily`."""

    session: str
    generation: int
    token_id: str
    issued_at: int
    key_id: str
    rotated_at: Decimal
    user_id: str
    client_id: str
    epoch: int
    created_at: Decimal
    expires_at: int
    idle_expires_at: int
    revoked_at: Decimal | None = None
    scope: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    authenticated_at: int | None = None
    methods: tuple[str, ...] = ()


class UserSessionItem(_Item):
    """Says that a session is one of a user's. It never changes, so a rotation is a write of one item."""

    user_id: str
    session: str
    expires_at: int


class EpochItem(_Item):
    """How often all sessions of a user were ended. It never expires."""

    user_id: str
    epoch: int


class DeniedItem(_Item):
    """A token or a session that is refused before its time."""

    identifier: str
    expires_at: Decimal
    sweep_at: int


class LoginCounterItem(_Item):
    """The attempts of one bucket; see :class:`common.auth.security.stores.LoginCounter`."""

    bucket: str
    attempts: int
    blocked_until: Decimal
    expires_at: Decimal
    sweep_at: int


class ApiKeyItem(_Item):
    """An API key without its secret; see :class:`common.auth.security.stores.ApiKeyRecord`."""

    key_id: str
    owner: str
    digest: bytes
    scopes: tuple[str, ...] = ()
    created_at: Decimal
    expires_at: Decimal
    sweep_at: int
    revoked_at: Decimal | None = None
    last_used_at: Decimal | None = None


class NonceItem(_Item):
    """Something that was used once."""

    nonce: str
    expires_at: Decimal
    sweep_at: int


class AuditItem(_Item):
    """A line of an audit trail, byte for byte, and what it is found by."""

    stream: str
    seq: int
    line: bytes
    id: str
    time: datetime
    type: str
    user: str | None = None
    """Whom it is about: the subject, or who acted where there is no other subject."""
    request_id: str | None = None
    expires_at: datetime | None = None
