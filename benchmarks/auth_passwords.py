"""What logins cost: the processor by the reason of a failure, a core by the second, and everybody else meanwhile.

    python benchmarks/auth_passwords.py [--cost 8] [--samples 25] [--load-cost 12] [--logins 20]

First the median processor time of each kind of failure, as a ratio to the failure at the right cost, beside that of the
two usual ways: verifying only what is there, and hashing once where there is no user. The ratios, not the times, are what
an attacker could see; ours stay within 15 % of 1.

Then a wave of logins at once on an event loop: how many one core verifies in a second, and what a request feels that has
nothing to do with them: how late the loop comes to it, and how long a call in the default executor takes. Beside the pool
stand the two usual ways: hashing on the loop, and hashing in the default executor.
"""

import argparse
import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median

import bcrypt

from common.auth.exceptions import HashUnsupported
from common.auth.security.hashing_pool import HashingPool
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


@dataclass(frozen=True, slots=True)
class Wave:
    """What a wave of logins did to the rest."""

    per_core: float
    """Logins per second of processor time."""
    lag: float
    """Milliseconds: the longest that the loop came too late to a request that was ready."""
    call: float
    """Milliseconds: the longest that an empty call in the default executor took."""


async def wave(login: Callable[[], Awaitable[object]], logins: int) -> Wave:
    """Begin *logins* at once, and look at an unrelated request until they are done."""
    begin = time.process_time()
    running = asyncio.gather(*(login() for _ in range(logins)))
    lags, calls = [0.0], [0.0]
    while not running.done():
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        lags.append(time.perf_counter() - due)
        asked = time.perf_counter()
        await asyncio.to_thread(int)
        calls.append(time.perf_counter() - asked)
    await running
    return Wave(logins / (time.process_time() - begin), max(lags) * 1000, max(calls) * 1000)


def waves(cost: int, logins: int) -> dict[str, Wave]:
    """Run one wave in each way to hash."""
    ours = PasswordManager(peppers=PEPPERS, cost=cost, testing=True, pool=HashingPool(queue=logins, wait=600))
    stored = ours.hash("right")
    raw = bcrypt.hashpw(b"right", bcrypt.gensalt(cost))

    async def on_the_loop() -> object:
        return bcrypt.checkpw(b"wrong", raw)

    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "pool of the password manager": lambda: ours.averify("wrong", stored),
        "bcrypt in the default executor": lambda: asyncio.to_thread(bcrypt.checkpw, b"wrong", raw),
        "bcrypt on the loop": on_the_loop,
    }
    try:
        return {name: asyncio.run(wave(way, logins)) for name, way in ways.items()}
    finally:
        ours.close()


def main() -> int:
    """Measure, print, and return 1 where one of ours is outside the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cost", type=int, default=8, help="the target cost (default: 8)")
    parser.add_argument("--samples", type=int, default=25, help="logins of each kind (default: 25)")
    parser.add_argument("--load-cost", type=int, default=12, help="the cost of the wave (default: 12)")
    parser.add_argument("--logins", type=int, default=20, help="logins of the wave (default: 20)")
    arguments = parser.parse_args()
    within = True
    for kinds, judged in ((failures(arguments.cost), True), (usual(arguments.cost), False)):
        times = {name: processor_time(call, arguments.samples) for name, call in kinds.items()}
        reference = next(iter(times.values()))
        for name, seconds in times.items():
            ratio = seconds / reference
            within &= not judged or abs(ratio - 1) <= TOLERANCE
            print(f"{name:26}{seconds * 1000:9.2f} ms{ratio:8.2f}")
    print(
        f"\n{f'{arguments.logins} logins at cost {arguments.load_cost}':32}{'a core, a second':>18}{'lag':>12}{'call':>12}"
    )
    for name, felt in waves(arguments.load_cost, arguments.logins).items():
        print(f"{name:32}{felt.per_core:18.1f}{felt.lag:9.1f} ms{felt.call:9.1f} ms")
    return 0 if within else 1


if __name__ == "__main__":
    raise SystemExit(main())
