"""A service with sessions: its stores, which can go away, its clock, and its audit trail."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink
from common.auth.security.context import RequestContext
from common.auth.security.keys import SigningKey
from common.auth.security.memory_stores import MemoryCredentialStore, MemoryRefreshFamilyStore, MemoryRevocationStore
from common.auth.security.stores import Credential, RefreshFamily
from common.auth.security.token_manager import TokenManager, TokenPair
from common.auth.testing import token_manager
from common.auth.testing.unreliable_store import UnreliableStore
from common.core.audit import AuditEvent
from common.core.utils.clock import FrozenClock

KEY = SigningKey.generate("EdDSA", kid="k1")


@dataclass
class House:
    """One service's sessions in one process; :meth:`another` is the same service in a second process."""

    clock: FrozenClock
    sink: MemorySink
    audit: AuditLogger
    options: dict[str, Any]
    kept_families: MemoryRefreshFamilyStore = field(default_factory=MemoryRefreshFamilyStore)
    kept_revocations: MemoryRevocationStore = field(default_factory=MemoryRevocationStore)
    accounts: MemoryCredentialStore = field(default_factory=MemoryCredentialStore)

    def __post_init__(self) -> None:
        self.families = UnreliableStore(self.kept_families)
        self.revocations = UnreliableStore(self.kept_revocations)
        self.people = UnreliableStore(self.accounts)
        self.enable("u-1")
        self.manager = self.another()

    def another(self, **options: Any) -> TokenManager:
        """Make a manager on the same stores, with caches of its own."""
        usual: dict[str, Any] = {
            "key": KEY,
            "clock": self.clock,
            "families": self.families,
            "revocations": self.revocations,
            "accounts": self.people,
            "audit": self.audit,
        }
        return token_manager(**{**usual, **self.options, **options})

    def enable(self, user_id: str, *, enabled: bool = True, roles: tuple[str, ...] | None = None) -> None:
        """Put a user into the accounts."""
        self.accounts.put(user_id, Credential(user_id=user_id, password_hash=None, enabled=enabled, roles=roles))

    def login(self, user_id: str = "u-1", *, client_id: str = "web", **options: Any) -> TokenPair:
        """Begin a session."""
        return self.manager.start_session(user_id, RequestContext(client_id=client_id), **options)

    def refresh(self, pair: TokenPair, *, manager: TokenManager | None = None, **options: Any) -> TokenPair:
        """Renew a session, as its own client."""
        return (manager or self.manager).refresh(pair.refresh_token, RequestContext(client_id="web"), **options)

    def family(self, pair: TokenPair) -> RefreshFamily:
        """Return the stored session."""
        family = self.kept_families.find(pair.session)
        assert family is not None
        return family

    def events(self) -> list[AuditEvent]:
        """Return what the audit trail has."""
        assert self.audit.flush(10.0).complete
        return list(self.sink.events)

    def event_types(self) -> list[str]:
        """Return the types of the events, in order."""
        return [event.type for event in self.events()]


@pytest.fixture
def build_house(clock: FrozenClock) -> Iterator[Callable[..., House]]:
    """Return a function that makes a service; its options are those of ``TokenManager``."""
    built: list[House] = []

    def build(**options: Any) -> House:
        sink = MemorySink()
        built.append(House(clock, sink, AuditLogger([sink], service="identity"), options))
        return built[-1]

    yield build
    for house in built:
        house.audit.close()


@pytest.fixture
def house(build_house: Callable[..., House]) -> House:
    """Return a service with the usual profile."""
    return build_house()


@pytest.fixture
def stored() -> Callable[[House], str]:
    """Return a function that writes down every field of every item in every store, those that ``repr`` hides too."""

    def dump(house: House) -> str:
        families = [dataclasses.asdict(family) for family in house.kept_families._families._values.values()]
        return repr((families, house.kept_revocations._denied._values, dict(house.kept_revocations._epochs)))

    return dump
