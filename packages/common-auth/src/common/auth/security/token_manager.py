"""Issues and validates access tokens (RFC 9068), for one issuer and one audience."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from common.auth.doctor import Finding
from common.auth.exceptions import ConfigurationError, InvalidClaim
from common.auth.security.access_claims import (
    Actor,
    authentication_claims,
    client_name,
    delegation_claims,
    grant_claims,
    identity_claims,
)
from common.auth.security.claim_sources import ClaimSource, NamedClaims, TokenSubject, claim_sources, gather_claims
from common.auth.security.clock import SYSTEM, Clock, epoch_seconds, moment
from common.auth.security.jwk import base64url
from common.auth.security.keys import KeyRing
from common.auth.security.token_claims import PRINTABLE, ClaimRules, Claims
from common.auth.security.token_format import TokenKind, TokenReader, write_token
from common.core.json_types import JSONValue

__all__ = [
    "Actor",
    "ClaimSource",
    "Claims",
    "IssuedToken",
    "NamedClaims",
    "TokenKind",
    "TokenManager",
    "TokenProfile",
    "TokenSubject",
    "claim_sources",
]

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


class TokenManager:
    """Issues and validates the access tokens of one issuer for one audience. Safe to use from any thread.

    Args:
        issuer: The claim ``iss``: the same that *keys* belong to.
        audience: The claim ``aud``: the service or API that the tokens are for.
        keys: Sign and verify.
        profile: Times and limits.
        claims: Claims that plugins add; see :func:`claim_sources`.
        clock: The time.
        entropy: Returns that many random bytes.

    Raises:
        ConfigurationError: *keys* belong to another issuer, or a limit is out of its range.

    >>> from common.auth.security.keys import SigningKey
    >>> keys = KeyRing([SigningKey.generate("EdDSA")], issuer="https://id.example")
    >>> tokens = TokenManager(issuer="https://id.example", audience="orders", keys=keys)
    >>> issued = tokens.create_access("u-1", session="s-1", epoch=0, roles=["trader"])
    >>> tokens.validate(issued.token).roles
    frozenset({'trader'})
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        keys: KeyRing,
        profile: TokenProfile = TokenProfile(),
        claims: Sequence[ClaimSource] = (),
        clock: Clock = SYSTEM,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if keys.issuer != issuer:
            raise ConfigurationError(
                f"The keys belong to issuer {keys.issuer!r}, not to {issuer!r}. Give each issuer its own ring.",
                reason="foreign_keys",
            )
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._profile = profile
        self._sources = tuple(claims)
        self._clock = clock
        self._entropy = entropy
        self._reader = TokenReader(keys=keys, typ=TokenKind.ACCESS.value)
        self._rules = ClaimRules(
            issuer=issuer,
            audience=audience,
            required=profile.required,
            max_ttl=profile.max_ttl,
            leeway=profile.leeway,
            sources=profile.sources,
            accept_audience_lists=profile.accept_audience_lists,
        )

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
        """Issue an access token (RFC 9068, section 2.2).

        Args:
            subject: An opaque user id: 1 to 255 printable ASCII characters without spaces.
            session: The id of the session, of the same form.
            epoch: The user's session counter, not negative.
            roles: Role names, each of the same form.
            scope: Scopes (RFC 6749, section 3.3).
            ttl: Its life; by default the profile's ``access_ttl``, never over ``max_ttl``.
            actor: Who acts for the subject; at most 4 deep.
            source: The service that obtains the token; one of the profile's ``sources``.
            client_id: The client; by default the profile's.
            authenticated_at: When the user last proved who they are; aware.
            methods: How (RFC 8176), such as ``("pwd", "otp")``.

        Raises:
            InvalidClaim: An argument is malformed, or the claims are too many. Nothing was issued.
            ClaimsUnavailable: A plugin raised. Nothing was issued.
            ConfigurationError: A plugin set a claim that is not its own, or no key may sign now.
            KeySourceUnavailable: The signer failed.
        """
        now = int(epoch_seconds(self._clock))
        expires = now + self._lifetime(ttl)
        client = client_name(self._profile.client_id if client_id is None else client_id)
        token_id = base64url(self._entropy(_TOKEN_ID_BYTES))
        claims: dict[str, JSONValue] = {
            "iss": self._issuer,
            "aud": self._audience,
            "client_id": client,
            "iat": now,
            "nbf": now,
            "exp": expires,
            "jti": token_id,
            **identity_claims(subject, session, epoch),
            **grant_claims(roles, scope),
            **authentication_claims(authenticated_at, methods),
            **delegation_claims(actor, source, self._profile.sources),
        }
        described = TokenSubject(
            id=subject, audience=self._audience, client_id=client, roles=tuple(roles), scope=tuple(scope)
        )
        claims.update(gather_claims(self._sources, described))
        token = write_token(claims, typ=TokenKind.ACCESS.value, key=self._keys.active())
        return IssuedToken(token=token, token_id=token_id, expires_at=moment(expires))

    def _lifetime(self, ttl: timedelta | None) -> int:
        lifetime = self._profile.access_ttl if ttl is None else ttl
        if not timedelta(seconds=1) <= lifetime <= self._profile.max_ttl:
            raise InvalidClaim("A token lives from one second up to the profile's max_ttl.", reason="bad_ttl")
        return int(lifetime.total_seconds())

    def validate(self, token: str | bytes, *, kind: TokenKind = TokenKind.ACCESS) -> Claims:
        """Return the claims of *token*. Pure computation: no I/O, nothing is looked up but the key in memory.

        Args:
            token: The compact form, as it stood in the ``Authorization`` header behind ``Bearer``.
            kind: What the token must be. Access tokens are the only kind that is validated here.

        Raises:
            TokenExpired: Its time is over.
            TokenNotYetValid: Its time has not begun.
            TokenWrongType: It is a token of another kind.
            TokenInvalid: Anything else; outward all four look alike, and ``reason`` is for the audit trail.
            ConfigurationError: *kind* is not an access token.
        """
        if kind is not TokenKind.ACCESS:
            raise ConfigurationError(f"Tokens of kind {kind!s} are not validated here.", reason="unsupported_kind")
        claims = self._reader.read(token)
        self._rules.check(claims, epoch_seconds(self._clock))
        return Claims(claims)

    def weaknesses(self) -> tuple[Finding, ...]:
        """Return what :func:`common.auth.doctor.doctor` tells about the profile."""
        usual, found = TokenProfile(), []
        if self._profile.max_ttl > usual.max_ttl:
            found.append(
                Finding("tokens", "long_lived", "A stolen token works until it expires. Keep max_ttl at 15 min.")
            )
        if self._profile.leeway > usual.leeway:
            found.append(Finding("tokens", "wide_leeway", "Expired tokens work longer. Set the clocks right instead."))
        if self._profile.accept_audience_lists:
            found.append(Finding("tokens", "shared_audience", "Other receivers of a token can show it here."))
        if not self._profile.required >= _REQUIRED:
            found.append(Finding("tokens", "fewer_claims", "Tokens without jti, sid or ver cannot be revoked."))
        return tuple(found)

    def __repr__(self) -> str:
        return f"TokenManager(issuer={self._issuer!r}, audience={self._audience!r})"
