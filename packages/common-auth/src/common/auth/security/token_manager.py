"""Issues and validates access tokens (RFC 9068), for one issuer and one audience."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from common.auth.doctor import Finding
from common.auth.exceptions import ConfigurationError
from common.auth.security.access_claims import Actor
from common.auth.security.access_tokens import AccessTokens, IssuedToken, TokenProfile
from common.auth.security.claim_sources import ClaimSource, NamedClaims, TokenSubject, claim_sources
from common.auth.security.clock import SYSTEM, Clock, epoch_seconds
from common.auth.security.signing_keys import SigningKeySource
from common.auth.security.token_claims import ClaimRules, Claims
from common.auth.security.token_format import TokenKind, TokenReader

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

_USUAL: Final = TokenProfile()


class TokenManager:
    """Issues and validates the access tokens of one issuer for one audience. Safe to use from any thread.

    Args:
        issuer: The claim ``iss``: the same that *keys* belong to.
        audience: The claim ``aud``: the service or API that the tokens are for.
        keys: Sign and verify; a :class:`~common.auth.security.remote_jwks.RemoteJWKS` only verifies.
        profile: Times and limits.
        claims: Claims that plugins add; see :func:`claim_sources`.
        clock: The time.
        entropy: Returns that many random bytes.

    Raises:
        ConfigurationError: *keys* belong to another issuer, or a limit is out of its range.

    >>> from common.auth.security.keys import KeyRing, SigningKey
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
        keys: SigningKeySource,
        profile: TokenProfile = _USUAL,
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
        self._clock = clock
        self._access = AccessTokens(
            issuer=issuer, audience=audience, keys=keys, profile=profile, claims=claims, clock=clock, entropy=entropy
        )
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
        return self._access.issue(
            subject,
            session=session,
            epoch=epoch,
            roles=roles,
            scope=scope,
            ttl=ttl,
            actor=actor,
            source=source,
            client_id=client_id,
            authenticated_at=authenticated_at,
            methods=methods,
        )

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
        if not self._profile.required >= usual.required:
            found.append(Finding("tokens", "fewer_claims", "Tokens without jti, sid or ver cannot be revoked."))
        return tuple(found)

    def __repr__(self) -> str:
        return f"TokenManager(issuer={self._issuer!r}, audience={self._audience!r})"
