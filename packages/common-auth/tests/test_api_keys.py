"""API keys are shown once, stored as hashes, and end (auth F12; ASVS 6.5.2)."""

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.auth.doctor import doctor
from common.auth.exceptions import (
    ApiKeyInvalid,
    ConfigurationError,
    InvalidClaim,
    ScopeRequired,
    StoreUnavailable,
    WeakKey,
)
from common.auth.security.api_key_format import ApiKeyText, base62
from common.auth.security.api_keys import ApiKeyManager, IssuedApiKey
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink
from common.auth.security.context import RequestContext
from common.auth.security.memory_stores import MemoryApiKeyStore
from common.auth.security.secrets import SecretBytes, SecretStr
from common.auth.security.stores import ApiKeyRecord
from common.core.utils.clock import FrozenClock
from common.exceptions import to_problem

YEAR = timedelta(days=365)


class CountedStore(MemoryApiKeyStore):
    """The real store in memory, and how often it was asked; while ``error`` is set, it raises that."""

    def __init__(self, clock: FrozenClock) -> None:
        super().__init__(clock=clock)
        self.reads = self.writes = 0
        self.error: Exception | None = None

    def find(self, key_id: str) -> ApiKeyRecord | None:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return super().find(key_id)

    def touch(self, key_id: str, *, at: float, at_most_every: float) -> bool:
        if self.error is not None:
            raise self.error
        self.writes += 1
        return super().touch(key_id, at=at, at_most_every=at_most_every)


@pytest.fixture
def store(clock: FrozenClock) -> CountedStore:
    """Return an empty store."""
    return CountedStore(clock)


@pytest.fixture
def keys(store: CountedStore, clock: FrozenClock) -> ApiKeyManager:
    """Return a manager over the store."""
    return ApiKeyManager(store, environment="live", clock=clock)


def issued(keys: ApiKeyManager, clock: FrozenClock, *scopes: str, life: timedelta = YEAR) -> IssuedApiKey:
    """Issue a key of ``billing``."""
    return keys.issue("billing", scopes or ("orders:read",), expires=clock.now() + life)


def test_a_key_says_whose_it_is_and_what_it_may_do(keys: ApiKeyManager, clock: FrozenClock) -> None:
    """Owner, scopes and end come back."""
    key = issued(keys, clock, "orders:read", "orders:write", "orders:read")
    identity = keys.verify(key.key.reveal(), scope="orders:write")

    assert ("billing", frozenset({"orders:read", "orders:write"})) == (identity.owner, identity.scopes)
    assert identity.key_id == key.summary.key_id
    assert clock.now() + YEAR == identity.expires_at


def test_the_form_of_a_key(keys: ApiKeyManager, clock: FrozenClock) -> None:
    """A prefix for scanners, an id, 192 random bits, and a CRC-32 of all of it."""
    text = issued(keys, clock).key.reveal()
    body, _, checksum = text.rpartition("_")

    assert re.fullmatch(r"ca_live_[0-9A-Za-z]{17}_[0-9A-Za-z]{33}_[0-9A-Za-z]{6}", text)
    assert checksum == base62(zlib.crc32(body.encode()).to_bytes(4, "big"))


def test_the_secret_comes_from_the_entropy_that_was_given(store: CountedStore, clock: FrozenClock) -> None:
    """24 bytes of it, besides 12 of the id."""
    asked: list[int] = []

    def entropy(count: int) -> bytes:
        asked.append(count)
        return bytes(range(count))

    key = ApiKeyManager(store, environment="live", clock=clock, entropy=entropy)
    text = issued(key, clock).key.reveal()

    assert [12, 24] == asked
    assert base62(bytes(range(24))) in text


@pytest.mark.parametrize("pepper", [None, SecretBytes(secrets.token_bytes(32))], ids=["plain", "keyed"])
def test_a_dump_of_the_store_holds_no_secret(
    store: CountedStore, clock: FrozenClock, pepper: SecretBytes | None
) -> None:
    """SHA-256, or HMAC-SHA-256 under a key that is not in the store."""
    key = issued(ApiKeyManager(store, environment="live", key=pepper, clock=clock), clock)
    _, _, key_id, secret, _ = key.key.reveal().split("_")
    (record,) = store.of_owner("billing")
    dump = " ".join(str(getattr(record, name)) for name in ApiKeyRecord.__slots__)
    octets = f"live\0{key_id}\0{secret}".encode()

    assert secret not in dump
    assert key.key.reveal() not in dump
    if pepper is None:
        assert record.digest == hashlib.sha256(octets).digest()
    else:
        assert record.digest == hmac.digest(pepper.reveal(), octets, "sha256")


