"""A login as a service writes it, over real stores, real hashes and a real trail."""

import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import bcrypt
import pytest

from common.auth.exceptions import AuthError, StoreUnavailable
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink
from common.auth.security.context import RequestContext
from common.auth.security.hashing_pool import HashingPool
from common.auth.security.login_guard import LoginGuard
from common.auth.security.memory_stores import MemoryCredentialStore, MemoryLoginCounterStore
from common.auth.security.peppers import PepperRing
from common.auth.security.secrets import SecretBytes
from common.auth.security.stores import Credential, LoginCounter, LoginCounterChange
from common.auth.testing import quick_passwords
from common.core.audit import AuditEvent
from common.core.utils.clock import FrozenClock

RIGHT = "violet-tractor-mumbles-sonnet"
STRANGER = "203.0.113.9"
HOME = "192.0.2.7"


class CountedBcrypt:
    """The real bcrypt; how often it ran, and how often over a salt of somebody's stored hash."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.salts: list[bytes] = []

    def __call__(self, password: bytes, salt: bytes) -> bytes:
        with self._lock:
            self.salts.append(salt)
        return bcrypt.hashpw(password, salt)


class FlakyCounters(MemoryLoginCounterStore):
    """The real counters in memory; while ``down``, every call ends as an outage ends it."""

    down = False
    calls = 0

    def _answer(self) -> None:
        self.calls += 1
        if self.down:
            raise StoreUnavailable("The table does not answer.", reason="store_down")

    def read(self, bucket: str) -> LoginCounter | None:
        self._answer()
        return super().read(bucket)

    def exchange(self, bucket: str, *, expected: LoginCounter | None, new: LoginCounter | None) -> LoginCounterChange:
        self._answer()
        return super().exchange(bucket, expected=expected, new=new)

    def add(self, bucket: str, amount: int, *, expires_at: float) -> int:
        self._answer()
        return super().add(bucket, amount, expires_at=expires_at)

    def clear(self, bucket: str) -> None:
        self._answer()
        super().clear(bucket)


class Desk:
    """Users ``ada`` and ``bob``, and a guard before their passwords.

    Args:
        options: For the guard.
    """

    def __init__(self, clock: FrozenClock, **options: Any) -> None:
        self.digest = CountedBcrypt()
        peppers = PepperRing({"k1": secrets.token_bytes(32)}, active="k1")
        self.passwords = quick_passwords(peppers=peppers, digest=self.digest, pool=HashingPool(queue=1000, wait=60.0))
        self.stored = {name: quick_passwords(peppers=peppers).hash(RIGHT) for name in ("ada", "bob")}
        users = ((name, Credential(user_id=f"u-{name}", password_hash=self.stored[name])) for name in self.stored)
        self.credentials = MemoryCredentialStore(users)
        self.counters = options.pop("store", None) or FlakyCounters(clock=clock)
        self.sink = MemorySink()
        self.audit = AuditLogger([self.sink], service="users", clock=clock)
        key = options.pop("key", None) or SecretBytes(secrets.token_bytes(32))
        self.guard = LoginGuard(self.counters, key=key, clock=clock, **{"audit": self.audit, **options})

    def login(self, name: str, password: str = "wrong", *, ip: str | None = STRANGER, device: str | None = None) -> str:
        """Log in as a service does; return the user's id, or raise."""
        with self.guard.reserve(name, RequestContext(source_ip=ip, device=device)) as attempt:
            known = self.credentials.find(name)
            stored = None if known is None else known.password_hash
            user_id = None if known is None else known.user_id
            result = self.passwords.verify(password, attempt.verifiable(stored))
            if not result.ok or user_id is None:
                raise attempt.failure(result.reason, user_id=user_id)
            attempt.success(user_id)
            return user_id

    def tried(self, name: str, times: int = 1, **options: Any) -> list[str]:
        """Log in so often with a wrong password; return the classes of the errors."""
        return [type(self.outcome(name, **options)).__name__ for _ in range(times)]

    def outcome(self, name: str, password: str = "wrong", **options: Any) -> BaseException | str:
        """Log in and return the user's id or the error."""
        try:
            return self.login(name, password, **options)
        except AuthError as error:
            return error

    def at_once(self, name: str, times: int, **options: Any) -> list[BaseException | str]:
        """Log in so often at the same time."""
        start = threading.Barrier(times)

        def one(number: int) -> BaseException | str:
            start.wait(10)
            return self.outcome(name, f"guess {number}", **options)

        with ThreadPoolExecutor(times) as threads:
            return list(threads.map(one, range(times)))

    def verifications(self, name: str = "ada") -> int:
        """How often a password was verified against what is stored for *name*."""
        salt = self.stored[name][-60:-31].encode()
        return self.digest.salts.count(salt)

    def held(self) -> dict[str, LoginCounter]:
        """Return everything that the store holds, by bucket."""
        with self.counters._counters.reading() as counters:
            return dict(counters)

    def events(self) -> list[AuditEvent]:
        """Return what the trail has."""
        assert self.audit.flush(5.0).complete
        return list(self.sink.events)

    def told(self) -> list[str]:
        """Return the types of the events."""
        return [event.type for event in self.events()]


@pytest.fixture
def desk(clock: FrozenClock) -> Iterator[Callable[..., Desk]]:
    """Return a function that makes a :class:`Desk`; their threads end with the test."""
    made: list[Desk] = []

    def make(**options: Any) -> Desk:
        made.append(Desk(clock, **options))
        return made[-1]

    yield make
    for each in made:
        each.audit.close(1.0)
        each.passwords.close()
