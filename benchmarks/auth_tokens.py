"""What validating and issuing tokens costs, beside plain PyJWT and joserfc, in one process.

    python benchmarks/auth_tokens.py [--seconds 0.5] [--algorithms EdDSA,ES256,RS256,HS256]

All three get the same claims, keys that were parsed beforehand, and the same checks of issuer, audience and time. Ours
also does what the two others leave to their callers: see the attack table in docs/guarantees/auth.md. Each figure is the
best of five rounds that take turns, in processor time, so that a busy machine disturbs it least. Ratios compare what was
measured side by side and travel between machines; microseconds do not.
"""

import argparse
import contextlib
import gc
import secrets
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import joserfc.jwk
import joserfc.jwt
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from common.auth.exceptions import TokenError
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.token_manager import TokenManager

ISSUER, AUDIENCE = "https://id.example", "orders"
ROUNDS = 5
BUDGET = 1.15
"""Most that ``validate`` may cost of ``jwt.decode`` (requirement T8)."""
OVERSIZE_BUDGET = 50.0
"""Microseconds within which a token that is too long is refused."""
NAMES = ("common-auth", "PyJWT", "joserfc")


@dataclass(frozen=True, slots=True)
class Row:
    """One algorithm: microseconds per call, in the order of :data:`NAMES`."""

    algorithm: str
    validate: tuple[float, ...]
    issue: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """What ``validate`` costs of ``jwt.decode``."""
        return self.validate[0] / self.validate[1]


def best_of(calls: tuple[Callable[[], object], ...], seconds: float) -> tuple[float, ...]:
    """Return the microseconds of each call: the best of five rounds, in which they take turns."""
    counts = [_count(call, seconds / ROUNDS) for call in calls]
    rounds = [[_round(*pair) for pair in zip(calls, counts, strict=True)] for _ in range(ROUNDS)]
    return tuple(min(times) / count * 1e6 for times, count in zip(zip(*rounds, strict=True), counts, strict=True))


def _count(call: Callable[[], object], seconds: float) -> int:
    call()
    begin = time.process_time()
    call()
    return max(1, int(seconds / max(time.process_time() - begin, 1e-7)))


def _round(call: Callable[[], object], count: int) -> float:
    gc.collect()
    begin = time.process_time()
    for _ in range(count):
        call()
    return time.process_time() - begin


PRIVATE: dict[str, Callable[[], Any]] = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "PS256": lambda: rsa.generate_private_key(65537, 2048),
}


