"""How much an endpoint asks before it trusts a token, and what it does while nobody answers (auth F8, F10)."""

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

import pytest

from common.auth.exceptions import (
    AuthUnavailable,
    ConfigurationError,
    RevocationUnavailable,
    TokenExpired,
    TokenRevoked,
)
from common.auth.security.context import RequestContext
from common.auth.security.keys import SigningKey
from common.auth.security.memory_stores import MemoryRefreshFamilyStore, MemoryRevocationStore
from common.auth.security.revocation_check import RevocationCheck, RevocationPolicy, token_name
from common.auth.security.session_values import Freshness, SessionProfile
from common.auth.security.stores import Revocations
from common.auth.security.token_claims import Claims
from common.auth.security.token_manager import TokenManager
from common.auth.testing import MOMENT, access_claims, token_manager
from common.auth.testing.store_laws.trying import at_once
from common.core.utils.clock import FrozenClock

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
EVERY = [Freshness.CACHED, Freshness.STRICT]


def is_live(manager: TokenManager, token: str, freshness: Freshness = Freshness.CACHED) -> bool:
    """Tell whether *manager* takes an access token."""
    try:
        manager.validate_live(token, freshness=freshness)
    except TokenRevoked:
        return False
    return True


def test_none_asks_nothing(house: Any) -> None:
    """Not even during a logout."""
    pair = house.login()
    house.manager.revoke_session(pair.session)
    house.revocations.calls.clear()

    assert is_live(house.manager, pair.access_token, Freshness.NONE)
    assert {} == house.revocations.calls


def test_cached_asks_once_in_its_time(house: Any, clock: FrozenClock) -> None:
    """One request for user, session and token together, and the next after 30 s."""
    pair = house.login()
    other = house.another()
    house.revocations.calls.clear()
    for seconds in (0, 15, 15):
        clock.advance(seconds * SECOND)
        assert is_live(other, pair.access_token)
    assert {"look_up": 1} == house.revocations.calls

    for seconds in (1, 15, 15):
        clock.advance(seconds * SECOND)
        assert is_live(other, pair.access_token)
    assert {"look_up": 2} == house.revocations.calls


def test_strict_asks_each_time_and_consistently(house: Any) -> None:
    """A read that sees every write."""
    pair = house.login()
    asked = []
    look_up: Callable[..., Revocations] = house.kept_revocations.look_up

    def noting(user_id: str, names: Collection[str] = (), *, consistent: bool = False) -> Revocations:
        asked.append((sorted(name[:4] for name in names), consistent))
        return look_up(user_id, names, consistent=consistent)

    house.kept_revocations.look_up = noting
    for _ in range(3):
        assert is_live(house.manager, pair.access_token, Freshness.STRICT)

    assert [(["jti#", "sid#"], True)] * 3 == asked


def test_a_level_is_known_by_its_value(house: Any) -> None:
    """The text ``strict`` is as strict as the name, and what is none of the three is refused, not taken for cached."""
    pair = house.login()
    other = house.another()
    assert is_live(other, pair.access_token)
    house.manager.revoke_session(pair.session)

    for freshness, is_taken in (("cached", True), ("none", True), ("strict", False)):
        assert is_taken is is_live(other, pair.access_token, freshness)  # type: ignore[arg-type]
    for unknown in ("STRICT", "", None, 1):
        with pytest.raises(ConfigurationError, match="freshness"):
            other.validate_live(pair.access_token, freshness=unknown)


@pytest.mark.parametrize("error", [None, OSError("no route to host"), KeyError("x")])
@pytest.mark.parametrize(
    ("freshness", "is_known", "age", "is_taken"),
    [
        (Freshness.NONE, False, 0, True),
        (Freshness.NONE, True, 600, True),
        (Freshness.CACHED, False, 0, False),
        (Freshness.CACHED, True, 0, True),
        (Freshness.CACHED, True, 30, True),
        (Freshness.CACHED, True, 31, True),
        (Freshness.CACHED, True, 300, True),
        (Freshness.CACHED, True, 301, False),
        (Freshness.STRICT, False, 0, False),
        (Freshness.STRICT, True, 0, False),
        (Freshness.STRICT, True, 30, False),
    ],
)
def test_every_level_in_an_outage(
    house: Any,
    clock: FrozenClock,
    freshness: Freshness,
    is_known: bool,
    age: float,
    is_taken: bool,
    error: Exception | None,
) -> None:
    """Strict fails closed; cached lives on what it knows, for five minutes; what is unknown is refused, for now."""
    pair = house.login()
    other = house.another()
    if is_known:
        other.validate_live(pair.access_token)
    clock.advance(timedelta(seconds=age))
    house.revocations.is_down = True
    if error is not None:
        house.revocations.error = lambda: error

    if is_taken:
        assert "u-1" == other.validate_live(pair.access_token, freshness=freshness).subject
    else:
        with pytest.raises(RevocationUnavailable) as refused:
            other.validate_live(pair.access_token, freshness=freshness)
        assert refused.value.retryable
        assert "route" not in str(refused.value)


