"""A house with users, a trail, sessions and, where a test wants one, a guard: all of them real, in memory."""

import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any

import bcrypt
import pytest

from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink
from common.auth.security.authenticator import Authenticator, LoginResult
from common.auth.security.context import RequestContext
from common.auth.security.login_guard import LoginGuard
from common.auth.security.memory_stores import (
    MemoryCredentialStore,
    MemoryLoginCounterStore,
    MemoryRefreshFamilyStore,
    MemoryRevocationStore,
)
from common.auth.security.peppers import PepperRing
from common.auth.security.secrets import SecretBytes
from common.auth.security.stores import Credential
from common.auth.testing import quick_passwords, token_manager
from common.auth.testing.unreliable_store import UnreliableStore
from common.core.audit import AuditEvent
from common.core.utils.clock import FrozenClock

RIGHT = "violet-tractor-mumbles-sonnet"
COST = 6
CTX = RequestContext(request_id="0190163d-8694", source_ip="203.0.113.9", client_id="web")


class CountedBcrypt:
    """The real bcrypt, with the cost of every call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.costs: list[int] = []

    def __call__(self, password: bytes, salt: bytes) -> bytes:
        with self._lock:
            self.costs.append(int(salt[4:6]))
        return bcrypt.hashpw(password, salt)

    def work_of(self, call: Callable[[], object]) -> int:
        """Return the sum of the rounds of *call*."""
        self.costs.clear()
        call()
        return sum(1 << cost for cost in self.costs)


class House:
    """Users: ``ada``; ``old``, whose hash has a low cost; and some who cannot log in."""

    def __init__(self, clock: FrozenClock, *, guarded: bool = False, sessions: bool = True, **guard: Any) -> None:
        self.clock = clock
        self.bcrypt = CountedBcrypt()
        self.peppers = PepperRing({"k1": secrets.token_bytes(32)}, active="k1")
        self.passwords = quick_passwords(cost=COST, peppers=self.peppers, digest=self.bcrypt)
        self.memory = MemoryCredentialStore(self._users())
        self.credentials = UnreliableStore(self.memory)
        self.families = UnreliableStore(MemoryRefreshFamilyStore(clock=clock))
        self.revocations = UnreliableStore(MemoryRevocationStore(clock=clock))
        self.counters = UnreliableStore(MemoryLoginCounterStore(clock=clock))
        self.sink = MemorySink()
        self.audit = AuditLogger([self.sink], service="users", clock=clock)
        self.tokens = token_manager(
            clock=clock, families=self.families, revocations=self.revocations, accounts=self.credentials
        )
        key = SecretBytes(secrets.token_bytes(32))
        self.guard = LoginGuard(self.counters, key=key, audit=self.audit, clock=clock, **guard) if guarded else None
        self.logins = Authenticator(
            self.credentials,
            self.passwords,
            audit=self.audit,
            guard=self.guard,
            sessions=self.tokens if sessions else None,
            clock=clock,
        )

    def _users(self) -> Iterator[tuple[str, Credential]]:
        hashed = {cost: quick_passwords(cost=cost, peppers=self.peppers).hash(RIGHT) for cost in (4, COST)}
        yield "ada", Credential(user_id="u-ada", password_hash=hashed[COST], roles=("trader",))
        yield "old", Credential(user_id="u-old", password_hash=hashed[4])
        yield "disabled", Credential(user_id="u-disabled", password_hash=hashed[4], enabled=False)
        yield "invited", Credential(user_id="u-invited", password_hash=None)
        yield "damaged", Credential(user_id="u-damaged", password_hash=hashed[COST][:-3])
        yield "foreign", Credential(user_id="u-foreign", password_hash=hashed[4].replace("p=k1", "p=k2"))

    def login(self, name: str = "ada", password: Any = RIGHT, **options: Any) -> LoginResult:
        """Log in."""
        return self.logins.login(name, password, CTX, **options)

    def stored(self, user_id: str) -> str:
        """Return the stored hash of *user_id*."""
        known = self.memory.of_user(user_id)
        assert known is not None
        assert known.password_hash is not None
        return known.password_hash

    def events(self) -> list[AuditEvent]:
        """Return what the trail has."""
        assert self.audit.flush(5.0).complete
        return list(self.sink.events)

    def told(self) -> list[tuple[str, str | None]]:
        """Return the types and reasons of the events."""
        return [(event.type, event.reason) for event in self.events()]


@pytest.fixture
def house(clock: FrozenClock) -> Iterator[Callable[..., House]]:
    """Return a function that makes a :class:`House`; its threads end with the test."""
    made: list[House] = []

    def make(**options: Any) -> House:
        made.append(House(clock, **options))
        return made[-1]

    yield make
    for each in made:
        each.audit.close(1.0)
        each.passwords.close()
