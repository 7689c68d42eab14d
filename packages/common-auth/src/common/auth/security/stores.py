"""The state that authentication keeps, each kind behind a protocol of its own, and the frozen values that go in and out.

What holds for every store:

- **Times** are seconds since the epoch (NumericDate, RFC 7519, section 2) and come from the caller's clock. A store never
  asks for the time. What has expired may still be there – DynamoDB deletes "typically within two days" – so every answer
  that depends on time is compared with the *now* of the call, and what is returned is compared by the caller.
- **Conditions** are part of the write: two callers never both succeed where one must. A write whose condition failed has
  changed nothing, and its answer carries what is stored, so that the loser needs no second read
  (``ReturnValuesOnConditionCheckFailure=ALL_OLD``).
- **Reads** see every write that was acknowledged before, unless they are marked as eventually consistent.
- **Errors**: ``StoreUnavailable`` where the store does not answer; a write may then have happened or not, and every write
  here can be repeated. Nothing else is raised on purpose; a condition that fails is an answer.
- **Threads**: every method may be called from any thread.

:mod:`common.auth.security.memory_stores` keeps the state in this process, ``common.auth.dynamo`` in a table;
:mod:`common.auth.testing` has the suite that both pass, for stores of your own.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

__all__ = [
    "ApiKeyRecord",
    "ApiKeyStore",
    "Credential",
    "CredentialStore",
    "FamilyChange",
    "LoginCounter",
    "LoginCounterChange",
    "LoginCounterStore",
    "NonceStore",
    "RefreshFamily",
    "RefreshFamilyStore",
    "RevocationStore",
    "Revocations",
    "StoredHashes",
    "Successor",
]


# Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshFamily:
    """A session: the refresh tokens that follow one another since one login. It holds none of them.

    The signed token cannot be made from what is here without the signing key.
    """

    session: str = field(repr=False)
    """The session id, claim ``sid``; the primary key."""
    generation: int
    """Which refresh token of the family is the current one; the first is 1."""
    token_id: str = field(repr=False)
    """The current token's ``jti``."""
    issued_at: int
    """The current token's ``iat``."""
    key_id: str
    """The current token's ``kid``."""
    rotated_at: float
    """When this generation began."""
    user_id: str
    """Claim ``sub``; the key of the index that lists a user's sessions."""
    client_id: str
    epoch: int
    """The user's epoch at the login, claim ``ver``."""
    created_at: float
    expires_at: int
    """The end of the session whatever happens; rotation never moves it."""
    idle_expires_at: int
    """The end of the session unless it is rotated before; never after :attr:`expires_at`."""
    revoked_at: float | None = None
    """When the session was ended; ``None`` while it lives."""
    scope: tuple[str, ...] = ()
    """What was granted at the login, in its order."""
    roles: tuple[str, ...] = ()
    authenticated_at: int | None = None
    """Claim ``auth_time``."""
    methods: tuple[str, ...] = ()
    """Claim ``amr``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """What a rotation writes; the generation grows by one."""

    token_id: str = field(repr=False)
    issued_at: int
    key_id: str
    rotated_at: float
    idle_expires_at: int


@dataclass(frozen=True, slots=True)
class FamilyChange:
    """What became of a conditional write on a family."""

    applied: bool
    """Whether this call changed it."""
    family: RefreshFamily | None
    """As it is stored after the call; ``None`` where there is no such session."""


class RefreshFamilyStore(Protocol):
    """Where sessions are. One item each; it may be deleted any time after :attr:`RefreshFamily.expires_at`."""

    def create(self, family: RefreshFamily) -> bool:
        """Store a new family; false, and nothing changed, where its session id is taken."""
        ...

    def rotate(self, session: str, *, expected: int, successor: Successor) -> FamilyChange:
        """Put *successor* in place of generation *expected*, in one conditional update and no read.

        Applied only where the generation is *expected*, the session is not revoked, and ``successor.rotated_at`` lies
        before ``expires_at`` and ``idle_expires_at`` of the stored family. Of any number of callers with one *expected*,
        exactly one is told that it was applied; the others get the family as the winner left it.
        """
        ...

    def revoke(self, session: str, *, at: float) -> FamilyChange:
        """Set ``revoked_at`` where it is not set; one conditional update. The first time stays."""
        ...

    def find(self, session: str) -> RefreshFamily | None:
        """Return the family, by a consistent read; expired and revoked ones too."""
        ...

    def of_user(self, user_id: str) -> Sequence[RefreshFamily]:
        """Return all stored families of a user, in any order, ended ones too; eventually consistent (an index)."""
        ...


@dataclass(frozen=True, slots=True)
class Revocations:
    """What a revocation store knows about one user and some ids."""

    epoch: int
    """The user's epoch; 0 where it was never raised."""
    denied: Mapping[str, float] = field(default_factory=dict, repr=False)
    """Until when each id is denied; ids that are not denied are absent. Compare it with the clock."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "denied", MappingProxyType(dict(self.denied)))


class RevocationStore(Protocol):
    """Which tokens and sessions are refused before their time, and the epoch of each user."""

    def deny(self, identifier: str, *, expires_at: float) -> None:
        """Refuse *identifier*, a token id or a session id, until *expires_at*.

        Idempotent; where it is denied already, the later expiry stays. The entry may be deleted after it.
        """
        ...

    def raise_epoch(self, user_id: str) -> int:
        """Add one to the user's epoch in one atomic write, and return the new one; the first is 1. It never expires.

        A repeat after ``StoreUnavailable`` may raise it by two, which ends the same sessions.
        """
        ...

    def look_up(self, user_id: str, identifiers: Collection[str] = (), *, consistent: bool = False) -> Revocations:
        """Return the user's epoch and which of *identifiers* are denied, in one request.

        Args:
            user_id: Whose epoch.
            identifiers: At most 10.
            consistent: See every acknowledged write; otherwise the answer may be some seconds old.
        """
        ...


# Logins


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCounter:
    """What happened in one bucket, such as an account or a network."""

    attempts: int
    """Attempts since the last success, those under way included."""
    blocked_until: float = 0.0
    """No attempt may begin before."""
    expires_at: float
    """From then on it counts as absent, and may be deleted."""


@dataclass(frozen=True, slots=True)
class LoginCounterChange:
    """What became of :meth:`LoginCounterStore.exchange`."""

    applied: bool
    counter: LoginCounter | None
    """As it is stored after the call; ``None`` where there is none."""


class LoginCounterStore(Protocol):
    """Counts attempts to log in, by bucket. Buckets are opaque names; the caller hashes what identifies a person.

    Account buckets change by :meth:`exchange`, so that a decision (may this attempt begin, when may the next) and its
    count are one step however many decide at once. Buckets that many share are split in shards and change by :meth:`add`.
    """

    def read(self, bucket: str) -> LoginCounter | None:
        """Return the counter, by a consistent read; an expired one too."""
        ...

    def exchange(self, bucket: str, *, expected: LoginCounter | None, new: LoginCounter | None) -> LoginCounterChange:
        """Store *new* where the stored counter equals *expected* in every field, in one conditional write.

        Args:
            bucket: Which.
            expected: ``None`` for a bucket that has no counter. The first attempt needs no read before.
            new: ``None`` deletes it.
        """
        ...

    def add(self, bucket: str, amount: int, *, expires_at: float) -> int:
        """Add *amount*, which may be negative, to the attempts, in one atomic write; return the new number.

        ``blocked_until`` is left alone; the later expiry stays. Nobody starts the count anew when it expires: put the
        window's beginning into the bucket's name. An ``add`` that is repeated after ``StoreUnavailable`` may count twice.
        """
        ...

    def clear(self, bucket: str) -> None:
        """Delete the counter, whatever it says."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """How one user proves who they are."""

    user_id: str
    """The opaque id that tokens carry in ``sub``."""
    password_hash: str | None = field(repr=False)
    """As ``PasswordManager.hash`` returned it; ``None`` for a user without a password."""
    enabled: bool = True
    """A disabled user neither logs in nor renews a session."""
    roles: tuple[str, ...] | None = None
    """What new tokens grant; ``None`` where the store does not know, and a session keeps what it began with."""


class StoredHashes(Protocol):
    """Whoever can list the password hashes."""

    def stored_hashes(self) -> Iterable[str]:
        """Return every stored password hash, in any order; a scan, for operators' questions."""
        ...