def test_living_on_old_answers_is_written_down(house: Any, clock: FrozenClock) -> None:
    """Once in the cache time, not once for each request, with the age of the answers."""
    pair = house.login()
    other = house.another()
    other.validate_live(pair.access_token)
    house.revocations.is_down = True
    clock.advance(31 * SECOND)
    for _ in range(20):
        other.validate_live(pair.access_token)
    clock.advance(30 * SECOND)
    other.validate_live(pair.access_token)

    told = [event for event in house.events() if event.type == "authn_revocation_stale"]
    assert [{"age": 31.0}, {"age": 61.0}] == [dict(event.details) for event in told]


def test_a_store_that_is_away_is_not_asked_by_every_request(house: Any, clock: FrozenClock) -> None:
    """Once a second is enough to notice that it is back; who has an old answer does not wait for a time-out."""
    pair = house.login()
    other = house.another()
    other.validate_live(pair.access_token)
    clock.advance(31 * SECOND)
    house.revocations.is_down = True
    house.revocations.calls.clear()
    for _ in range(10):
        other.validate_live(pair.access_token)
    assert {"look_up": 1} == house.revocations.calls

    clock.advance(SECOND)
    house.revocations.is_down = False
    house.manager.revoke_session(pair.session)
    assert not is_live(other, pair.access_token)


def test_what_is_known_to_be_revoked_stays_refused_in_an_outage(house: Any, clock: FrozenClock) -> None:
    """However old the answer is: nothing takes a revocation back."""
    by_session, by_epoch = house.login(), house.login("u-2")
    house.manager.revoke_session(by_session.session)
    house.manager.revoke_user("u-2")
    house.revocations.is_down = True
    clock.advance(10 * MINUTE)

    assert not is_live(house.manager, by_session.access_token)
    assert not is_live(house.manager, by_epoch.access_token)


def test_zero_times_make_cached_fail_closed(build_house: Callable[..., Any], clock: FrozenClock) -> None:
    """A policy without cache and without old answers asks each time, and refuses when nobody answers."""
    zero = RevocationPolicy(cache_for=timedelta(0), stale_for=timedelta(0))
    house = build_house(freshness=zero)
    pair = house.login()
    clock.advance(SECOND)
    assert is_live(house.manager, pair.access_token)
    clock.advance(SECOND)
    house.revocations.is_down = True

    with pytest.raises(RevocationUnavailable):
        house.manager.validate_live(pair.access_token)


@pytest.mark.parametrize("call", ["revoke_session", "revoke_user", "revoke_token", "start_session", "sessions"])
def test_every_end_tells_an_outage(house: Any, call: str) -> None:
    """Who logs out learns that it did not work, and repeats it; then it works."""
    pair = house.login()
    arguments = {
        "revoke_session": (pair.session,),
        "revoke_user": ("u-1",),
        "revoke_token": (pair.refresh_token,),
        "start_session": ("u-1", RequestContext()),
        "sessions": ("u-1",),
    }[call]
    house.revocations.is_down = True
    with pytest.raises(AuthUnavailable):
        getattr(house.manager, call)(*arguments)
    house.revocations.is_down = False

    getattr(house.manager, call)(*arguments)


# Several processes (F10)


@pytest.mark.parametrize("end", ["revoke_session", "revoke_user"])
def test_another_process_hears_within_the_cache_time(house: Any, clock: FrozenClock, end: str) -> None:
    """The own process at once, any other after 30 s at most."""
    pair = house.login()
    other = house.another()
    assert is_live(other, pair.access_token)
    clock.advance(10 * SECOND)
    getattr(house.manager, end)(pair.session if end == "revoke_session" else "u-1")

    assert not is_live(house.manager, pair.access_token)
    assert is_live(other, pair.access_token)
    assert not is_live(other, pair.access_token, Freshness.STRICT)
    clock.advance(20 * SECOND + SECOND)
    assert not is_live(other, pair.access_token)


def test_a_strict_answer_serves_cached_endpoints_too(house: Any) -> None:
    """What one endpoint has learnt, the others of the process know."""
    pair = house.login()
    other = house.another()
    assert is_live(other, pair.access_token)
    house.manager.revoke_session(pair.session)
    assert not is_live(other, pair.access_token, Freshness.STRICT)
    house.revocations.calls.clear()

    assert not is_live(other, pair.access_token, Freshness.CACHED)
    assert {} == house.revocations.calls


