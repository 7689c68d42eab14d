"""Reads the gateway's assertion, and those of services that call on behalf of a user.

An assertion is a JWT of type ``ca-id+jwt``: ``iss`` (who signed), ``aud`` (this service, alone), ``sub``, ``roles``,
``scope``, ``src`` (who calls), ``rid`` (request id), ``iat``, ``exp``, ``jti``, and, where it is bound to one request,
``htm`` (method) and ``htp`` (SHA-256 of path and query, base64url). A service signs for the next one with its own key:
``act`` names the services in between, and ``org`` is the gateway's own assertion to the first of them. So a service can
hand on what it was given, and can neither widen it nor speak for a user whose request it never had.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from common.auth.exceptions import AssertionInvalid, InvalidClaim, TokenError, UnknownKey
from common.auth.gateway.identity import Evidence, Identity
from common.auth.gateway.trust import HeaderLimits
from common.auth.security.secrets import SecretStr
from common.auth.security.signing_keys import KeySource
from common.auth.security.token_claims import ClaimRules, actor_chain
from common.auth.security.token_format import TokenKind, TokenReader
from common.core.json_types import JSONValue

__all__ = ["AssertionReader", "path_hash"]

_REQUIRED = frozenset({"jti", "rid", "src"})
_Claims = Mapping[str, JSONValue]


def path_hash(target: bytes) -> str:
    """Return the claim ``htp`` for a path with its query: a path may tell a secret, its hash does not."""
    return urlsafe_b64encode(hashlib.sha256(target).digest()).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, slots=True)
class _Issuer:
    """Whose assertions are read, and by which rules."""

    name: str
    reader: TokenReader
    rules: ClaimRules


class AssertionReader:
    """Verifies assertions for one service. Safe to use from any thread; does no I/O.

    Args:
        service: Ours: what ``aud`` must be.
        gateway: The gateway's keys.
        peers: The keys of services that may call on behalf of a user; each ring's issuer is the service's name.
        roles: All that a user can have.
        sources: The values of ``src`` that the gateway may use.
        limits: Sizes and times.
    """

    def __init__(
        self,
        *,
        service: str,
        gateway: KeySource,
        peers: Sequence[KeySource],
        roles: frozenset[str],
        sources: frozenset[str],
        limits: HeaderLimits,
    ) -> None:
        self._gateway = _issuer(gateway, service, limits)
        self._peers = tuple(_issuer(peer, service, limits) for peer in peers)
        self._roles = roles
        self._sources = sources
        self._limits = limits

    def read(self, assertion: str, *, method: str, target: bytes, now: float) -> Identity:
        """Return the identity that *assertion* proves for this request at *now*, in seconds since the epoch.

        Raises:
            AssertionInvalid: It proves none; ``reason`` tells why.
        """
        issuer, claims = self._verified(assertion, now)
        self._check_binding(claims, method, target)
        if issuer is self._gateway:
            return self._from_gateway(assertion, claims)
        return self._from_peer(issuer, claims, now)

    def _verified(self, assertion: str, now: float) -> tuple[_Issuer, _Claims]:
        """Return the claims of *assertion*, and which of the issuers has signed it."""
        for issuer in (self._gateway, *self._peers):
            try:
                claims = issuer.reader.read(assertion)
                issuer.rules.check(claims, now)
            except UnknownKey:
                continue  # the key ids of another issuer are another matter
            except TokenError as error:
                raise AssertionInvalid(reason=error.reason) from error
            return issuer, claims
        raise AssertionInvalid(reason="unknown_kid")

    def _check_binding(self, claims: _Claims, method: str, target: bytes) -> None:
        bound_to = (claims.get("htm"), claims.get("htp"))
        if bound_to == (None, None):
            if self._limits.bound:
                raise AssertionInvalid(reason="not_bound")
        elif bound_to != (method, path_hash(target)):
            raise AssertionInvalid(reason="bound_to_another_request")

    def _from_gateway(self, assertion: str, claims: _Claims) -> Identity:
        if claims.get("src") not in self._sources:
            raise AssertionInvalid(reason="unknown_source")
        if "act" in claims or "org" in claims:
            raise AssertionInvalid(reason="delegation_by_gateway")
        return self._identity(claims, assertion=assertion)

    def _from_peer(self, peer: _Issuer, claims: _Claims, now: float) -> Identity:
        actors = cast("tuple[str, ...]", actor_chain(claims.get("act")))
        if not actors or actors[0] != peer.name or claims.get("src") != peer.name:
            raise AssertionInvalid(reason="wrong_actor")
        origin = claims.get("org")
        if not isinstance(origin, str):
            raise AssertionInvalid(reason="no_origin")
        identity = self._identity(claims, assertion=origin, actors=actors)
        _require_no_more(identity, self._origin(origin, actors[-1], now))
        return identity

    def _origin(self, assertion: str, audience: str, now: float) -> _Claims:
        """Return the claims of the gateway's assertion to *audience*, with which the delegation began."""
        try:
            claims = self._gateway.reader.read(assertion)
            issued = claims.get("iat")
            if not isinstance(issued, int | float) or abs(issued) > 2**53:
                raise AssertionInvalid(reason="origin_malformed_iat")
            # Judged as of its issue: it has expired as proof of a request, and is now proof of what was granted.
            replace(self._gateway.rules, audience=audience).check(claims, issued)
        except TokenError as error:
            raise AssertionInvalid(reason=f"origin_{error.reason}") from error
        if not -self._limits.leeway.total_seconds() <= now - issued <= self._limits.delegation.total_seconds():
            raise AssertionInvalid(reason="origin_too_old")
        return claims

    def _identity(self, claims: _Claims, *, assertion: str, actors: tuple[str, ...] = ()) -> Identity:
        roles = _roles(claims)
        if len(roles) > self._limits.roles or not roles <= self._roles:
            raise AssertionInvalid(reason="unknown_role")
        expires = cast("float", claims["exp"]) + self._limits.leeway.total_seconds()
        evidence = Evidence(f"{claims['iss']} {claims['jti']}", expires, SecretStr(assertion))
        try:
            return Identity(
                user_id=cast("str", claims["sub"]),
                roles=roles,
                request_id=cast("str", claims["rid"]),
                source=cast("str", claims["src"]),
                scope=_scope(claims),
                actors=actors,
                evidence=evidence,
            )
        except InvalidClaim as error:
            raise AssertionInvalid(reason=error.reason) from error


def _issuer(keys: KeySource, audience: str, limits: HeaderLimits) -> _Issuer:
    size = limits.assertion
    reader = TokenReader(keys=keys, typ=TokenKind.IDENTITY_ASSERTION.value, max_length=size, max_claims=size)
    rules = ClaimRules(
        issuer=keys.issuer, audience=audience, required=_REQUIRED, max_ttl=limits.ttl, leeway=limits.leeway
    )
    return _Issuer(keys.issuer, reader, rules)


def _require_no_more(identity: Identity, origin: _Claims) -> None:
    """Refuse what the gateway did not say: another user, another request, a role or scope that was not given."""
    if (identity.user_id, identity.request_id) != (origin.get("sub"), origin.get("rid")):
        raise AssertionInvalid(reason="origin_of_another_request")
    if not identity.roles <= _roles(origin) or not identity.scope <= _scope(origin):
        raise AssertionInvalid(reason="widened")


def _roles(claims: _Claims) -> frozenset[str]:
    return frozenset(cast("list[str]", claims.get("roles", [])))


def _scope(claims: _Claims) -> frozenset[str]:
    return frozenset(cast("str", claims.get("scope", "")).split())
