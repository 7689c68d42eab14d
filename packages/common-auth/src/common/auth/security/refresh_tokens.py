"""Refresh tokens: signed like access tokens, of a kind of their own, and made again from what is stored.

They are signed so that a genuine token that is too old differs from a made-up one: only the former is evidence of theft,
and only it may end a session. Everything in a token follows from the stored family and the key, so the same token can be
made twice and none has to be kept (RFC 9700, section 4.14.2).
"""

from typing import Final, cast

from common.auth.exceptions import TokenExpired, TokenInvalid, UnknownKey
from common.auth.security.access_claims import authentication_claims, grant_claims
from common.auth.security.clock import Clock, epoch_seconds, moment
from common.auth.security.session_values import LONGEST_SESSION
from common.auth.security.signing_keys import SigningKey, SigningKeySource
from common.auth.security.stores import RefreshFamily, Successor
from common.auth.security.token_claims import ClaimRules, Claims
from common.auth.security.token_format import TokenKind, TokenReader, write_token
from common.core.json_types import JSONValue

__all__ = ["RefreshClaims", "RefreshTokens"]

_REQUIRED: Final = frozenset("iss sub aud client_id iat exp jti sid gen ver".split())  # noqa: SIM905


class RefreshClaims(Claims):
    """The checked claims of a refresh token: all that its successor needs but the successor's own id and times."""

    __slots__ = ()

    @property
    def generation(self) -> int:
        """The claim ``gen``: the place of the token in its session, from 1."""
        generation = self.members["gen"]
        if type(generation) is not int or generation < 1:
            raise TokenInvalid(reason="malformed_gen")
        return generation

    def succeeded_by(self, successor: Successor) -> RefreshFamily:
        """Return the family as it will be once *successor* is stored; its beginning is not in the token, and not told."""
        at = self.authenticated_at
        return RefreshFamily(
            session=str(self.session),
            generation=self.generation + 1,
            token_id=successor.token_id,
            issued_at=successor.issued_at,
            key_id=successor.key_id,
            rotated_at=successor.rotated_at,
            user_id=self.subject,
            client_id=str(self.client_id),
            epoch=self.epoch,
            created_at=0.0,
            expires_at=int(self.expires_at.timestamp()),
            idle_expires_at=successor.idle_expires_at,
            scope=tuple(str(self.members.get("scope", "")).split()),
            roles=tuple(cast("list[str]", self.members.get("roles", []))),
            authenticated_at=None if at is None else int(at.timestamp()),
            methods=self.methods,
        )


class RefreshTokens:
    """Writes and reads the refresh tokens of one issuer, who is their audience too.

    Args:
        keys: Sign and verify.
        rules: Those of the access tokens: issuer and leeway are the same.
        clock: The time.
    """

    def __init__(self, *, keys: SigningKeySource, rules: ClaimRules, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._reader = TokenReader(keys=keys, typ=TokenKind.REFRESH.value)
        self._rules = ClaimRules(
            issuer=rules.issuer,
            audience=rules.issuer,
            required=_REQUIRED,
            max_ttl=LONGEST_SESSION,
            leeway=rules.leeway,
        )

    def write(self, family: RefreshFamily) -> str:
        """Return the current token of *family*: the same octets each time where the algorithm is deterministic.

        Ed25519, RS* and HS* are; ES* and PS* give another signature over the same claims.

        Raises:
            KeySourceUnavailable: The signer failed.
            ConfigurationError: Neither the token's key nor another may sign now.
        """
        authenticated_at = None if family.authenticated_at is None else moment(family.authenticated_at)
        claims: dict[str, JSONValue] = {
            "iss": self._rules.issuer,
            "aud": self._rules.audience,
            "sub": family.user_id,
            "client_id": family.client_id,
            "iat": family.issued_at,
            "exp": family.expires_at,
            "jti": family.token_id,
            "sid": family.session,
            "gen": family.generation,
            "ver": family.epoch,
            **grant_claims(family.roles, family.scope),
            **authentication_claims(authenticated_at, family.methods),
        }
        return write_token(claims, typ=TokenKind.REFRESH.value, key=self.key_of(family))

    def key_of(self, family: RefreshFamily) -> SigningKey:
        """Return the key that signed the family's current token, or the active one where it is gone from this ring."""
        try:
            return self._keys.signer(family.key_id)
        except UnknownKey:
            return self._keys.active()

    def read(self, token: str | bytes) -> RefreshClaims:
        """Return the claims of *token*, whose signature is good; no claim is checked yet.

        Raises:
            TokenError: It is no refresh token of ours.
        """
        return RefreshClaims(self._reader.read(token))

    def check(self, claims: RefreshClaims) -> None:
        """Check what *claims* say.

        Raises:
            TokenExpired: The session's absolute end has come.
            TokenError: A claim is missing or malformed.
        """
        now = epoch_seconds(self._clock)
        self._rules.check(claims.members, now)
        if now >= claims.expires_at.timestamp():
            raise TokenExpired(reason="expired")  # no leeway: the issuer reads what it wrote itself
        _ = claims.generation