def mistyped(key: str) -> str:
    """Change one character of the secret."""
    return key[:-9] + ("x" if key[-9] != "x" else "y") + key[-8:]


def with_checksum(body: str) -> str:
    """Write the right checksum behind *body*, as anybody can."""
    return f"{body}_{base62(zlib.crc32(body.encode()).to_bytes(4, 'big'))}"


UNREAD: dict[str, Callable[[str], Any]] = {
    "wrong checksum": mistyped,
    "swapped characters": lambda key: key[:-7] + key[-6:] + key[-7],
    "other environment": lambda key: with_checksum(key.rpartition("_")[0].replace("_live_", "_test_")),
    "cut": lambda key: key[:-1],
    "longer": lambda key: key + "x",
    "line end": lambda key: key + "\n",
    "another prefix": lambda key: "cb" + key[2:],
    "empty": lambda key: "",
    "megabytes": lambda key: key * 100_000,
    "bytes": lambda key: key.encode(),
    "none": lambda key: None,
    "surrogate": lambda key: key[:-1] + "\ud800",
    "digits of another script": lambda key: key[:-1] + "٣",
}


@pytest.mark.parametrize("change", UNREAD.values(), ids=UNREAD)
def test_what_cannot_be_a_key_of_ours_is_refused_unread(
    keys: ApiKeyManager, store: CountedStore, clock: FrozenClock, change: Callable[[str], Any]
) -> None:
    """A mistyped key, one of another environment and garbage cost no read."""
    key = issued(keys, clock)

    with pytest.raises(ApiKeyInvalid):
        keys.verify(change(key.key.reveal()))
    assert 0 == store.reads


def test_a_made_up_key_with_a_right_checksum_is_refused(
    keys: ApiKeyManager, store: CountedStore, clock: FrozenClock
) -> None:
    """An id that is not there, and one that is, with another secret."""
    body = issued(keys, clock).key.reveal().rpartition("_")[0]
    stem, _, secret = body.rpartition("_")
    for made_up in (f"{stem}_{'0' * len(secret)}", f"ca_live_{'0' * 17}_{secret}"):
        with pytest.raises(ApiKeyInvalid):
            keys.verify(with_checksum(made_up))
    assert 2 == store.reads


def test_a_key_of_another_pepper_is_refused(store: CountedStore, clock: FrozenClock) -> None:
    """Whoever writes a hash into the table has no key that verifies."""
    key = issued(ApiKeyManager(store, environment="live", clock=clock), clock)
    peppered = ApiKeyManager(store, environment="live", key=SecretBytes(secrets.token_bytes(32)), clock=clock)

    with pytest.raises(ApiKeyInvalid):
        peppered.verify(key.key.reveal())


def test_a_revoked_key_ends_at_once(keys: ApiKeyManager, clock: FrozenClock) -> None:
    """Also when it is revoked twice; an unknown one is told."""
    key = issued(keys, clock)
    assert keys.verify(key.key.reveal())
    assert keys.revoke(key.summary.key_id)
    assert keys.revoke(key.summary.key_id)
    assert not keys.revoke("unknown")

    with pytest.raises(ApiKeyInvalid) as refused:
        keys.verify(key.key.reveal())
    assert "revoked_key" == refused.value.reason


def test_a_key_ends_by_the_clock(keys: ApiKeyManager, clock: FrozenClock) -> None:
    """To the second, whether its record was deleted or not."""
    key = issued(keys, clock, life=timedelta(hours=1))
    clock.advance(timedelta(minutes=59, seconds=59))
    assert keys.verify(key.key.reveal())
    clock.advance(timedelta(seconds=1))

    with pytest.raises(ApiKeyInvalid) as refused:
        keys.verify(key.key.reveal())
    assert "expired_key" == refused.value.reason


def test_a_scope_that_is_missing_is_forbidden_not_unknown(keys: ApiKeyManager, clock: FrozenClock) -> None:
    """The holder is proven, so the answer is 403."""
    key = issued(keys, clock, "orders:read")

    with pytest.raises(ScopeRequired) as refused:
        keys.verify(key.key.reveal(), scope="orders:write")
    assert 403 == to_problem(refused.value).status
    with pytest.raises(ScopeRequired):
        keys.verify(key.key.reveal(), scope="orders:rea")


