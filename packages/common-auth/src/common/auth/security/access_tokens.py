"""Makes the access tokens of one issuer for one audience (RFC 9068, section 2.2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from common.auth.exceptions import ConfigurationError, InvalidClaim
from common.auth.security.access_claims import (
    Actor,
    authentication_claims,
    client_name,
    delegation_claims,
    grant_claims,
    identity_claims,
)
from common.auth.security.claim_sources import ClaimSource, TokenSubject, gather_claims
from common.auth.security.clock import Clock, epoch_seconds, moment
from common.auth.security.jwk import base64url
from common.auth.security.signing_keys import SigningKey, SigningKeySource
from common.auth.security.token_claims import PRINTABLE
from common.auth.security.token_format import TokenKind, write_token
from common.core.json_types import JSONValue

__all__ = ["AccessTokens", "IssuedToken", "TokenProfile", "new_token_id"]

_REQUIRED: Final = frozenset("iss sub aud client_id iat nbf exp jti sid ver".split())  # noqa: SIM905
_TOKEN_ID_BYTES: Final = 16  # 128 bits: two of 10^9 tokens coincide once in 10^20


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenProfile:
    """How tokens are issued and what is accepted.

    Raises:
        ConfigurationError: ``access_ttl`` is not above zero or is over ``max_ttl``, or the client id is malformed.
    """

    access_ttl: timedelta = timedelta(minutes=15)
    """How long an access token lives unless told otherwise."""
    max_ttl: timedelta = timedelta(minutes=15)
    """The longest life that is issued or accepted."""
    leeway: timedelta = timedelta(seconds=10)
    """How far clocks may differ; at most 60 s."""
    client_id: str = "first-party"
    """The claim ``client_id`` of tokens whose client is not named."""
    required: frozenset[str] = _REQUIRED
    """Claims without which a token is refused. Another issuer's tokens may lack ``sid``, ``ver`` and ``nbf``."""
    sources: frozenset[str] = frozenset()
    """The services that may stand in ``azp``."""
    accept_audience_lists: bool = False
    """Accept tokens that are meant for others beside us."""

    def __post_init__(self) -> None:
        if not timedelta(0) < self.access_ttl <= self.max_ttl:
            raise ConfigurationError("access_ttl must be above zero and at most max_ttl.", reason="bad_profile")
        if not PRINTABLE.fullmatch(self.client_id):
            raise ConfigurationError(f"client_id must match {PRINTABLE.pattern}.", reason="bad_profile")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A token, and what its issuer may want to remember. ``repr`` shows neither the token nor its id."""

    token: str = field(repr=False)
    token_id: str = field(repr=False)
    """The claim ``jti``."""
    expires_at: datetime


def new_token_id(entropy: Callable[[int], bytes]) -> str:
    """Return a token or session id: 128 random bits in base64url."""
    return base64url(entropy(_TOKEN_ID_BYTES))


class AccessTokens:
    """Signs access tokens. Same arguments as :class:`~common.auth.security.token_manager.TokenManager`."""

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        keys: SigningKeySource,
        profile: TokenProfile,
        claims: Sequence[ClaimSource],
        clock: Clock,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._profile = profile
        self._sources = tuple(claims)
        self._clock = clock
        self._entropy = entropy

    def issue(
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
        token_id: str | None = None,
        issued_at: int | None = None,
        key: SigningKey | None = None,
    ) -> IssuedToken:
        """Same as :meth:`~common.auth.security.token_manager.TokenManager.create_access` but for the last three.

        Args:
            token_id: The claim ``jti``; by default 128 random bits.
            issued_at: The claim ``iat``, in seconds since the epoch; by default now.
            key: Signs; by default the active key.
        """
        issued = int(epoch_seconds(self._clock)) if issued_at is None else issued_at
        expires = issued + self._lifetime(ttl)
        client = client_name(self._profile.client_id if client_id is None else client_id)
        named = new_token_id(self._entropy) if token_id is None else token_id
        claims: dict[str, JSONValue] = {
            "iss": self._issuer,
            "aud": self._audience,
            "client_id": client,
            **_times(issued, expires),
            "jti": named,
            **identity_claims(subject, session, epoch),
            **grant_claims(roles, scope),
            **authentication_claims(authenticated_at, methods),
            **delegation_claims(actor, source, self._profile.sources),
        }
        described = TokenSubject(
            id=subject, audience=self._audience, client_id=client, roles=tuple(roles), scope=tuple(scope)
        )
        claims.update(gather_claims(self._sources, described))
        token = write_token(claims, typ=TokenKind.ACCESS.value, key=key or self._keys.active())
        return IssuedToken(token=token, token_id=named, expires_at=moment(expires))

    def _lifetime(self, ttl: timedelta | None) -> int:
        lifetime = self._profile.access_ttl if ttl is None else ttl
        if not timedelta(seconds=1) <= lifetime <= self._profile.max_ttl:
            raise InvalidClaim("A token lives from one second up to the profile's max_ttl.", reason="bad_ttl")
        return int(lifetime.total_seconds())


def _times(issued: int, expires: int) -> dict[str, JSONValue]:
    return {"iat": issued, "nbf": issued, "exp": expires}