class Contest:
    """One key of *algorithm* in the hands of all three."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.secret = secrets.token_bytes(32)
        self.private: Any = PRIVATE[algorithm]() if algorithm in PRIVATE else None
        ring = KeyRing([self._own_key()], issuer=ISSUER, algorithms=[algorithm], allow_symmetric=True)
        self.manager = TokenManager(issuer=ISSUER, audience=AUDIENCE, keys=ring)
        self.joserfc_key = self._joserfc_key()
        self.registry = joserfc.jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            exp={"essential": True},
        )
        self.token = self.ours()

    def _pem(self) -> bytes:
        return bytes(self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def _own_key(self) -> SigningKey:
        if self.private is None:
            return SigningKey.from_secret(self.secret, kid="k1", alg=self.algorithm)
        return SigningKey.from_pem(self._pem(), alg=self.algorithm, kid="k1")

    def _joserfc_key(self) -> Any:
        if self.private is None:
            return joserfc.jwk.OctKey.import_key(self.secret)
        kind: Any = {"EdDSA": "OKP", "ES256": "EC"}.get(self.algorithm, "RSA")
        return joserfc.jwk.import_key(self._pem(), kind)

    def claims(self) -> dict[str, Any]:
        """Return what ours puts into a token."""
        now = int(time.time())
        return {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "client_id": "first-party",
            "iat": now,
            "nbf": now,
            "exp": now + 900,
            "jti": secrets.token_urlsafe(16),
            "sub": "01JDEXAMPLE0USER0000000000",
            "sid": "s-01JDEXAMPLE",
            "ver": 3,
            "roles": ["trader"],
            "scope": "orders:read",
        }

    def ours(self) -> str:
        """Issue a token of usual size."""
        return self.manager.create_access(
            "01JDEXAMPLE0USER0000000000", session="s-01JDEXAMPLE", epoch=3, roles=["trader"], scope=["orders:read"]
        ).token

    def issuing(self) -> tuple[Callable[[], object], ...]:
        """Return a call of each that issues a token."""
        header = {"alg": self.algorithm, "kid": "k1", "typ": "at+jwt"}
        key = self.secret if self.private is None else self.private
        return (
            self.ours,
            lambda: jwt.encode(self.claims(), key, algorithm=self.algorithm, headers={"kid": "k1", "typ": "at+jwt"}),
            lambda: joserfc.jwt.encode(header, self.claims(), self.joserfc_key, algorithms=[self.algorithm]),
        )

    def validating(self) -> tuple[Callable[[], object], ...]:
        """Return a call of each that verifies one token."""
        key = self.secret if self.private is None else self.private.public_key()
        return (
            lambda: self.manager.validate(self.token),
            lambda: jwt.decode(self.token, key, algorithms=[self.algorithm], audience=AUDIENCE, issuer=ISSUER),
            self._by_joserfc,
        )

    def _by_joserfc(self) -> object:
        token = joserfc.jwt.decode(self.token, self.joserfc_key, algorithms=[self.algorithm])
        self.registry.validate(token.claims)
        return token.claims


def measure(algorithm: str, seconds: float) -> Row:
    """Measure one algorithm."""
    contest = Contest(algorithm)
    return Row(algorithm, best_of(contest.validating(), seconds), best_of(contest.issuing(), seconds))


def oversize(seconds: float, length: int) -> float:
    """Return the microseconds that refusing a token of *length* bytes takes."""
    manager = Contest("EdDSA").manager
    token = "A" * (length - 4) + ".A.A"

    def refuse() -> None:
        with contextlib.suppress(TokenError):
            manager.validate(token)

    return best_of((refuse,), seconds)[0]


def table(rows: list[Row]) -> Iterator[str]:
    """Yield the lines of the table: our microseconds, and what the others take as multiples of ours."""
    yield f"{'':10}{'validate µs':>13}{'PyJWT':>8}{'joserfc':>9}{'ratio':>8}{'':>6}{'issue µs':>12}{'PyJWT':>8}{'joserfc':>9}"
    for row in rows:
        verdict = "ok" if row.ratio <= BUDGET else "OVER"
        validate, issue = (tuple(one / times[0] for one in times[1:]) for times in (row.validate, row.issue))
        yield (
            f"{row.algorithm:10}{row.validate[0]:13.1f}{validate[0]:7.2f}x{validate[1]:8.2f}x{row.ratio:8.2f}{verdict:>6}"
            f"{row.issue[0]:12.1f}{issue[0]:7.2f}x{issue[1]:8.2f}x"
        )


def main() -> int:
    """Measure, print, and return 1 where a budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each figure (default: 0.5)")
    parser.add_argument("--algorithms", default="HS256,EdDSA,ES256,RS256,PS256", help="comma-separated")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # joserfc tells on every call that EdDSA has a new name (RFC 9864)
    rows = [measure(name, arguments.seconds) for name in arguments.algorithms.split(",")]
    print("\n".join(table(rows)))
    refusals = {length: oversize(arguments.seconds, length) for length in (8193, 1 << 20, 5_000_000)}
    for length, cost in refusals.items():
        print(f"refusing {length:>9,} bytes: {cost:6.1f} µs {'ok' if cost <= OVERSIZE_BUDGET else 'OVER'}")
    within = all(row.ratio <= BUDGET for row in rows) and max(refusals.values()) <= OVERSIZE_BUDGET
    return 0 if within else 1


if __name__ == "__main__":
    raise SystemExit(main())
