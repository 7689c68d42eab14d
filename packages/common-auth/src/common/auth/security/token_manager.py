"""Issues and validates access tokens (RFC 9068)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from common.auth.security.clock import SYSTEM, Clock
from common.auth.security.keys import KeyRing
from common.auth.security.token_claims import Claims
from common.core.json_types import JSONValue

__all__ = ["Actor", "ClaimSource", "IssuedToken", "TokenKind", "TokenManager", "TokenProfile"]


class TokenKind(str, Enum):
    """The kinds of token, by their header member ``typ``."""

    ACCESS = "at+jwt"
    REFRESH = "rt+jwt"
    IDENTITY_ASSERTION = "ca-id+jwt"
    ID = "JWT"
    LOGOUT = "logout+jwt"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts for the subject, and for whom in turn (claim ``act``, RFC 8693, section 4.1); at most 4 deep."""

    subject: str
    actor: "Actor | None" = None


class ClaimSource(Protocol):
    """Adds claims when a token is issued; made at start-up from the hook ``common_token_claims``."""

    @property
    def name(self) -> str:
        """The plugin's name, for error messages."""
        ...

    def __call__(self, subject: str, /) -> Mapping[str, JSONValue]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenProfile:
    """How tokens are issued and what is accepted."""

    access_ttl: timedelta = timedelta(minutes=15)
    max_ttl: timedelta = timedelta(minutes=15)
    leeway: timedelta = timedelta(seconds=10)
    client_id: str = "first-party"
    sources: frozenset[str] = frozenset()
    accept_audience_lists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A token and what its issuer needs to remember. ``repr`` does not show the token."""

    token: str = field(repr=False)
    token_id: str = field(repr=False)
    expires_at: datetime


class TokenManager:
    """Issues and validates the access tokens of one issuer for one audience."""

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        keys: KeyRing,
        profile: TokenProfile = TokenProfile(),
        claims: Sequence[ClaimSource] = (),
        clock: Clock = SYSTEM,
    ) -> None:
        raise NotImplementedError

    def create_access(
        self,
        subject: str,
        *,
        session: str,
        epoch: int,
        roles: Sequence[str] = (),
        scope: Sequence[str] = (),
        ttl: timedelta | None = None,
        actor: Actor | None = None,
        source: str | None = None,
        client_id: str | None = None,
        authenticated_at: datetime | None = None,
        methods: Sequence[str] = (),
    ) -> IssuedToken:
        """Issue an access token."""
        raise NotImplementedError

    def validate(self, token: str | bytes, *, kind: TokenKind = TokenKind.ACCESS) -> Claims:
        """Return the claims of *token*; pure computation, no I/O."""
        raise NotImplementedError
