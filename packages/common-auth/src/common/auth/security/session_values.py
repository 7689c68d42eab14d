"""What sessions are made by, and what is told about them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from common.auth.exceptions import ConfigurationError
from common.auth.security.clock import moment
from common.auth.security.stores import RefreshFamily

__all__ = ["LONGEST_SESSION", "Freshness", "SessionInfo", "SessionProfile", "TokenPair"]

LONGEST_SESSION: Final = timedelta(days=366)
_LONGEST_GRACE: Final = timedelta(seconds=60)


class Freshness(StrEnum):
    """How much an endpoint wants to know about revocation before it trusts a token."""

    NONE = "none"
    """Nothing: the token counts until it expires. No I/O."""
    CACHED = "cached"
    """What this process has learnt within the cache time, 30 s at most. Mostly no I/O."""
    STRICT = "strict"
    """What is true now: a consistent read for each request. For payments, roles, passwords."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionProfile:
    """How long sessions last.

    Raises:
        ConfigurationError: A time is out of its range.
    """

    absolute: timedelta = timedelta(days=30)
    """From the login to the end, whatever happens; at most 366 days (OWASP ASVS 5.0, 7.3.2)."""
    idle: timedelta = timedelta(days=7)
    """From one renewal to the end where no other follows (7.3.1)."""
    grace: timedelta = timedelta(seconds=10)
    """How long the token before the current one gets the same successor again, for clients whose answer was lost; at
    most 60 s, and zero for none."""

    def __post_init__(self) -> None:
        if not timedelta(seconds=1) <= self.idle <= self.absolute <= LONGEST_SESSION:
            raise ConfigurationError(
                "Sessions need 1 second <= idle <= absolute <= 366 days.", reason="bad_session_profile"
            )
        if not timedelta(0) <= self.grace <= _LONGEST_GRACE:
            raise ConfigurationError("The grace window must be 0 to 60 seconds.", reason="bad_session_profile")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """What a client gets at a login and at each renewal. ``repr`` shows neither token nor session id."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    session: str = field(repr=False)
    """The session id."""
    expires_at: datetime
    """When the access token expires."""
    session_expires_at: datetime
    """When the session ends whatever happens."""
    scope: tuple[str, ...] = ()
    """What the access token grants (RFC 6749, section 5.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """A session, as its user may see it."""

    session: str = field(repr=False)
    """The session id: names it, and grants nothing."""
    client_id: str
    created_at: datetime
    last_used_at: datetime
    """When it was last renewed, or began."""
    expires_at: datetime
    """When it ends, unless it is renewed before and is not at its absolute end."""
    methods: tuple[str, ...] = ()
    """How the user was authenticated (RFC 8176)."""

    @classmethod
    def of(cls, family: RefreshFamily) -> "SessionInfo":
        """Return what is told about *family*."""
        return cls(
            session=family.session,
            client_id=family.client_id,
            created_at=moment(family.created_at),
            last_used_at=moment(family.rotated_at),
            expires_at=moment(min(family.expires_at, family.idle_expires_at)),
            methods=family.methods,
        )
