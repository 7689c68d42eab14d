"""What validating and issuing tokens costs, beside plain PyJWT, in one process.

    python benchmarks/auth_tokens.py [--seconds 0.5] [--algorithms EdDSA,ES256,RS256,HS256]

Each figure is the best of five rounds, so that a busy machine disturbs it least. Ratios compare what was measured side
by side and travel between machines; microseconds do not.
"""

import argparse
import contextlib
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jwt

from common.auth.exceptions import TokenError
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.secrets import SecretBytes
from common.auth.security.token_manager import TokenManager

ISSUER, AUDIENCE = "https://id.example", "orders"
ROUNDS = 5
BUDGET = 1.15
"""Most that ``validate`` may cost of ``jwt.decode`` (requirement T8)."""
OVERSIZE_BUDGET = 50.0
"""Microseconds within which a token that is too long is refused."""


@dataclass(frozen=True, slots=True)
class Row:
    """One algorithm: microseconds per call."""

    algorithm: str
    ours: float
    plain: float
    issue: float

    @property
    def ratio(self) -> float:
        """What ``validate`` costs of ``jwt.decode``."""
        return self.ours / self.plain


def microseconds(call: Callable[[], object], seconds: float) -> float:
    """Return the microseconds of one *call*: the best of five rounds of *seconds* divided by five each."""
    call()
    begin = time.perf_counter()
    call()
    count = max(1, int(seconds / ROUNDS / max(time.perf_counter() - begin, 1e-7)))
    return min(_round(call, count) for _ in range(ROUNDS)) / count * 1e6


def _round(call: Callable[[], object], count: int) -> float:
    gc.collect()
    begin = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - begin


def manager_for(algorithm: str) -> tuple[TokenManager, SigningKey]:
    """Make a token manager with a new key."""
    key = SigningKey.generate(algorithm, kid="k1")
    ring = KeyRing([key], issuer=ISSUER, algorithms=[algorithm], allow_symmetric=True)
    return TokenManager(issuer=ISSUER, audience=AUDIENCE, keys=ring), key


def measure(algorithm: str, seconds: float) -> Row:
    """Measure one algorithm: the same token, read by both in turn."""
    manager, key = manager_for(algorithm)
    token = issue(manager)
    material = key.verification.material
    parsed = material.reveal() if isinstance(material, SecretBytes) else material

    def plain() -> object:
        return jwt.decode(token, parsed, algorithms=[algorithm], audience=AUDIENCE, issuer=ISSUER)

    ours = microseconds(lambda: manager.validate(token), seconds)
    return Row(algorithm, ours, microseconds(plain, seconds), microseconds(lambda: issue(manager), seconds))


def issue(manager: TokenManager) -> str:
    """Issue a token of usual size."""
    return manager.create_access(
        "01JDEXAMPLE0USER0000000000", session="s-01JDEXAMPLE", epoch=3, roles=["trader"], scope=["orders:read"]
    ).token


def oversize(seconds: float, length: int) -> float:
    """Return the microseconds that refusing a token of *length* bytes takes."""
    manager, _ = manager_for("EdDSA")
    token = "A" * (length - 4) + ".A.A"

    def refuse() -> None:
        with contextlib.suppress(TokenError):
            manager.validate(token)

    return microseconds(refuse, seconds)


def table(rows: list[Row]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"{'algorithm':10}{'validate µs':>13}{'jwt.decode µs':>15}{'ratio':>8}{'budget':>8}{'issue µs':>10}"
    for row in rows:
        verdict = "ok" if row.ratio <= BUDGET else "OVER"
        yield f"{row.algorithm:10}{row.ours:13.1f}{row.plain:15.1f}{row.ratio:8.2f}{verdict:>8}{row.issue:10.1f}"


def main() -> int:
    """Measure, print, and return 1 where a budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each figure (default: 0.5)")
    parser.add_argument("--algorithms", default="HS256,EdDSA,ES256,RS256,PS256", help="comma-separated")
    arguments = parser.parse_args()
    rows = [measure(name, arguments.seconds) for name in arguments.algorithms.split(",")]
    print("\n".join(table(rows)))
    refusals = {length: oversize(arguments.seconds, length) for length in (8193, 1 << 20, 5_000_000)}
    for length, cost in refusals.items():
        print(f"refusing {length:>9,} bytes: {cost:6.1f} µs {'ok' if cost <= OVERSIZE_BUDGET else 'OVER'}")
    within = all(row.ratio <= BUDGET for row in rows) and max(refusals.values()) <= OVERSIZE_BUDGET
    return 0 if within else 1


if __name__ == "__main__":
    raise SystemExit(main())