def test_from_outside_all_refusals_look_alike(keys: ApiKeyManager, clock: FrozenClock) -> None:
    """Malformed, unknown, revoked, expired: one answer, with a challenge."""
    revoked, expired = issued(keys, clock), issued(keys, clock, life=timedelta(seconds=1))
    keys.revoke(revoked.summary.key_id)
    clock.advance(timedelta(seconds=1))
    answers = []
    for shown in ("x", mistyped(revoked.key.reveal()), revoked.key.reveal(), expired.key.reveal()):
        with pytest.raises(ApiKeyInvalid) as refused:
            keys.verify(shown)
        answers.append(to_problem(refused.value, request_id="r-1"))

    assert all(answer == answers[0] for answer in answers)
    assert (401, "Bearer") == (answers[0].status, answers[0].headers["WWW-Authenticate"])


def test_two_keys_are_valid_during_a_rotation(keys: ApiKeyManager, clock: FrozenClock) -> None:
    """The second has the owner and the scopes of the first; the holder changes over, then the first is revoked."""
    first = issued(keys, clock, "orders:read", "orders:write")
    second = keys.rotate(first.summary.key_id, expires=clock.now() + YEAR)
    both = [keys.verify(key.key.reveal()) for key in (first, second)]
    assert (both[0].owner, both[0].scopes) == (both[1].owner, both[1].scopes)
    assert both[0].key_id != both[1].key_id

    keys.revoke(first.summary.key_id)
    assert keys.verify(second.key.reveal())
    with pytest.raises(ApiKeyInvalid):
        keys.rotate(first.summary.key_id, expires=clock.now() + YEAR)
    assert {first.summary.key_id, second.summary.key_id} == {key.key_id for key in keys.keys_of("billing")}


def test_a_use_is_remembered_once_a_minute(keys: ApiKeyManager, store: CountedStore, clock: FrozenClock) -> None:
    """However often and by however many processes a key is used."""
    key = issued(keys, clock)
    other = ApiKeyManager(store, environment="live", clock=clock)
    for _ in range(120):
        keys.verify(key.key.reveal())
        other.verify(key.key.reveal())
        clock.advance(timedelta(seconds=1))

    assert 2 == store.writes
    (summary,) = keys.keys_of("billing")
    assert clock.now() - timedelta(seconds=60) == summary.last_used_at


