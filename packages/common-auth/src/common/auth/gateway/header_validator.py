"""Decides whether a request may be believed about who is asking."""

import hmac
import logging
from collections.abc import Collection, Mapping, Sequence

from common.auth.doctor import Finding
from common.auth.exceptions import (
    AssertionInvalid,
    AssertionReplayed,
    ConfigurationError,
    HeaderMalformed,
    HeaderMissing,
    UnknownKey,
)
from common.auth.gateway.assertions import AssertionReader
from common.auth.gateway.hmac_ring import HmacRing
from common.auth.gateway.identity import ROLE_FORM, SERVICE_FORM, Evidence, Identity
from common.auth.gateway.mac import MacClaim, mac_of, parse_signature, request_target
from common.auth.gateway.plain_headers import HeaderGrammar, PlainHeaders
from common.auth.gateway.raw_headers import ASSERTION, SIGNATURE, RawHeaders, about, collect
from common.auth.gateway.replay import ReplayMemory
from common.auth.gateway.trust import USUAL_LIMITS, HeaderLimits, TrustMode
from common.auth.security.clock import SYSTEM, Clock, epoch_seconds
from common.auth.security.signing_keys import KeySource
from common.auth.security.stores import NonceStore

__all__ = ["HeaderLimits", "HeaderValidator", "TrustMode"]

_log = logging.getLogger("common.auth.gateway")


