"""Hashes and verifies passwords so that every failure costs the same.

A stored hash of a cost below the target is topped up on failure: hashing at cost c takes 2^c, and further hashes at c,
c+1, … t-1 bring the sum to 2^t. An unknown user, an unusable stored hash and an unusable password pay 2^t too, so that
time tells nobody which of them it was.
"""

import base64
import copy
import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import Final, Literal

import bcrypt

from common.auth.doctor import Finding
from common.auth.exceptions import ConfigurationError, HashUnsupported, PolicyViolation
from common.auth.security.breaches import BreachChecks
from common.auth.security.calibration import choose_cost
from common.auth.security.hashing_pool import HashingPool
from common.auth.security.password_format import MAX_COST, MIN_COST, NO_PEPPER, Normalisation, StoredHash
from common.auth.security.password_octets import SealedPassword, prehash
from common.auth.security.password_policy import PasswordPolicy, PolicyReport
from common.auth.security.peppers import PepperRing, PepperSource
from common.auth.security.secrets import SecretBytes
from common.auth.security.strength import StrengthCheck
from common.core.passwords import VerifyResult

__all__ = [
    "HashingPool",
    "Normalisation",
    "PasswordManager",
    "PasswordPolicy",
    "PepperRing",
    "PolicyReport",
    "VerifyResult",
]

_LEAST_COST: Final = 10  # OWASP ASVS 5.0, appendix C
_USUAL_COST: Final = 12
_BCRYPT_LIMIT: Final = 72
_SALT_BYTES: Final = 16
_TO_BCRYPT: Final = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
)
_DECOY: Final = "." * 53
"""Salt and digest of a hash that no password has, for users that do not exist."""


