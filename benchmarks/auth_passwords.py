"""What a failed login costs the processor, by the reason of the failure.

    python benchmarks/auth_passwords.py [--cost 8] [--samples 25]

Prints the median processor time of each kind of failure, as a ratio to the failure at the right cost, beside that of
the two usual ways: verifying only what is there, and hashing once where there is no user. The ratios, not the times,
are what an attacker could see; ours stay within 15 % of 1.
"""

import argparse
import contextlib
import secrets
import time
from collections.abc import Callable
from statistics import median

import bcrypt

from common.auth.exceptions import HashUnsupported
from common.auth.security.password_manager import PasswordManager
from common.auth.security.peppers import PepperRing

TOLERANCE = 0.15
PEPPERS = PepperRing({"k1": secrets.token_bytes(32)}, active="k1")


def processor_time(call: Callable[[], object], samples: int) -> float:
    """Return the median seconds of this thread's processor time."""
    readings = []
    for _ in range(samples):
        begin = time.thread_time()
        with contextlib.suppress(HashUnsupported):
            call()
        readings.append(time.thread_time() - begin)
    return median(readings)


def manager(cost: int) -> PasswordManager:
    """Make a manager at *cost*."""
    return PasswordManager(peppers=PEPPERS, cost=cost, testing=True)


def failures(cost: int) -> dict[str, Callable[[], object]]:
    """Return a call for each kind of failed login."""
    ours = manager(cost)
    right, old = manager(cost).hash("right"), manager(cost - 2).hash("right")
    return {
        "right cost": lambda: ours.verify("wrong", right),
        "two steps below": lambda: ours.verify("wrong", old),
        "unknown user": lambda: ours.verify("wrong", None),
        "unusable hash": lambda: ours.verify("wrong", "$2x$" + right[-56:]),
        "too long": lambda: ours.verify("x" * 100_000, right),
        "no Unicode": lambda: ours.verify("\ud800", right),
    }


def usual(cost: int) -> dict[str, Callable[[], object]]:
    """Return what is usually done, with bcrypt alone."""
    right, old = (bcrypt.hashpw(b"right", bcrypt.gensalt(step)) for step in (cost, cost - 2))
    return {
        "naive, right cost": lambda: bcrypt.checkpw(b"wrong", right),
        "naive, two steps below": lambda: bcrypt.checkpw(b"wrong", old),
        "naive, unknown user": lambda: None,
        "hash for unknown user": lambda: bcrypt.hashpw(b"wrong", bcrypt.gensalt(cost)),
    }


def main() -> int:
    """Measure, print, and return 1 where one of ours is outside the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cost", type=int, default=8, help="the target cost (default: 8)")
    parser.add_argument("--samples", type=int, default=25, help="logins of each kind (default: 25)")
    arguments = parser.parse_args()
    within = True
    for kinds, judged in ((failures(arguments.cost), True), (usual(arguments.cost), False)):
        times = {name: processor_time(call, arguments.samples) for name, call in kinds.items()}
        reference = next(iter(times.values()))
        for name, seconds in times.items():
            ratio = seconds / reference
            within &= not judged or abs(ratio - 1) <= TOLERANCE
            print(f"{name:26}{seconds * 1000:9.2f} ms{ratio:8.2f}")
    return 0 if within else 1


if __name__ == "__main__":
    raise SystemExit(main())