class HeaderValidator:
    """Validates the identity headers of requests to one service. Safe to use from any thread or event loop.

    Only :meth:`claim` does I/O: it holds a proof to be used once over all processes, where :meth:`validate` knows those of
    its own process.

    Args:
        mode: What proves that a request came through the gateway.
        service: Name of this service: what the gateway signs for.
        keys: The gateway's keys: a :class:`~common.auth.security.keys.KeyRing` in assertion mode, a
            :class:`~common.auth.gateway.hmac_ring.HmacRing` in HMAC mode, ``None`` for no proof.
        roles: All roles that a user can have; any other is refused.
        sources: The services that may call, as the gateway names them.
        peers: Assertion mode: the keys of services that may call this one on behalf of a user. The issuer of each is
            the service's name.
        nonces: Where all processes of the service remember which proofs were used; see :meth:`claim`. ``None`` leaves it
            to each process.
        limits: Sizes and times.
        environment: Where the service runs; ``insecure_trust`` is refused in ``production``, the default.
        clock: The time.

    Raises:
        ConfigurationError: The mode does not go with the keys or the environment, or a name breaks its grammar.

    >>> from common.auth.gateway.signer import GatewaySigner
    >>> from common.auth.security.keys import KeyRing, SigningKey
    >>> keys = KeyRing([SigningKey.generate()], issuer="gateway")
    >>> ada = Identity(user_id="u-1", roles=frozenset({"trader"}), request_id="0190163d-8694", source="gateway")
    >>> headers = GatewaySigner(keys).sign(ada, audience="orders", method="GET", raw_path=b"/orders?page=2")
    >>> orders = HeaderValidator(
    ...     mode=TrustMode.ASSERTION, service="orders", keys=keys, roles={"trader"}, sources={"gateway"}
    ... )
    >>> orders.validate("GET", b"/orders?page=2", headers) == ada
    True
    """

    def __init__(
        self,
        *,
        mode: TrustMode,
        service: str,
        keys: KeySource | HmacRing | None,
        roles: Collection[str],
        sources: Collection[str],
        peers: Sequence[KeySource] = (),
        nonces: NonceStore | None = None,
        limits: HeaderLimits = USUAL_LIMITS,
        environment: str = "production",
        clock: Clock = SYSTEM,
    ) -> None:
        self.mode = _mode(mode)
        self.service = _name(service)
        self._limits = limits
        self._clock = clock
        self._replays = ReplayMemory(limits.nonces)
        self._nonces = nonces
        known_sources = frozenset(map(_name, sources)) | {_name(peer.issuer) for peer in peers}
        self._grammar = HeaderGrammar(_roles(roles), known_sources, limits.roles)
        self._ring: HmacRing | None = None
        self._assertions: AssertionReader | None = None
        if self.mode is TrustMode.ASSERTION:
            self._assertions = AssertionReader(
                service=service,
                gateway=_key_source(keys),
                peers=peers,
                roles=self._grammar.roles,
                sources=frozenset(sources),
                limits=limits,
            )
        elif peers:
            raise ConfigurationError("Peers sign assertions: use mode assertion.", reason="peers_need_assertions")
        elif self.mode is TrustMode.HMAC:
            self._ring = _hmac_ring(keys)
        else:
            _warn_of_insecure_trust(environment, service, nonces)

    def validate(self, method: str, raw_path: bytes, headers: RawHeaders) -> Identity:
        """Return who is asking.

        Args:
            method: As in the request line.
            raw_path: Path and query as in the request line, still percent-encoded.
            headers: All headers of the request, raw, in order.

        Raises:
            HeaderMissing: An identity header or assertion is absent.
            HeaderSpoofed: An identity header occurs twice, joined, or under a look-alike name.
            HeaderMalformed: One breaks its grammar.
            AssertionInvalid: The assertion or MAC does not hold for this request, or a plain header differs from it.
            AssertionReplayed: It has been used before.
        """
        found = collect(headers, most=self._limits.headers, longest_assertion=self._limits.assertion)
        plain = self._grammar.read(found)
        now = epoch_seconds(self._clock)
        target = request_target(raw_path)
        if self._assertions is not None:
            identity = self._by_assertion(self._assertions, found, plain, method, target, now)
        elif self._ring is not None:
            identity = self._by_mac(self._ring, found, plain, method, target, now)
        else:
            identity = _proven(plain, None)
        if identity.evidence is not None and not self._replays.is_first_use(
            identity.evidence.replay_key, expires=identity.evidence.expires, now=now
        ):
            raise AssertionReplayed(reason="replayed")
        return identity

    @property
    def is_strict(self) -> bool:
        """Whether each identity has to be claimed before it counts."""
        return self._nonces is not None

    def claim(self, identity: Identity) -> None:
        """Use up the proof of *identity*, which :meth:`validate` has returned, in all processes of the service.

        One conditional write to the store of nonces. Blocks: not for an event loop; the middleware calls it on a thread.

        Raises:
            AssertionReplayed: Another process, or this one, has claimed it before.
            StoreUnavailable: The store does not answer. The request is not to be served.
            ConfigurationError: There is no store.
        """
        if self._nonces is None:
            raise ConfigurationError(
                "Nothing remembers what was used: give HeaderValidator a store as nonces=.", reason="no_nonces"
            )
        evidence = identity.evidence
        if evidence is None:
            raise AssertionInvalid(reason="unproven")
        name = f"{self.service} {evidence.replay_key}"
        if not self._nonces.claim(name, expires_at=evidence.expires, now=epoch_seconds(self._clock)):
            raise AssertionReplayed(reason="replayed_elsewhere")

    def is_unclaimed(self, headers: RawHeaders) -> bool:
        """Tell whether *headers* say nothing about who is asking, as on an endpoint that is open to everybody.

        A request id and a source claim no identity.

        Raises:
            HeaderSpoofed: As for :meth:`validate`.
            HeaderMalformed: As for :meth:`validate`.
        """
        found = collect(headers, most=self._limits.headers, longest_assertion=self._limits.assertion)
        plain = self._grammar.read(found)
        return plain.user_id is None and plain.roles is None and found.keys().isdisjoint((ASSERTION, SIGNATURE))

    def weaknesses(self) -> tuple[Finding, ...]:
        """Return what :func:`common.auth.doctor.doctor` tells about the mode and the limits."""
        found = []
        if self.mode is TrustMode.INSECURE_TRUST:
            found.append(Finding("gateway", "insecure_trust", "Whoever reaches the service is whoever they say."))
        if self.mode is TrustMode.HMAC:
            found.append(Finding("gateway", "shared_key", "The service could sign for itself. Assertions are one-way."))
        if self.mode is TrustMode.ASSERTION and not self._limits.bound:
            found.append(
                Finding("gateway", "unbound", "Assertions fit any request. Bind them: HeaderLimits(bound=True).")
            )
        return tuple(found)

    def __repr__(self) -> str:
        return f"HeaderValidator(mode={self.mode.value!r}, service={self.service!r})"

    def _by_assertion(
        self,
        reader: AssertionReader,
        found: Mapping[bytes, bytes],
        plain: PlainHeaders,
        method: str,
        target: bytes,
        now: float,
    ) -> Identity:
        assertion = found.get(ASSERTION)
        if assertion is None:
            raise HeaderMissing(reason="assertion_missing", details=about(ASSERTION))
        if not assertion.isascii():
            raise HeaderMalformed(reason="malformed_assertion", details=about(ASSERTION))
        identity = reader.read(assertion.decode("ascii"), method=method, target=target, now=now)
        difference = plain.first_difference(identity)
        if difference is not None:
            raise AssertionInvalid(reason="header_mismatch", details=about(difference))
        return identity

    def _by_mac(
        self,
        ring: HmacRing,
        found: Mapping[bytes, bytes],
        plain: PlainHeaders,
        method: str,
        target: bytes,
        now: float,
    ) -> Identity:
        claim = _mac_claim(found, plain)
        window = self._limits.window.total_seconds()
        if abs(now - claim.created) > window:
            raise AssertionInvalid(reason="outside_window")
        try:
            key = ring.key(claim.kid, self.service)
        except UnknownKey as error:
            raise AssertionInvalid(reason="unknown_kid") from error
        expected = mac_of(
            key,
            kid=claim.kid,
            created=claim.created,
            nonce=claim.nonce,
            method=method,
            target=target,
            audience=self.service,
            headers=found,
        )
        if not hmac.compare_digest(expected, claim.mac):
            raise AssertionInvalid(reason="bad_mac")
        return _proven(plain, Evidence(f"{claim.kid} {claim.nonce}", claim.created + window))


