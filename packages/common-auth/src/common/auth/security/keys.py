"""The keys of one issuer, and which of them counts when.

What state a key is in follows from the clock alone, so all processes that load one ring agree without talking:

======== =============================================== ===== ========
state    when                                            signs verifies
======== =============================================== ===== ========
pending  before ``not_before``                           no    yes
active   of the signing keys in force, the last to begin yes   yes
retiring in force, and a later key is active             no    yes
revoked  flagged, or from ``retire_at`` on               no    no
======== =============================================== ===== ========
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from math import inf

from common.auth.doctor import Finding
from common.auth.exceptions import ConfigurationError, UnknownKey
from common.auth.security.algorithms import ALGORITHMS, DEFAULT_ALGORITHMS, algorithm_named
from common.auth.security.clock import SYSTEM, Clock, epoch_seconds, moment
from common.auth.security.jwk import public_members
from common.auth.security.secrets import SecretBytes
from common.auth.security.signing_keys import KeySource, Signer, SigningKey, VerificationKey
from common.core.json_types import JSONValue

__all__ = ["KeyRing", "KeySource", "KeyState", "Signer", "SigningKey", "VerificationKey"]


class KeyState(StrEnum):
    """What a key may do now."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRING = "retiring"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class _Entry:
    key: VerificationKey
    signing: SigningKey | None
    begins: float
    ends: float

    @classmethod
    def of(cls, key: SigningKey | VerificationKey) -> "_Entry":
        signing = key if isinstance(key, SigningKey) else None
        verification = key.verification if isinstance(key, SigningKey) else key
        begins = -inf if verification.not_before is None else verification.not_before.timestamp()
        ends = inf if verification.retire_at is None else verification.retire_at.timestamp()
        return cls(verification, signing, begins, -inf if verification.revoked else ends)

    def changed(self, **changes: object) -> SigningKey | VerificationKey:
        verification = replace(self.key, **changes)  # type: ignore[arg-type]
        return verification if self.signing is None else replace(self.signing, verification=verification)


