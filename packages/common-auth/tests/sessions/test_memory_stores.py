"""The stores in memory keep the laws of stores, and the laws are worth keeping (auth F13)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.auth.exceptions import ConfigurationError
from common.auth.security.memory_stores import (
    MemoryApiKeyStore,
    MemoryCredentialStore,
    MemoryLoginCounterStore,
    MemoryNonceStore,
    MemoryRefreshFamilyStore,
    MemoryRevocationStore,
)
from common.auth.security.stores import Credential, FamilyChange, LoginCounterChange, Revocations
from common.auth.testing.store_laws import (
    API_KEY_LAWS,
    CREDENTIAL_LAWS,
    LOGIN_COUNTER_LAWS,
    NONCE_LAWS,
    REFRESH_FAMILY_LAWS,
    REVOCATION_LAWS,
    check_outage,
    check_store,
    make_family,
    name_of,
)
from common.auth.testing.unreliable_store import UnreliableStore
from common.core.utils.clock import FrozenClock

STORES: list[tuple[type[Any], tuple[Callable[..., None], ...]]] = [
    (MemoryRefreshFamilyStore, REFRESH_FAMILY_LAWS),
    (MemoryRevocationStore, REVOCATION_LAWS),
    (MemoryLoginCounterStore, LOGIN_COUNTER_LAWS),
    (MemoryApiKeyStore, API_KEY_LAWS),
    (MemoryNonceStore, NONCE_LAWS),
]


@pytest.mark.parametrize(("kind", "law"), [(kind, law) for kind, laws in STORES for law in laws])
def test_the_stores_in_memory_keep_the_laws(kind: type[Any], law: Callable[..., None]) -> None:
    """Each law by itself, on a store of its own."""
    law(kind())


@pytest.mark.parametrize("law", CREDENTIAL_LAWS, ids=name_of)
def test_the_credentials_in_memory_keep_the_laws(law: Callable[..., None]) -> None:
    """Users are put there by their maker."""
    store = MemoryCredentialStore()

    def make_user(identifier: str, password_hash: str | None) -> str:
        store.put(identifier, Credential(user_id=f"id of {identifier}", password_hash=password_hash))
        return f"id of {identifier}"

    law(store, make_user)


@pytest.mark.parametrize(("kind", "laws"), STORES)
def test_one_call_tries_all_laws_on_one_store(kind: type[Any], laws: tuple[Callable[..., None], ...]) -> None:
    """It finds out what kind of store it was given, and the laws do not get into each other's way."""
    assert tuple(map(name_of, laws)) == check_store(kind())


@pytest.mark.parametrize("kind", [*(kind for kind, _ in STORES), MemoryCredentialStore])
def test_every_method_tells_an_outage(kind: type[Any]) -> None:
    """A store that is away says so from each of its methods, in the one way that callers know."""
    store = UnreliableStore(kind())
    store.is_down = True

    called = check_outage(store)

    assert set(called) == set(store.calls)


@pytest.mark.parametrize("error", [None, OSError("no route to host")])
def test_an_outage_told_in_another_way_is_found(error: Exception | None) -> None:
    """Neither an answer nor a foreign exception passes for ``StoreUnavailable``."""
    store = UnreliableStore(MemoryNonceStore())
    store.is_down = error is not None
    store.error = lambda: error or OSError()

    with pytest.raises(AssertionError, match="outage"):
        check_outage(store)


@pytest.mark.parametrize("check", [check_store, check_outage])
def test_what_is_no_store_is_refused(check: Callable[[Any], object]) -> None:
    """The error says so, instead of passing an object that was never tried."""
    with pytest.raises(ConfigurationError, match="no store"):
        check(object())


class _LastWriterWins(MemoryRefreshFamilyStore):
    def rotate(self, session: str, *, expected: int, successor: Any) -> FamilyChange:
        family = self.find(session)
        if family is None:
            return FamilyChange(False, None)
        return super().rotate(session, expected=family.generation, successor=successor)


class _SilentLoser(MemoryRefreshFamilyStore):
    def rotate(self, session: str, *, expected: int, successor: Any) -> FamilyChange:
        change = super().rotate(session, expected=expected, successor=successor)
        return change if change.applied else FamilyChange(False, None)


class _ForgetfulOfMethods(MemoryRefreshFamilyStore):
    def create(self, family: Any) -> bool:
        return super().create(replace(family, methods=()))


class _DropsRaises(MemoryRevocationStore):
    def raise_epoch(self, user_id: str) -> int:
        return min(2, super().raise_epoch(user_id))


class _ShortensDenials(MemoryRevocationStore):
    def deny(self, identifier: str, *, expires_at: float) -> None:
        with self._denied.writing() as denied:
            denied[identifier] = expires_at


class _DeniesAll(MemoryRevocationStore):
    def look_up(self, user_id: str, identifiers: Any = (), *, consistent: bool = False) -> Revocations:
        return Revocations(0, dict.fromkeys(identifiers, 0.0))


class _ChecksThenActs(MemoryLoginCounterStore):
    def exchange(self, bucket: str, *, expected: Any, new: Any) -> LoginCounterChange:
        current = self.read(bucket)
        return super().exchange(bucket, expected=current, new=new)


class _ReplaysNonces(MemoryNonceStore):
    def claim(self, nonce: str, *, expires_at: float, now: float) -> bool:
        super().claim(nonce, expires_at=expires_at, now=now)
        return True


class _UnrevokesKeys(MemoryApiKeyStore):
    def revoke(self, key_id: str, *, at: float) -> bool:
        return self.find(key_id) is not None


@pytest.mark.parametrize(
    "broken",
    [
        *(_LastWriterWins, _SilentLoser, _ForgetfulOfMethods, _DropsRaises, _ShortensDenials, _DeniesAll),
        *(_ChecksThenActs, _ReplaysNonces, _UnrevokesKeys),
    ],
)
def test_a_broken_store_is_found_out(broken: type[Any]) -> None:
    """The laws can fail: each of these stores breaks one, and is told which promise."""
    with pytest.raises(AssertionError, match="breaks a promise"):
        check_store(broken())


def test_what_has_expired_is_forgotten() -> None:
    """A store in memory does not grow with time: every thousand writes it throws away what has expired by its clock."""
    clock = FrozenClock()
    now = clock.now().timestamp()
    store = MemoryRevocationStore(clock=clock)
    for number in range(1500):
        store.deny(f"token {number}", expires_at=now + 60)
    clock.advance(timedelta(minutes=2))

    for number in range(1500, 2000):
        store.deny(f"token {number}", expires_at=now + 600)

    assert "500 denied" in repr(store)


def test_representations_show_numbers_alone() -> None:
    """No id of a session or a token is shown by a store or by what it returns."""
    family = make_family()
    store = MemoryRefreshFamilyStore()
    store.create(family)
    revocations = MemoryRevocationStore()
    revocations.deny("token-1", expires_at=1.0)
    shown = f"{store} {family} {store.revoke(family.session, at=1.0)} {revocations.look_up('u', ['token-1'])}"

    assert "1 sessions" in shown
    assert not any(secret in shown for secret in (family.session, family.token_id, "token-1"))
