"""The stores of :mod:`common.auth.security.stores` in the memory of one process: for tests, tools and single processes.

Each is safe to use from any thread, keeps every condition under one lock, and forgets what has expired: it asks its clock
for that alone, as a table does by itself. Nothing survives the process, and no other process sees it.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Generic, TypeVar

from common.auth.security.clock import SYSTEM, Clock, epoch_seconds
from common.auth.security.stores import (
    ApiKeyRecord,
    Credential,
    FamilyChange,
    LoginCounter,
    LoginCounterChange,
    RefreshFamily,
    Revocations,
    Successor,
)

__all__ = [
    "MemoryApiKeyStore",
    "MemoryCredentialStore",
    "MemoryLoginCounterStore",
    "MemoryNonceStore",
    "MemoryRefreshFamilyStore",
    "MemoryRevocationStore",
]

V = TypeVar("V")

_WRITES_PER_SWEEP: Final = 1000


class _Shelf(Generic[V]):
    """Values by key, under one lock; every thousand writes, those that have expired are thrown away."""

    def __init__(self, clock: Clock, expiry: Callable[[V], float]) -> None:
        self._clock = clock
        self._expiry = expiry
        self._lock = threading.Lock()
        self._values: dict[str, V] = {}
        self._writes = 0

    @contextmanager
    def reading(self) -> Iterator[dict[str, V]]:
        """Hold the lock, and give the values."""
        with self._lock:
            yield self._values

    @contextmanager
    def writing(self) -> Iterator[dict[str, V]]:
        """Same, for a change."""
        with self._lock:
            yield self._values
            self._writes += 1
            if self._writes % _WRITES_PER_SWEEP == 0:
                self._sweep()

    def _sweep(self) -> None:
        now = epoch_seconds(self._clock)
        for key in [key for key, value in self._values.items() if self._expiry(value) <= now]:
            del self._values[key]

    def __len__(self) -> int:
        return len(self._values)


class MemoryRefreshFamilyStore:
    """Keeps sessions. The index of users is a walk over all of them.

    Args:
        clock: Tells what has expired.
    """

    def __init__(self, *, clock: Clock = SYSTEM) -> None:
        self._families: _Shelf[RefreshFamily] = _Shelf(clock, lambda family: family.expires_at)

    def create(self, family: RefreshFamily) -> bool:
        """See :class:`~common.auth.security.stores.RefreshFamilyStore`."""
        with self._families.writing() as families:
            if family.session in families:
                return False
            families[family.session] = family
            return True

    def rotate(self, session: str, *, expected: int, successor: Successor) -> FamilyChange:
        """See :class:`~common.auth.security.stores.RefreshFamilyStore`."""
        with self._families.writing() as families:
            family = families.get(session)
            if family is None or not _may_rotate(family, expected, successor.rotated_at):
                return FamilyChange(False, family)
            families[session] = replace(
                family,
                generation=expected + 1,
                token_id=successor.token_id,
                issued_at=successor.issued_at,
                key_id=successor.key_id,
                rotated_at=successor.rotated_at,
                idle_expires_at=successor.idle_expires_at,
            )
            return FamilyChange(True, families[session])

    def revoke(self, session: str, *, at: float) -> FamilyChange:
        """See :class:`~common.auth.security.stores.RefreshFamilyStore`."""
        with self._families.writing() as families:
            family = families.get(session)
            if family is None or family.revoked_at is not None:
                return FamilyChange(False, family)
            families[session] = replace(family, revoked_at=at)
            return FamilyChange(True, families[session])

    def find(self, session: str) -> RefreshFamily | None:
        """See :class:`~common.auth.security.stores.RefreshFamilyStore`."""
        with self._families.reading() as families:
            return families.get(session)

    def of_user(self, user_id: str) -> Sequence[RefreshFamily]:
        """See :class:`~common.auth.security.stores.RefreshFamilyStore`."""
        with self._families.reading() as families:
            return [family for family in families.values() if family.user_id == user_id]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._families)} sessions)"


def _may_rotate(family: RefreshFamily, expected: int, now: float) -> bool:
    is_current = family.generation == expected and family.revoked_at is None
    return is_current and now < min(family.expires_at, family.idle_expires_at)


class MemoryRevocationStore:
    """Keeps denied ids until they expire, and the epochs of users for ever. Every read is consistent.

    Args:
        clock: Tells what has expired.
    """

    def __init__(self, *, clock: Clock = SYSTEM) -> None:
        self._denied: _Shelf[float] = _Shelf(clock, float)
        self._epochs: defaultdict[str, int] = defaultdict(int)

    def deny(self, identifier: str, *, expires_at: float) -> None:
        """See :class:`~common.auth.security.stores.RevocationStore`."""
        with self._denied.writing() as denied:
            denied[identifier] = max(expires_at, denied.get(identifier, expires_at))

    def raise_epoch(self, user_id: str) -> int:
        """See :class:`~common.auth.security.stores.RevocationStore`."""
        with self._denied.writing():
            self._epochs[user_id] += 1
            return self._epochs[user_id]

    def look_up(self, user_id: str, identifiers: Collection[str] = (), *, consistent: bool = False) -> Revocations:
        """See :class:`~common.auth.security.stores.RevocationStore`."""
        with self._denied.reading() as denied:
            found = {identifier: denied[identifier] for identifier in identifiers if identifier in denied}
            return Revocations(self._epochs.get(user_id, 0), found)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._denied)} denied, {len(self._epochs)} epochs)"


class MemoryLoginCounterStore:
    """Keeps the counters of attempts to log in.

    Args:
        clock: Tells what has expired.
    """

    def __init__(self, *, clock: Clock = SYSTEM) -> None:
        self._counters: _Shelf[LoginCounter] = _Shelf(clock, lambda counter: counter.expires_at)

    def read(self, bucket: str) -> LoginCounter | None:
        """See :class:`~common.auth.security.stores.LoginCounterStore`."""
        with self._counters.reading() as counters:
            return counters.get(bucket)

    def exchange(self, bucket: str, *, expected: LoginCounter | None, new: LoginCounter | None) -> LoginCounterChange:
        """See :class:`~common.auth.security.stores.LoginCounterStore`."""
        with self._counters.writing() as counters:
            current = counters.get(bucket)
            if current != expected:
                return LoginCounterChange(False, current)
            if new is None:
                counters.pop(bucket, None)
            else:
                counters[bucket] = new
            return LoginCounterChange(True, new)

    def add(self, bucket: str, amount: int, *, expires_at: float) -> int:
        """See :class:`~common.auth.security.stores.LoginCounterStore`."""
        with self._counters.writing() as counters:
            current = counters.get(bucket) or LoginCounter(attempts=0, expires_at=expires_at)
            counters[bucket] = replace(
                current, attempts=current.attempts + amount, expires_at=max(current.expires_at, expires_at)
            )
            return counters[bucket].attempts

    def clear(self, bucket: str) -> None:
        """See :class:`~common.auth.security.stores.LoginCounterStore`."""
        with self._counters.writing() as counters:
            counters.pop(bucket, None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._counters)} buckets)"


class MemoryCredentialStore:
    """Keeps credentials, each under the identifier its user logs in by.

    Args:
        credentials: By identifier.
    """

    def __init__(self, credentials: Iterable[tuple[str, Credential]] = ()) -> None:
        self._lock = threading.Lock()
        self._by_user: dict[str, Credential] = {}
        self._users: dict[str, str] = {}
        for identifier, credential in credentials:
            self.put(identifier, credential)

    def put(self, identifier: str, credential: Credential) -> None:
        """Add or replace the credential of the user who logs in as *identifier*."""
        with self._lock:
            self._users[identifier] = credential.user_id
            self._by_user[credential.user_id] = credential

    def find(self, identifier: str) -> Credential | None:
        """See :class:`~common.auth.security.stores.CredentialStore`."""
        with self._lock:
            user_id = self._users.get(identifier)
            return None if user_id is None else self._by_user.get(user_id)

    def of_user(self, user_id: str) -> Credential | None:
        """See :class:`~common.auth.security.stores.CredentialStore`."""
        with self._lock:
            return self._by_user.get(user_id)

    def replace_hash(self, user_id: str, *, expected: str, new: str) -> bool:
        """See :class:`~common.auth.security.stores.CredentialStore`."""
        with self._lock:
            current = self._by_user.get(user_id)
            # Both are stored hashes that the caller has read: neither is guessed at, so time tells nobody anything.
            if current is None or current.password_hash != expected:
                return False
            self._by_user[user_id] = replace(current, password_hash=new)
            return True

    def stored_hashes(self) -> Iterable[str]:
        """See :class:`~common.auth.security.stores.CredentialStore`."""
        with self._lock:
            return [c.password_hash for c in self._by_user.values() if c.password_hash is not None]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._by_user)} users)"


class MemoryApiKeyStore:
    """Keeps API keys.

    Args:
        clock: Tells what has expired.
    """

    def __init__(self, *, clock: Clock = SYSTEM) -> None:
        self._keys: _Shelf[ApiKeyRecord] = _Shelf(clock, lambda record: record.expires_at)

    def create(self, record: ApiKeyRecord) -> bool:
        """See :class:`~common.auth.security.stores.ApiKeyStore`."""
        with self._keys.writing() as keys:
            if record.key_id in keys:
                return False
            keys[record.key_id] = record
            return True

    def find(self, key_id: str) -> ApiKeyRecord | None:
        """See :class:`~common.auth.security.stores.ApiKeyStore`."""
        with self._keys.reading() as keys:
            return keys.get(key_id)

    def of_owner(self, owner: str) -> Sequence[ApiKeyRecord]:
        """See :class:`~common.auth.security.stores.ApiKeyStore`."""
        with self._keys.reading() as keys:
            return [record for record in keys.values() if record.owner == owner]

    def revoke(self, key_id: str, *, at: float) -> bool:
        """See :class:`~common.auth.security.stores.ApiKeyStore`."""
        with self._keys.writing() as keys:
            record = keys.get(key_id)
            if record is None:
                return False
            if record.revoked_at is None:
                keys[key_id] = replace(record, revoked_at=at)
            return True

    def touch(self, key_id: str, *, at: float, at_most_every: float) -> bool:
        """See :class:`~common.auth.security.stores.ApiKeyStore`."""
        with self._keys.writing() as keys:
            record = keys.get(key_id)
            if record is None or (record.last_used_at is not None and record.last_used_at > at - at_most_every):
                return False
            keys[key_id] = replace(record, last_used_at=at)
            return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._keys)} keys)"


class MemoryNonceStore:
    """Keeps what was used once, until it expires.

    Args:
        clock: Tells what has expired.
    """

    def __init__(self, *, clock: Clock = SYSTEM) -> None:
        self._nonces: _Shelf[float] = _Shelf(clock, float)

    def claim(self, nonce: str, *, expires_at: float, now: float) -> bool:
        """See :class:`~common.auth.security.stores.NonceStore`."""
        with self._nonces.writing() as nonces:
            if nonces.get(nonce, now) > now:
                return False
            nonces[nonce] = expires_at
            return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._nonces)} nonces)"