class KeyRing:
    """The keys of one issuer. Immutable: :meth:`rotate` and :meth:`revoke` return a new ring.

    Args:
        keys: At least one; key ids are unique.
        issuer: Whose keys these are: the ``iss`` of the tokens.
        algorithms: Those that the keys may have.
        allow_symmetric: Permit HS256, HS384 and HS512, and nothing beside them (OWASP ASVS 5.0, 9.1.2): whoever can
            verify can then also sign.
        max_age: How long others may cache :meth:`public_jwks`; a new key is published this long before it signs.
        clock: Tells which keys are in force.

    Raises:
        ConfigurationError: No key, no issuer, two keys with one id, two signing keys that begin together, symmetric
            beside asymmetric keys, or an algorithm that is not permitted.

    >>> ring = KeyRing([SigningKey.generate("EdDSA", kid="k1")], issuer="https://id.example")
    >>> ring.active().kid, ring.state("k1").value
    ('k1', 'active')
    """

    def __init__(
        self,
        keys: Iterable[SigningKey | VerificationKey],
        *,
        issuer: str,
        algorithms: Collection[str] = DEFAULT_ALGORITHMS,
        allow_symmetric: bool = False,
        max_age: timedelta = timedelta(hours=1),
        clock: Clock = SYSTEM,
    ) -> None:
        entries = tuple(_Entry.of(key) for key in keys)
        permitted = {algorithm_named(name).name for name in algorithms}
        _require_permitted(entries, permitted, allow_symmetric=allow_symmetric)
        _require_unambiguous(entries)
        if not issuer or max_age < timedelta(0):
            raise ConfigurationError(
                "A key ring needs an issuer, and a max_age that is not negative.", reason="bad_ring"
            )
        self._entries: Mapping[str, _Entry] = {entry.key.kid: entry for entry in entries}
        self._issuer = issuer
        self._algorithms = frozenset(permitted)
        self._allow_symmetric = allow_symmetric
        self._max_age = max_age
        self._clock = clock

    @classmethod
    def from_jwks(
        cls,
        document: Mapping[str, object],
        *,
        issuer: str,
        algorithms: Collection[str] = DEFAULT_ALGORITHMS,
        alg: str | None = None,
        clock: Clock = SYSTEM,
    ) -> "KeyRing":
        """Read a JWK set (RFC 7517, section 5) that verifies the tokens of *issuer*. Private members are not looked at.

        Args:
            document: The parsed JSON. One unusable key refuses the whole set.
            issuer: Whose keys these are.
            algorithms: Those that the keys may have.
            alg: The JWS algorithm of RSA keys that do not name theirs.
            clock: Tells which keys are in force.

        Raises:
            WeakKey: A key is not for signatures, is damaged or weak.
            ConfigurationError: This is no JWK set, or the keys do not go together.
        """
        members = document.get("keys") if isinstance(document, Mapping) else None
        if not isinstance(members, list) or not all(isinstance(member, Mapping) for member in members):
            raise ConfigurationError('This is no JWK set: its member "keys" is no list of objects.', reason="no_jwks")
        keys = [VerificationKey.from_jwk(member, alg=alg) for member in members]
        return cls(keys, issuer=issuer, algorithms=algorithms, clock=clock)

    @property
    def issuer(self) -> str:
        """Whose keys these are: the ``iss`` of the tokens."""
        return self._issuer

    @property
    def cache_control(self) -> str:
        """The value of ``Cache-Control`` for the answer that carries :meth:`public_jwks`."""
        return f"public, max-age={int(self._max_age.total_seconds())}"

    def active(self) -> SigningKey:
        """Return the key that signs now.

        Raises:
            ConfigurationError: None may: all are pending or revoked, or the ring only verifies.
        """
        entry = self._active(epoch_seconds(self._clock))
        if entry is None or entry.signing is None:
            raise ConfigurationError(
                f"No key of issuer {self._issuer!r} may sign now. Add a SigningKey whose not_before has come.",
                reason="no_active_signer",
            )
        return entry.signing

    def signer(self, kid: str) -> SigningKey:
        """Return the key *kid* to sign once more what it has signed before; a retiring one signs nothing new.

        Raises:
            UnknownKey: There is none that may sign or verify now.
        """
        entry = self._entries.get(kid)
        if entry is None or entry.signing is None or epoch_seconds(self._clock) >= entry.ends:
            raise UnknownKey(reason="unknown_signer")
        return entry.signing

    def _active(self, now: float) -> _Entry | None:
        in_force = (e for e in self._entries.values() if e.signing is not None and e.begins <= now < e.ends)
        return max(in_force, key=lambda entry: entry.begins, default=None)

    def find(self, kid: str, alg: str) -> VerificationKey:
        """Return the key *kid* if it may verify now and its algorithm is *alg*; does no I/O.

        Raises:
            UnknownKey: There is none.
        """
        entry = self._entries.get(kid) if isinstance(kid, str) else None
        if entry is None:
            raise UnknownKey(reason="unknown_kid")
        if entry.key.alg != alg:
            raise UnknownKey(reason="wrong_algorithm")
        if entry.ends != inf and epoch_seconds(self._clock) >= entry.ends:
            raise UnknownKey(reason="revoked_key")
        return entry.key

    def state(self, kid: str) -> KeyState:
        """Return what the key *kid* may do now.

        Raises:
            UnknownKey: There is no such key.
        """
        entry = self._entries.get(kid)
        if entry is None:
            raise UnknownKey(reason="unknown_kid")
        now = epoch_seconds(self._clock)
        if now >= entry.ends:
            return KeyState.REVOKED
        if now < entry.begins:
            return KeyState.PENDING
        leads = entry is self._active(now) if entry.signing else entry.ends == inf
        return KeyState.ACTIVE if leads else KeyState.RETIRING

    def rotate(self, new: SigningKey, *, overlap: timedelta, lead: timedelta | None = None) -> "KeyRing":
        """Return a ring in which *new* takes over.

        Args:
            new: Signs from now plus *lead* on; until then it is pending, so that others learn of it first.
            overlap: How long after that the keys of today still verify: at least the longest life of a token.
            lead: Time until *new* signs; by default ``max_age``. Zero after a compromise, together with
                :meth:`revoke`.

        Raises:
            ConfigurationError: A negative time, or *new* does not go together with the ring.
        """
        lead = self._max_age if lead is None else lead
        if lead < timedelta(0) or overlap < timedelta(0):
            raise ConfigurationError("A rotation needs a lead and an overlap that are not negative.", reason="bad_ring")
        now = epoch_seconds(self._clock)
        begins = now + lead.total_seconds()
        retired = begins + overlap.total_seconds()
        kept = (e.changed(retire_at=moment(min(e.ends, retired))) for e in self._entries.values() if e.ends > now)
        return self._with((*kept, new.starting(moment(begins))))

    def revoke(self, kid: str) -> "KeyRing":
        """Return a ring in which *kid* neither signs nor verifies any more.

        Raises:
            UnknownKey: There is no such key.
        """
        if kid not in self._entries:
            raise UnknownKey(reason="unknown_kid")
        return self._with(
            entry.changed(revoked=True) if name == kid else entry.signing or entry.key
            for name, entry in self._entries.items()
        )

    def _with(self, keys: Iterable[SigningKey | VerificationKey]) -> "KeyRing":
        return KeyRing(
            keys,
            issuer=self._issuer,
            algorithms=self._algorithms,
            allow_symmetric=self._allow_symmetric,
            max_age=self._max_age,
            clock=self._clock,
        )

    def public_jwks(self) -> dict[str, JSONValue]:
        """Return the JWK set to publish: public members of all asymmetric keys that verify now (RFC 7517, section 5).

        Pending keys are among them, revoked and symmetric ones never. Send it with :attr:`cache_control`.
        """
        now = epoch_seconds(self._clock)
        published = (_published(entry.key) for entry in self._entries.values() if now < entry.ends)
        return {"keys": [jwk for jwk in published if jwk is not None]}

    def weaknesses(self) -> tuple[Finding, ...]:
        """Return what :func:`common.auth.doctor.doctor` tells about this ring."""
        found = []
        if self._allow_symmetric:
            found.append(Finding("keys", "symmetric_keys", "Whoever verifies tokens can also issue them. Use EdDSA."))
        if any(e.signing for e in self._entries.values()) and self._active(epoch_seconds(self._clock)) is None:
            found.append(Finding("keys", "no_active_signer", "No signing key is in force; no token can be issued."))
        return tuple(found)

    def __repr__(self) -> str:
        states = ", ".join(f"{kid}: {self.state(kid).value}" for kid in self._entries)
        return f"KeyRing({self._issuer!r}, {states})"