class CredentialStore(StoredHashes, Protocol):
    """Where the password hashes of the users are."""

    def find(self, identifier: str) -> Credential | None:
        """Return the credential of whoever logs in as *identifier*, such as a user name; a consistent read.

        *identifier* is what somebody typed: any text at all, and none of it makes this raise.
        """
        ...

    def of_user(self, user_id: str) -> Credential | None:
        """Return the credential by the opaque user id; a consistent read."""
        ...

    def replace_hash(self, user_id: str, *, expected: str, new: str) -> bool:
        """Store *new* where the stored hash is still *expected*; false, and nothing changed, otherwise."""
        ...


# Machines


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRecord:
    """An API key, without the secret that makes it one."""

    key_id: str
    """The public part; the primary key."""
    owner: str
    digest: bytes = field(repr=False)
    """Hash of the secret. Compare it in constant time."""
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float
    """Past it the key is refused, and the record may be deleted."""
    revoked_at: float | None = None
    last_used_at: float | None = None


class ApiKeyStore(Protocol):
    """Where API keys are."""

    def create(self, record: ApiKeyRecord) -> bool:
        """Store a new key; false, and nothing changed, where its id is taken."""
        ...

    def find(self, key_id: str) -> ApiKeyRecord | None:
        """Return the key, by a consistent read; expired and revoked ones too."""
        ...

    def of_owner(self, owner: str) -> Sequence[ApiKeyRecord]:
        """Return all stored keys of an owner, in any order; eventually consistent (an index)."""
        ...

    def revoke(self, key_id: str, *, at: float) -> bool:
        """Set ``revoked_at`` where it is not set; the first time stays. False where there is no such key."""
        ...

    def touch(self, key_id: str, *, at: float, at_most_every: float) -> bool:
        """Set ``last_used_at`` to *at* where it is unset or at least *at_most_every* seconds before; tell whether it was.

        One conditional write; it never creates a record.
        """
        ...


class NonceStore(Protocol):
    """Remembers what may be used once, for all processes."""

    def claim(self, nonce: str, *, expires_at: float, now: float) -> bool:
        """Remember *nonce* until *expires_at*, by one conditional put; tell whether this was its first use.

        One whose expiry has come at *now* counts as never used, though it may still be stored.
        """
        ...