def test_an_answer_is_as_old_as_its_oldest_part(house: Any, clock: FrozenClock) -> None:
    """What another token of the same user has brought since does not make this one's answer newer."""
    first, second = house.login(), house.login()
    other = house.another()
    assert is_live(other, first.access_token)
    clock.advance(20 * SECOND)
    house.manager.revoke_session(first.session)
    assert is_live(other, second.access_token)
    clock.advance(11 * SECOND)

    assert not is_live(other, first.access_token)


def test_a_newer_epoch_forces_a_read(house: Any) -> None:
    """A token from after a logout everywhere works at once in a process that has not heard, and ends the old there."""
    old = house.login()
    other = house.another()
    assert is_live(other, old.access_token)
    house.manager.revoke_user("u-1")
    new = house.login()
    house.revocations.calls.clear()

    assert is_live(other, new.access_token)
    assert {"look_up": 1} == house.revocations.calls
    assert not is_live(other, old.access_token)
    assert {"look_up": 1} == house.revocations.calls


def test_an_epoch_that_no_store_knows_is_refused(house: Any) -> None:
    """Epochs never fall: one that is ahead of the store comes from another one, or the store was lost."""
    token = house.manager.create_access("u-1", session="s-1", epoch=5).token

    for freshness in EVERY:
        with pytest.raises(TokenRevoked) as refused:
            house.manager.validate_live(token, freshness=freshness)
        assert "epoch_unknown" == refused.value.reason


class Lagging(MemoryRevocationStore):
    """Answers eventually consistent reads from before the last write."""

    def __init__(self) -> None:
        super().__init__()
        self.replica = MemoryRevocationStore()
        self.reads: list[bool] = []

    def look_up(self, user_id: str, identifiers: Collection[str] = (), *, consistent: bool = False) -> Revocations:
        self.reads.append(consistent)
        return super().look_up(user_id, identifiers) if consistent else self.replica.look_up(user_id, identifiers)


def test_a_replica_that_is_behind_refuses_no_new_login(clock: FrozenClock) -> None:
    """Where an eventually consistent read is older than the token, a consistent one decides."""
    store = Lagging()
    issuing, key = MemoryRefreshFamilyStore(), SigningKey.generate("EdDSA", kid="k1")
    first, second = (token_manager(key, clock=clock, families=issuing, revocations=store) for _ in range(2))
    first.revoke_user("u-1")
    token = first.create_access("u-1", session="s-1", epoch=1).token
    store.reads.clear()

    assert is_live(second, token)
    assert [False, True] == store.reads


def test_a_replica_that_is_behind_lets_no_ended_session_go_on(clock: FrozenClock) -> None:
    """Logins and renewals read the epoch consistently: the new session has the new one, the old is over."""
    store, key = Lagging(), SigningKey.generate("EdDSA", kid="k1")
    families, ctx = MemoryRefreshFamilyStore(), RequestContext()
    ending, manager = (token_manager(key, clock=clock, families=families, revocations=store) for _ in range(2))
    old = manager.start_session("u-1", ctx)
    ending.revoke_user("u-1")
    new = manager.start_session("u-1", ctx)

    assert 1 == manager.validate(new.access_token).epoch
    with pytest.raises(TokenRevoked):
        manager.refresh(old.refresh_token, ctx)
    assert [new.session] == [info.session for info in manager.sessions("u-1")]


class Interrupting(MemoryRevocationStore):
    """While it answers a read, something else happens."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Callable[[], object]] = []

    def look_up(self, user_id: str, identifiers: Collection[str] = (), *, consistent: bool = False) -> Revocations:
        answer = super().look_up(user_id, identifiers)
        if self.meanwhile:
            self.meanwhile.pop()()
        return answer


@pytest.mark.parametrize("end", ["session", "user"])
def test_a_late_answer_takes_back_nothing(clock: FrozenClock, end: str) -> None:
    """A logout while a read is under way stays: the read's answer is older than it."""
    store = Interrupting()
    manager = token_manager(clock=clock, families=MemoryRefreshFamilyStore(), revocations=store)
    token = manager.create_access("u-1", session="s-1", epoch=0).token
    ends = {"session": lambda: manager.revoke_session("s-1"), "user": lambda: manager.revoke_user("u-1")}
    store.meanwhile.append(ends[end])

    assert not is_live(manager, token)
    assert not is_live(manager, token)


# The memory of one process