def _published(key: VerificationKey) -> dict[str, JSONValue] | None:
    if isinstance(key.material, SecretBytes):
        return None
    return {"alg": key.alg, "kid": key.kid, "use": "sig", **public_members(key.material)}


def _require_permitted(entries: Iterable[_Entry], permitted: Collection[str], *, allow_symmetric: bool) -> None:
    entries = tuple(entries)
    if not entries:
        raise ConfigurationError("A key ring needs at least one key.", reason="bad_ring")
    symmetric = {entry.key.algorithm.is_symmetric for entry in entries}
    if symmetric == {True, False}:
        raise ConfigurationError(
            "Symmetric and asymmetric keys do not go into one ring. Make one ring of each kind.", reason="mixed_keys"
        )
    if symmetric == {True} and not allow_symmetric:
        raise ConfigurationError(
            "HMAC keys let everybody who verifies also sign. Use EdDSA, or say allow_symmetric=True.",
            reason="symmetric_keys",
        )
    allowed = {name for name in ALGORITHMS if ALGORITHMS[name].is_symmetric} if symmetric == {True} else permitted
    for entry in entries:
        if entry.key.alg not in allowed:
            raise ConfigurationError(
                f"Key {entry.key.kid!r}: algorithm {entry.key.alg} is not among those permitted. Name it in algorithms.",
                reason="algorithm_not_permitted",
            )


def _require_unambiguous(entries: Iterable[_Entry]) -> None:
    entries = tuple(entries)
    for kid, times in Counter(entry.key.kid for entry in entries).items():
        if times > 1:
            raise ConfigurationError(f"Two keys have the id {kid!r}.", reason="duplicate_kid")
    starts = Counter(entry.begins for entry in entries if entry.signing is not None and entry.ends != -inf)
    if any(times > 1 for times in starts.values()):
        raise ConfigurationError(
            "Two signing keys begin together, so which one signs is open. Give the newer one a later not_before.",
            reason="ambiguous_signer",
        )