class PasswordManager:
    """Hashes passwords by bcrypt behind a keyed pre-hash. Safe to use from any thread.

    Satisfies :class:`common.core.passwords.PasswordHasher`. :meth:`hash` and :meth:`verify` take about 0.3 s of a core
    at cost 12; on an event loop use :meth:`ahash` and :meth:`averify`.

    Args:
        peppers: Keys of the pre-hash.
        cost: The binary logarithm of bcrypt's rounds, 10 to 15; see :meth:`calibrate`.
        policy: Judges new passwords in :meth:`validate_strength`.
        pool: Bounds how much is hashed at once; by default one of this manager's own. Share one per process.
        normalisation: Unicode form of text before it is hashed; bytes are never changed.
        legacy_truncation: Whether a password over 72 bytes may match a raw bcrypt hash by its first 72 bytes.
        allow_unpeppered: Hash without pepper where *peppers* is ``None``: a stolen table can then be attacked.
        testing: Permit costs from 4.
        digest: bcrypt: password and salt to hash; a test counts its calls.
        entropy: Returns that many random bytes.

    Raises:
        ConfigurationError: No peppers and no *allow_unpeppered*, a cost out of range, or an unknown option.

    >>> peppers = PepperRing({"k1": secrets.token_bytes(32)}, active="k1")
    >>> passwords = PasswordManager(peppers=peppers, cost=4, testing=True)
    >>> stored = passwords.hash("violet-tractor-mumbles-sonnet")
    >>> passwords.verify("violet-tractor-mumbles-sonnet", stored)
    VerifyResult(ok=True, needs_rehash=False, reason='')
    >>> passwords.verify("violet-tractor-mumbles-sonnet", None).reason
    'unknown_user'
    """

    def __init__(
        self,
        *,
        peppers: PepperSource | None,
        cost: int = _USUAL_COST,
        policy: PasswordPolicy = PasswordPolicy(),  # noqa: B008 - frozen
        pool: HashingPool | None = None,
        normalisation: Normalisation = Normalisation.NFC,
        legacy_truncation: Literal["reject", "truncate"] = "reject",
        allow_unpeppered: bool = False,
        testing: bool = False,
        digest: Callable[[bytes, bytes], bytes] = bcrypt.hashpw,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if peppers is None and not allow_unpeppered:
            raise ConfigurationError(
                "Passwords need a pepper: give PepperRing({id: 32 random bytes}), or say allow_unpeppered=True.",
                reason="no_pepper",
            )
        least = MIN_COST if testing else _LEAST_COST
        if type(cost) is not int or not least <= cost <= MAX_COST:
            raise ConfigurationError(f"The bcrypt cost must be {least} to {MAX_COST}.", reason="bad_cost")
        if legacy_truncation not in ("reject", "truncate"):
            raise ConfigurationError("legacy_truncation must be 'reject' or 'truncate'.", reason="bad_option")
        self._peppers = peppers
        self._cost = cost
        self._policy = policy
        self._pool = HashingPool() if pool is None else pool
        self._normalisation = Normalisation(normalisation)
        self._truncates = legacy_truncation == "truncate"
        self._testing = testing
        self._digest = digest
        self._entropy = entropy
        self._strength: StrengthCheck | None = None
        self._breaches: BreachChecks | None = None
        self._decoy = StoredHash.parse(self._stored_form(f"$2b${cost:02d}${_DECOY}"))

    @property
    def pool(self) -> HashingPool:
        """What bounds how much is hashed at once; others may share it."""
        return self._pool

    def hash(self, password: str | bytes, /) -> str:
        """Return the string to store for *password*, about 115 characters.

        It does not judge the password: call :meth:`validate_strength` first.

        Args:
            password: 1 to 256 code points, or 1 to 1,024 bytes.

        Raises:
            PolicyViolation: It is empty, too long or holds lone surrogates.
            HashingOverloaded: Too many passwords are being hashed.
        """
        sealed = SealedPassword.of(password)
        del password
        _require_faultless(sealed)
        return self._pool.run(lambda: self._hash(sealed))

    def verify(self, password: str | bytes, stored: str | None, /) -> VerifyResult:
        """Check *password* against *stored*, or against nobody where it is ``None``, for the same work.

        Never raises because of the password, whatever it is.

        Returns:
            On success also whether to store :meth:`hash` anew; on failure a reason for the audit trail:
            ``wrong_password``, ``unknown_user``, ``empty``, ``too_long``, ``not_unicode`` or ``not_text``.

        Raises:
            HashUnsupported: *stored* is damaged, of an unknown scheme, or needs a pepper that is not there.
            HashingOverloaded: Too many passwords are being hashed.
        """
        sealed = SealedPassword.of(password)
        del password
        return self._pool.run(lambda: self._verify(sealed, stored))

    async def ahash(self, password: str | bytes, /) -> str:
        """Same as :meth:`hash`, in a thread of the pool."""
        sealed = SealedPassword.of(password)
        del password
        _require_faultless(sealed)
        return await self._pool.arun(lambda: self._hash(sealed))

    async def averify(self, password: str | bytes, stored: str | None, /) -> VerifyResult:
        """Same as :meth:`verify`, in a thread of the pool."""
        sealed = SealedPassword.of(password)
        del password
        return await self._pool.arun(lambda: self._verify(sealed, stored))

    def needs_rehash(self, stored: str) -> bool:
        """Return whether *stored* is legacy, of a lower cost, or of another pepper or normalisation than new hashes.

        A higher cost alone is no reason.

        Raises:
            HashUnsupported: *stored* is damaged or of an unknown scheme.
        """
        return self._is_outdated(StoredHash.parse(stored))

    def validate_strength(self, password: str, *, context: Sequence[str] = (), mfa: bool = False) -> PolicyReport:
        """Judge a new password; see :meth:`PasswordPolicy.report`. ``report.require()`` raises ``PolicyViolation``.

        What the policy takes is also estimated and looked up, where :meth:`judging` has said so: it may then block.

        Raises:
            HashingOverloaded: Too much waits for the pool already.
            AuthUnavailable: A breach checker did not answer, and that is not permitted.
        """
        report = self._policy.report(password, context=context, mfa=mfa)
        if not report.ok:
            return report
        codes = []
        if self._strength is not None:
            known = (*self._policy.context, *context)
            codes += ["guessable"] * self._strength.is_guessable(password, known, self._pool)
        if self._breaches is not None:
            codes += ["breached"] * self._breaches.is_breached(password)
        return PolicyReport(tuple(codes))

    def judging(
        self, *, strength: StrengthCheck | None = None, breaches: BreachChecks | None = None
    ) -> "PasswordManager":
        """Return a manager that judges new passwords by these too; it has the peppers, the settings and the pool of this.

        Args:
            strength: Estimates how many guesses a password takes.
            breaches: Know passwords from breaches; see :func:`common.auth.security.breaches.breach_checks`.
        """
        twin = copy.copy(self)
        twin._strength = strength
        twin._breaches = breaches
        return twin

    @staticmethod
    def calibrate(target_ms: float = 250, floor: int = 10, ceil: int = 14) -> int:
        """Return the cost for this processor; see :func:`common.auth.security.calibration.choose_cost`."""
        return choose_cost(target_ms, floor, ceil)

    def close(self) -> None:
        """End the threads of the pool."""
        self._pool.close()

    def weaknesses(self) -> tuple[Finding, ...]:
        """Return what :func:`common.auth.doctor.doctor` tells about these settings."""
        told = (
            (self._peppers is None, "unpeppered", "A stolen table of hashes can be attacked. Set COMMON_AUTH_PEPPERS."),
            (self._cost < _USUAL_COST, "low_cost", f"Cost {self._cost} is below {_USUAL_COST}; see auth calibrate."),
            (self._testing, "testing", "Costs from 4 are permitted. Leave out testing=True."),
            (self._truncates, "truncation", "Long passwords match old hashes by their first 72 bytes. Reject them."),
        )
        return tuple(Finding("passwords", code, message) for applies, code, message in told if applies)

    def __repr__(self) -> str:
        pepper = None if self._peppers is None else self._peppers.active_id
        return f"PasswordManager(cost={self._cost}, pepper={pepper!r}, normalisation={self._normalisation.value!r})"

    def _hash(self, sealed: SealedPassword) -> str:
        inner = prehash(sealed.octets(self._normalisation), self._pepper(self._active_id))
        salt = base64.b64encode(self._entropy(_SALT_BYTES)).rstrip(b"=").translate(_TO_BCRYPT)
        return self._stored_form(self._digest(inner.reveal(), b"$2b$%02d$" % self._cost + salt).decode("ascii"))

    def _stored_form(self, modular: str) -> str:
        return f"$ca1$p={self._active_id or NO_PEPPER},n={self._normalisation.value}{modular}"

    def _verify(self, sealed: SealedPassword, stored: str | None) -> VerifyResult:
        try:
            known = self._decoy if stored is None else StoredHash.parse(stored)
            inner = self._inner(sealed, known)
        except HashUnsupported:
            self._matches(self._inner(sealed, self._decoy), self._decoy)
            raise
        matches = self._matches(inner, known)
        reason = self._refusal(sealed, known, exists=stored is not None)
        if matches and not reason:
            return VerifyResult(True, self._is_outdated(known))
        self._top_up(known.cost)
        return VerifyResult(False, reason=reason or "wrong_password")

    def _inner(self, sealed: SealedPassword, known: StoredHash) -> SecretBytes:
        """Return what bcrypt hashes; for a raw hash the password itself, cut to what bcrypt takes."""
        octets = sealed.octets(known.normalisation)
        if known.is_legacy:
            return SecretBytes(octets.reveal()[:_BCRYPT_LIMIT])
        return prehash(octets, self._pepper(known.pepper))

    def _matches(self, inner: SecretBytes, known: StoredHash) -> bool:
        modular = known.bcrypt.encode("ascii")
        return hmac.compare_digest(self._digest(inner.reveal(), modular[:29]), modular)

    def _refusal(self, sealed: SealedPassword, known: StoredHash, *, exists: bool) -> str:
        """Return why *known* may not match even where bcrypt says so; empty where it may."""
        if not exists:
            return "unknown_user"
        if sealed.fault or not known.is_legacy:
            return sealed.fault
        octets = sealed.octets(known.normalisation)
        if b"\0" in octets.reveal():  # to raw bcrypt, "a" and "a\0a" are one
            return "wrong_password"
        return "too_long" if len(octets) > _BCRYPT_LIMIT and not self._truncates else ""

    def _top_up(self, cost: int) -> None:
        for step in range(cost, self._cost):
            self._digest(b"work without a result", b"$2b$%02d$" % step + b"." * 22)

    def _is_outdated(self, known: StoredHash) -> bool:
        current = (self._active_id, self._normalisation)
        return known.is_legacy or known.cost < self._cost or (known.pepper, known.normalisation) != current

    @property
    def _active_id(self) -> str | None:
        return None if self._peppers is None else self._peppers.active_id

    def _pepper(self, pepper_id: str | None) -> SecretBytes | None:
        if pepper_id is None:
            return None
        if self._peppers is None:
            raise HashUnsupported("A stored password hash needs a pepper, and there is none.", reason="unknown_pepper")
        return self._peppers.find(pepper_id)


def _require_faultless(sealed: SealedPassword) -> None:
    if sealed.fault:
        raise PolicyViolation((sealed.fault,))