def _claims(number: int) -> Claims:
    return Claims(access_claims(sub=f"u-{number}", jti=f"t-{number}", sid=f"s-{number}"))


def test_the_cache_is_bounded(clock: FrozenClock) -> None:
    """A thousand tokens later, it has no more than its size; the oldest are asked for again."""
    store = Lagging()
    check = RevocationCheck(store, policy=RevocationPolicy(size=9), clock=clock, on_stale=lambda age: None)
    for number in range(1000):
        check.require_live(_claims(number), Freshness.CACHED)
    assert 9 == len(check._memory._known)
    store.reads.clear()

    check.require_live(_claims(999), Freshness.CACHED)
    assert [] == store.reads
    check.require_live(_claims(1), Freshness.CACHED)
    assert [False] == store.reads


def test_the_least_recently_used_goes_first(clock: FrozenClock) -> None:
    """What is asked for again, and again, stays."""
    store = Lagging()
    check = RevocationCheck(store, policy=RevocationPolicy(size=9), clock=clock, on_stale=lambda age: None)
    for number in (1, 2, 3, 1, 4, 1, 5):
        check.require_live(_claims(number), Freshness.CACHED)
    assert [False] * 5 == store.reads

    check.require_live(_claims(1), Freshness.CACHED)
    check.require_live(_claims(4), Freshness.STRICT)
    check.require_live(_claims(6), Freshness.CACHED)
    store.reads.clear()
    check.require_live(_claims(4), Freshness.CACHED)
    check.require_live(_claims(1), Freshness.CACHED)
    assert [] == store.reads


def test_a_crowded_cache_loses_no_refusal(clock: FrozenClock) -> None:
    """Sixteen threads in a cache for one token: every denied token is refused, since each answer is judged as it came."""
    store = MemoryRevocationStore()
    check = RevocationCheck(store, policy=RevocationPolicy(size=3), clock=clock, on_stale=lambda age: None)
    for number in range(16):
        store.deny(token_name(f"t-{number}"), expires_at=MOMENT.timestamp() + 900)

    def refusals(number: int) -> int:
        refused = 0
        for _ in range(50):
            try:
                check.require_live(_claims(number), Freshness.CACHED)
            except TokenRevoked:
                refused += 1
        return refused

    assert [50] * 16 == list(at_once(refusals))


@pytest.mark.parametrize(
    "options",
    [
        {"cache_for": timedelta(seconds=31)},
        {"cache_for": timedelta(seconds=-1)},
        {"stale_for": timedelta(minutes=16)},
        {"stale_for": timedelta(seconds=-1)},
        {"size": 2},
    ],
    ids=str,
)
def test_a_policy_has_bounds(options: dict[str, Any]) -> None:
    """Thirty seconds of cache are the most that F8 allows."""
    with pytest.raises(ConfigurationError):
        RevocationPolicy(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"absolute": timedelta(days=367)},
        {"absolute": timedelta(days=6)},
        {"idle": timedelta(0)},
        {"grace": timedelta(seconds=61)},
        {"grace": timedelta(seconds=-1)},
    ],
    ids=str,
)
def test_a_session_profile_has_bounds(options: dict[str, Any]) -> None:
    """Idle is within absolute, and the grace window within a minute."""
    with pytest.raises(ConfigurationError):
        SessionProfile(**options)


def test_what_is_missing_is_named(clock: FrozenClock) -> None:
    """Calls that need a store say which one to give."""
    bare = token_manager(clock=clock)
    token = bare.create_access("u-1", session="s-1", epoch=0).token

    without_revocations: list[Callable[[], object]] = [
        lambda: bare.validate_live(token),
        lambda: bare.revoke_user("u-1"),
        lambda: bare.revoke_token(token),
        lambda: token_manager(clock=clock, families=MemoryRefreshFamilyStore()),
    ]
    without_families: list[Callable[[], object]] = [lambda: bare.revoke_session("s-1"), lambda: bare.sessions("u-1")]
    for call in without_revocations:
        with pytest.raises(ConfigurationError, match="revocations="):
            call()
    for call in without_families:
        with pytest.raises(ConfigurationError, match="families="):
            call()


def test_a_service_that_only_takes_tokens_needs_no_sessions(house: Any, clock: FrozenClock) -> None:
    """Public keys and the store of revocations are enough to refuse what was revoked."""
    pair = house.login()
    taking = house.another(families=None, accounts=None, audit=None)
    house.manager.revoke_session(pair.session)

    assert not is_live(taking, pair.access_token)
    clock.advance(timedelta(hours=1))
    with pytest.raises(TokenExpired):
        taking.validate_live(pair.access_token)