def test_a_use_that_cannot_be_remembered_fails_no_request(
    keys: ApiKeyManager, store: CountedStore, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is good all the same."""
    key = issued(keys, clock)

    def broken(key_id: str, *, at: float, at_most_every: float) -> bool:
        raise ConnectionError("lost")

    monkeypatch.setattr(store, "touch", broken)
    assert keys.verify(key.key.reveal())


@pytest.mark.parametrize("error", [ConnectionError("lost"), StoreUnavailable("down"), KeyError("bug")], ids=repr)
def test_where_the_store_is_down_nobody_is_let_in(
    keys: ApiKeyManager, store: CountedStore, clock: FrozenClock, error: Exception
) -> None:
    """Whatever it raises, the answer is 503 and has no cause of somebody else's in it."""
    key = issued(keys, clock)
    store.error = error
    with pytest.raises(StoreUnavailable) as refused:
        keys.verify(key.key.reveal())
    assert 503 == to_problem(refused.value).status


WRONG: dict[str, dict[str, Any]] = {
    "no owner": {"owner": ""},
    "owner with a space": {"owner": "bill ing"},
    "owner of no text": {"owner": 7},
    "no scope": {"scopes": ()},
    "one text": {"scopes": "orders:read"},
    "scope with a space": {"scopes": ("orders read",)},
    "scope of no text": {"scopes": (1,)},
    "too many": {"scopes": tuple(f"s{n}" for n in range(65))},
    "naive end": {"expires": datetime(2027, 1, 1)},  # noqa: DTZ001 - naive on purpose
    "no end": {"expires": None},
    "past": {"expires": datetime(2020, 1, 1, tzinfo=UTC)},
    "now": {"expires": datetime(2026, 11, 24, 12, tzinfo=UTC)},
    "too far": {"expires": datetime(2028, 1, 1, tzinfo=UTC)},
    "beyond": {"expires": datetime.max.replace(tzinfo=UTC)},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_malformed_argument_issues_nothing(
    keys: ApiKeyManager, store: CountedStore, clock: FrozenClock, change: dict[str, Any]
) -> None:
    """Every key has an owner, scopes, and an end that is not too far."""
    arguments = {"owner": "billing", "scopes": ("orders:read",), "expires": clock.now() + YEAR, **change}
    with pytest.raises(InvalidClaim):
        keys.issue(arguments.pop("owner"), arguments.pop("scopes"), **arguments)
    assert "CountedStore(0 keys)" == repr(store)


def test_a_taken_id_is_not_overwritten(store: CountedStore, clock: FrozenClock) -> None:
    """A broken source of random bytes is told; the first key stays as it is."""
    broken = ApiKeyManager(store, environment="live", clock=clock, entropy=bytes)
    first = issued(broken, clock, "orders:read")
    with pytest.raises(StoreUnavailable, match="random"):
        issued(broken, clock, "everything")

    assert {"orders:read"} == broken.verify(first.key.reveal()).scopes


def test_options_are_checked_when_the_manager_is_made(store: CountedStore) -> None:
    """An environment out of grammar, a weak key, an end that is none."""
    for environment in ("", "LIVE", "a_b", "x" * 17):
        with pytest.raises(ConfigurationError):
            ApiKeyManager(store, environment=environment)
    with pytest.raises(WeakKey):
        ApiKeyManager(store, environment="live", key=SecretBytes(b"short"))
    with pytest.raises(ConfigurationError):
        ApiKeyManager(store, environment="live", longest=timedelta(0))
    assert ["no_audit"] == [finding.code for finding in doctor(ApiKeyManager(store, environment="live"))]


def test_the_trail_has_each_key_and_no_secret(store: CountedStore, clock: FrozenClock) -> None:
    """Created, refused, out of scope, revoked: one event each, and the secret in none."""
    sink = MemorySink()
    audit = AuditLogger([sink], service="orders", clock=clock)
    keys = ApiKeyManager(store, environment="live", clock=clock, audit=audit)
    ctx = RequestContext(request_id="r-12345678", source_ip="192.0.2.7")
    key = issued(keys, clock)
    keys.verify(key.key.reveal(), ctx=ctx)
    with pytest.raises(ApiKeyInvalid):
        keys.verify(mistyped(key.key.reveal()), ctx=ctx)
    with pytest.raises(ScopeRequired):
        keys.verify(key.key.reveal(), scope="other", ctx=ctx)
    keys.revoke(key.summary.key_id)
    with pytest.raises(ApiKeyInvalid):
        keys.verify(key.key.reveal(), ctx=ctx)
    assert audit.close().complete
    seen = [(event.type, event.reason, event.details.get("client_id")) for event in sink.events]

    key_id = key.summary.key_id
    assert [
        ("authn_token_created", None, key_id),
        ("authn_login_fail", "malformed_key", None),
        ("authz_fail", "scope_missing", None),
        ("authn_token_revoked", None, key_id),
        ("authn_login_fail", "revoked_key", key_id),
    ] == seen
    assert ["r-12345678"] * 2 == [event.request_id for event in sink.events[1:3]]
    assert key.key.reveal().split("_")[3] not in repr(sink.events)


def test_nothing_shows_a_key(keys: ApiKeyManager, clock: FrozenClock) -> None:
    """Neither what was issued nor its parts nor the manager."""
    key = issued(keys, clock)
    parts = ApiKeyText.read(key.key.reveal())
    secret = key.key.reveal().split("_")[3]

    assert secret not in f"{key!r} {parts!r} {keys!r} {key.key}"


@given(st.binary(min_size=12, max_size=12), st.binary(min_size=24, max_size=24))
def test_reading_and_writing_a_key_are_inverse(key_id: bytes, secret: bytes) -> None:
    """For every id and secret."""
    text = ApiKeyText("test", base62(key_id), SecretStr(base62(secret)))

    assert text == ApiKeyText.read(text.written().reveal())


@given(st.text() | st.binary() | st.none() | st.integers())
def test_any_object_is_no_key(presented: Any) -> None:
    """And raises nothing while it is read."""
    assert ApiKeyText.read(presented) is None
