"""Every failed login costs the same, so that its time tells nothing (auth P11)."""

import secrets

import bcrypt
import pytest

from common.auth.exceptions import HashUnsupported
from common.auth.security.password_manager import PasswordManager
from common.auth.security.peppers import PepperRing
from common.auth.testing import quick_passwords

TARGET = 8
PEPPERS = PepperRing({"k1": secrets.token_bytes(32)}, active="k1")


class CountedBcrypt:
    """The real bcrypt, with the cost of every call."""

    def __init__(self) -> None:
        self.costs: list[int] = []

    def __call__(self, password: bytes, salt: bytes) -> bytes:
        self.costs.append(int(salt[4:6]))
        return bcrypt.hashpw(password, salt)

    @property
    def work(self) -> int:
        """The sum of the rounds."""
        return sum(1 << cost for cost in self.costs)


def hashed(password: str | bytes, cost: int) -> str:
    """Store *password* at *cost*."""
    return quick_passwords(peppers=PEPPERS, cost=cost).hash(password)


def raw(password: bytes, cost: int) -> str:
    """Store *password* as other systems do."""
    return bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode()


FAILURES: dict[str, tuple[str | bytes, str | None]] = {
    "right cost": ("wrong", hashed("right", TARGET)),
    "one step below": ("wrong", hashed("right", TARGET - 1)),
    "four steps below": ("wrong", hashed("right", TARGET - 4)),
    "unknown user": ("wrong", None),
    "unknown user, too long": ("x" * 5000, None),
    "unusable hash": ("wrong", "$2x$08$" + "." * 53),
    "damaged hash": ("wrong", raw(b"right", TARGET)[:-3]),
    "cost beyond reach": ("wrong", "$2b$31$" + "." * 53),
    "unknown pepper": ("right", hashed("right", TARGET).replace("p=k1", "p=k2")),
    "unknown pepper at a low cost": ("right", hashed("right", 4).replace("p=k1", "p=k2")),
    "too long": ("x" * 5000, hashed("right", TARGET)),
    "too long, low cost": (b"x" * 5000, hashed("right", 5)),
    "empty": ("", hashed("right", TARGET)),
    "bad format": ("\ud800", hashed("right", TARGET)),
    "imported": ("wrong", raw(b"right", TARGET)),
    "imported at a low cost": ("wrong", raw(b"right", 4)),
    "imported and over 72 bytes": (b"a" * 80, raw(b"a" * 72, TARGET)),
    "imported, with NUL": (b"a\0a", raw(b"a", 6)),
}


def outcome(manager: PasswordManager, password: str | bytes, stored: str | None) -> bool:
    """Return whether *password* matched; an unusable hash counts as no."""
    try:
        return manager.verify(password, stored).ok
    except HashUnsupported:
        return False


@pytest.mark.parametrize(("password", "stored"), FAILURES.values(), ids=FAILURES)
def test_every_failure_costs_the_target(password: str | bytes, stored: str | None) -> None:
    """The rounds of all bcrypt calls sum to 2^target, whatever made the login fail."""
    counted = CountedBcrypt()
    manager = quick_passwords(peppers=PEPPERS, cost=TARGET, digest=counted)

    assert not outcome(manager, password, stored)
    assert 1 << TARGET == counted.work


def test_a_success_costs_what_its_hash_costs() -> None:
    """A right password needs no topping up: the new hash that follows does it."""
    counted = CountedBcrypt()
    manager = quick_passwords(peppers=PEPPERS, cost=TARGET, digest=counted)

    assert manager.verify("right", hashed("right", 5)).needs_rehash
    assert [5] == counted.costs


def test_a_hash_above_the_target_costs_what_it_says() -> None:
    """After the cost was lowered, old hashes stay dearer until they are made anew."""
    counted = CountedBcrypt()
    manager = quick_passwords(peppers=PEPPERS, cost=5, digest=counted)

    assert not manager.verify("wrong", hashed("right", 6)).ok
    assert [6] == counted.costs


@pytest.mark.parametrize("password", ["right", "wrong"])
def test_an_unusable_hash_is_reported_after_the_work(password: str) -> None:
    """The error comes as late as any other refusal."""
    counted = CountedBcrypt()
    manager = quick_passwords(peppers=PEPPERS, cost=TARGET, digest=counted)

    with pytest.raises(HashUnsupported):
        manager.verify(password, "$2x$08$" + "." * 53)

    assert [TARGET] == counted.costs