def _mac_claim(found: Mapping[bytes, bytes], plain: PlainHeaders) -> MacClaim:
    signature = found.get(SIGNATURE)
    missing = SIGNATURE if signature is None else plain.first_missing()
    if signature is None or missing is not None:
        raise HeaderMissing(reason="header_missing", details=about(missing or SIGNATURE))
    claim = parse_signature(signature)
    if claim is None:
        raise HeaderMalformed(reason="malformed_signature", details=about(SIGNATURE))
    return claim


def _proven(plain: PlainHeaders, evidence: Evidence | None) -> Identity:
    if plain.user_id is None or plain.roles is None or plain.request_id is None or plain.source is None:
        raise HeaderMissing(reason="header_missing", details=about(plain.first_missing() or b""))
    return Identity(
        user_id=plain.user_id,
        roles=plain.roles,
        request_id=plain.request_id,
        source=plain.source,
        evidence=evidence,
    )


def _mode(mode: TrustMode) -> TrustMode:
    try:
        return TrustMode(mode)
    except ValueError:
        raise ConfigurationError(
            f"HeaderValidator: mode must be one of {', '.join(TrustMode)}. There is no default.", reason="no_mode"
        ) from None


def _name(service: str) -> str:
    if not SERVICE_FORM.fullmatch(service):
        raise ConfigurationError(
            f"The name of a service must match {SERVICE_FORM.pattern}.", reason="malformed_service"
        )
    return service


def _roles(roles: Collection[str]) -> frozenset[str]:
    if isinstance(roles, str) or not all(ROLE_FORM.fullmatch(role) for role in roles):
        raise ConfigurationError(f"roles must be a set of names matching {ROLE_FORM.pattern}.", reason="malformed_role")
    return frozenset(roles)


def _key_source(keys: KeySource | HmacRing | None) -> KeySource:
    if keys is None or isinstance(keys, HmacRing):
        raise ConfigurationError("Mode assertion needs the gateway's KeyRing as keys.", reason="wrong_keys")
    return keys


def _hmac_ring(keys: KeySource | HmacRing | None) -> HmacRing:
    if not isinstance(keys, HmacRing):
        raise ConfigurationError("Mode hmac needs an HmacRing as keys.", reason="wrong_keys")
    return keys


def _warn_of_insecure_trust(environment: str, service: str, nonces: NonceStore | None) -> None:
    if nonces is not None:
        raise ConfigurationError("Without proof nothing is used up: leave nonces= out.", reason="nothing_to_claim")
    if environment.lower() in ("production", "prod"):
        raise ConfigurationError(
            "Mode insecure_trust is refused in production. Use assertion, or say where this runs: environment='development'.",
            reason="insecure_trust",
        )
    _log.warning(
        "Service %r trusts identity headers WITHOUT PROOF (mode insecure_trust, environment %r): whoever reaches it is "
        "whoever they say.",
        service,
        environment,
    )
