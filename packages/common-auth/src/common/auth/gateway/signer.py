"""Signs what the gateway knows about a request, and what a service hands on to the next."""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta

from common.auth.exceptions import ConfigurationError
from common.auth.gateway.assertions import path_hash
from common.auth.gateway.hmac_ring import HmacRing
from common.auth.gateway.identity import MAX_ACTORS, SERVICE_FORM, Identity
from common.auth.gateway.mac import mac_of, request_target
from common.auth.gateway.plain_headers import headers_of
from common.auth.gateway.raw_headers import ASSERTION, REQUEST_ID, SIGNATURE
from common.auth.security.clock import SYSTEM, Clock, epoch_seconds
from common.auth.security.keys import KeyRing
from common.auth.security.token_format import TokenKind, write_token
from common.core.json_types import JSONValue

__all__ = ["GatewaySigner"]

_NONCE_BYTES = 16  # 128 bits: 22 characters of base64url
_LONGEST_TTL = timedelta(seconds=60)
_LONGEST_ASSERTION = 4096


class GatewaySigner:
    """Makes the identity headers of requests. Safe to use from any thread; does no I/O unless its key lives elsewhere.

    Args:
        keys: A :class:`~common.auth.security.keys.KeyRing` for assertions; its issuer is who signs: ``gateway``, or the
            name of a service that calls on behalf of users. An :class:`~common.auth.gateway.hmac_ring.HmacRing` of
            masters for MACs.
        ttl: Life of an assertion, at most 60 s. A MAC lives as long as the service's window.
        bound: Whether an assertion names the request's method and path, so that it fits no other.
        clock: The time.
        random: Returns that many random bytes.

    Raises:
        ConfigurationError: *ttl* is not 1 to 60 s.
    """

    def __init__(
        self,
        keys: KeyRing | HmacRing,
        *,
        ttl: timedelta = timedelta(seconds=30),
        bound: bool = True,
        clock: Clock = SYSTEM,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if not timedelta(seconds=1) <= ttl <= _LONGEST_TTL:
            raise ConfigurationError("GatewaySigner: ttl must be 1 to 60 s.", reason="bad_ttl")
        self._keys = keys
        self._ttl = ttl
        self._bound = bound
        self._clock = clock
        self._random = random

    @property
    def bound(self) -> bool:
        """Whether what is signed fits one method and path alone; a MAC always does."""
        return self._bound or isinstance(self._keys, HmacRing)

    def sign(self, identity: Identity, *, audience: str, method: str, raw_path: bytes) -> list[tuple[bytes, bytes]]:
        """Return the headers to set on a request to *audience*, after removing every identity header it came with.

        Args:
            identity: Whom the gateway has authenticated.
            audience: Name of the service that is called.
            method: As in the request line that will be sent.
            raw_path: Path and query as in that request line.

        Raises:
            ConfigurationError: *audience* is no name of a service, the assertion is too large, or no key may sign; or
                the headers cannot say what *identity* does: actors at all, and, with a MAC, scope or no role.
            KeySourceUnavailable: The signer of the key failed.
        """
        _require_service(audience)
        if identity.actors:
            raise ConfigurationError("Where services act for the user, use sign_outgoing().", reason="has_actors")
        if isinstance(self._keys, HmacRing):
            return self._with_mac(self._keys, identity, audience, method, request_target(raw_path))
        return self._with_assertion(self._keys, identity, audience, method, request_target(raw_path), {})

    def sign_outgoing(
        self, incoming: Identity, *, audience: str, method: str, raw_path: bytes
    ) -> list[tuple[bytes, bytes]]:
        """Return the headers to set on a request that this service makes on behalf of the user of *incoming*.

        The assertion is a new one, under this service's key, for *audience* alone. User, roles, scope and request id
        are those of *incoming*; this service is appended to those that act. What the service received is never sent
        on as such: the next one checks it as the ground of the new assertion, and refuses whatever goes beyond it.

        Args:
            incoming: As a validator in assertion mode returned it.
            audience: Name of the service that is called.
            method: As in the request line that will be sent.
            raw_path: Path and query as in that request line.

        Raises:
            ConfigurationError: *incoming* is not from such a validator, four services act already, or the keys are no
                service's; else as for :meth:`sign`.
        """
        _require_service(audience)
        evidence = incoming.evidence
        if isinstance(self._keys, HmacRing) or evidence is None or evidence.assertion is None:
            raise ConfigurationError(
                "sign_outgoing() needs this service's KeyRing, and an identity that a HeaderValidator in mode assertion "
                "returned for the incoming request.",
                reason="no_origin",
            )
        actors = (self._keys.issuer, *incoming.actors)
        if len(actors) > MAX_ACTORS:
            raise ConfigurationError(f"At most {MAX_ACTORS} services may act for a user.", reason="too_many_actors")
        outgoing = Identity(
            user_id=incoming.user_id,
            roles=incoming.roles,
            request_id=incoming.request_id,
            source=self._keys.issuer,
            scope=incoming.scope,
            actors=actors,
        )
        delegation: dict[str, JSONValue] = {"act": _act(actors), "org": evidence.assertion.reveal()}
        return self._with_assertion(self._keys, outgoing, audience, method, request_target(raw_path), delegation)

    def _with_assertion(
        self,
        keys: KeyRing,
        identity: Identity,
        audience: str,
        method: str,
        target: bytes,
        delegation: dict[str, JSONValue],
    ) -> list[tuple[bytes, bytes]]:
        now = int(epoch_seconds(self._clock))
        claims: dict[str, JSONValue] = {
            "iss": keys.issuer,
            "aud": audience,
            "sub": identity.user_id,
            "src": identity.source,
            "rid": identity.request_id,
            "iat": now,
            "exp": now + int(self._ttl.total_seconds()),
            "jti": self._nonce(),
            **delegation,
        }
        if identity.roles:
            claims["roles"] = sorted(identity.roles)
        if identity.scope:
            claims["scope"] = " ".join(sorted(identity.scope))
        if self._bound:
            claims |= {"htm": method, "htp": path_hash(target)}
        assertion = write_token(claims, typ=TokenKind.IDENTITY_ASSERTION.value, key=keys.active()).encode("ascii")
        if len(assertion) > _LONGEST_ASSERTION:
            raise ConfigurationError(
                f"The assertion takes {len(assertion)} bytes, and {_LONGEST_ASSERTION} are accepted. Give the user fewer roles.",
                reason="assertion_too_long",
            )
        return [(ASSERTION, assertion), (REQUEST_ID, identity.request_id.encode("ascii"))]

    def _with_mac(
        self, ring: HmacRing, identity: Identity, audience: str, method: str, target: bytes
    ) -> list[tuple[bytes, bytes]]:
        if identity.scope or not identity.roles:
            raise ConfigurationError(
                "A MAC covers at least one role and no scope. Use assertions.", reason="not_covered"
            )
        headers = headers_of(identity)
        kid, created, nonce = ring.active, int(epoch_seconds(self._clock)), self._nonce()
        mac = mac_of(
            ring.key(kid, audience),
            kid=kid,
            created=created,
            nonce=nonce,
            method=method,
            target=target,
            audience=audience,
            headers=dict(headers),
        )
        return [*headers, (SIGNATURE, b"v1.%b.%d.%b.%b" % (kid.encode(), created, nonce.encode(), mac))]

    def _nonce(self) -> str:
        return urlsafe_b64encode(self._random(_NONCE_BYTES)).rstrip(b"=").decode("ascii")

    def __repr__(self) -> str:
        return f"GatewaySigner({self._keys!r})"


def _act(actors: tuple[str, ...]) -> dict[str, JSONValue]:
    act: dict[str, JSONValue] = {"sub": actors[0]}
    if len(actors) > 1:
        act["act"] = _act(actors[1:])
    return act


def _require_service(audience: str) -> None:
    if not SERVICE_FORM.fullmatch(audience):
        raise ConfigurationError(
            f"The name of a service must match {SERVICE_FORM.pattern}.", reason="malformed_service"
        )
