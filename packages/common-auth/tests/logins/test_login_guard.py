"""Guessing a password is bounded, and the owner is not locked out by it (auth L1 to L5, L7 to L9; ASVS 6.1.1, 6.3.1)."""

import json
import secrets
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from common.auth.exceptions import (
    AccountLocked,
    ConfigurationError,
    InvalidCredentials,
    RateLimited,
    WeakKey,
)
from common.auth.security.context import RequestContext
from common.auth.security.login_guard import LoginGuard, LoginLimits, WhenBlocked
from common.auth.security.login_limits import USUAL_LOGIN_LIMITS
from common.auth.security.memory_stores import MemoryLoginCounterStore
from common.auth.security.secrets import SecretBytes
from common.core.utils.clock import FrozenClock
from common.exceptions import to_problem

RIGHT = "violet-tractor-mumbles-sonnet"
HOME, OFFICE, STRANGER = "192.0.2.7", "198.51.100.3", "203.0.113.9"
LONG = [float(min(900, 2**doublings)) for doublings in range(90)]


def test_two_hundred_guesses_at_once_are_ten_verifications(desk: Callable[..., Any]) -> None:
    """Of any number that begin together, no more than the limit are compared with the stored hash (L1)."""
    users = desk()

    outcomes = Counter(type(outcome) for outcome in users.at_once("ada", 200))

    assert {InvalidCredentials: 10, RateLimited: 190} == outcomes
    assert 10 == users.verifications()
    assert 10 == len(users.digest.salts)


def test_two_hundred_concealed_guesses_at_once_are_ten_verifications(desk: Callable[..., Any]) -> None:
    """Where a lock is concealed, the rest are hashed in vain, against nobody's hash (L1, L8)."""
    users = desk(when_blocked=WhenBlocked.CONCEAL)

    outcomes = Counter(type(outcome) for outcome in users.at_once("ada", 200))

    assert {InvalidCredentials: 10, AccountLocked: 190} == outcomes
    assert 10 == users.verifications()
    assert 200 == len(users.digest.salts)


@pytest.mark.parametrize("when", WhenBlocked)
def test_unknown_accounts_are_counted_and_locked_alike(desk: Callable[..., Any], when: WhenBlocked) -> None:
    """Status, body, headers and work are those of an account that exists, attempt by attempt (L3)."""
    users = desk(when_blocked=when, limits=LoginLimits(free=3))
    answers, work = {}, {}
    for name in ("ada", "nobody"):
        before = len(users.digest.salts)
        answers[name] = [to_problem(users.outcome(name), request_id="r-1") for _ in range(6)]
        work[name] = len(users.digest.salts) - before

    assert answers["ada"] == answers["nobody"]
    assert work["ada"] == work["nobody"] == (3 if when is WhenBlocked.TELL else 6)


def test_a_concealed_lock_is_a_wrong_password_to_the_byte(desk: Callable[..., Any]) -> None:
    """The right password of a locked account gets the answer of a wrong one, after the same work (L8, P11)."""
    users = desk(when_blocked=WhenBlocked.CONCEAL, limits=LoginLimits(free=1))
    wrong = users.outcome("ada")
    before = len(users.digest.salts)
    locked = users.outcome("ada", RIGHT)

    assert isinstance(locked, AccountLocked)
    assert to_problem(wrong, request_id="r-1") == to_problem(locked, request_id="r-1")
    assert 1 == len(users.digest.salts) - before
    assert 1 == users.verifications()


def test_a_told_lock_says_when_and_nothing_else(desk: Callable[..., Any], clock: FrozenClock) -> None:
    """429 with ``Retry-After``, before anything is hashed, and without the limit's name (L8)."""
    users = desk(limits=LoginLimits(free=2, first_delay=timedelta(seconds=30)))
    users.tried("ada", 2)
    clock.advance(timedelta(seconds=5))
    before = len(users.digest.salts)
    told = to_problem(users.outcome("ada", RIGHT))

    assert 429 == told.status
    assert {"type", "title", "status", "code", "detail", "retryable"} >= set(told.body)
    assert "25" == told.headers["Retry-After"]
    assert before == len(users.digest.salts)
    assert not any(word in json.dumps(told.body) for word in ("account", "network", "global", "ada"))


def test_waits_double_up_to_fifteen_minutes_and_end_at_a_hundred(desk: Callable[..., Any], clock: FrozenClock) -> None:
    """1, 2, 4 … 900 seconds after the tenth failure in a row; after the hundredth, none is permitted any more (L4)."""
    users = desk()
    waits = []
    for _ in range(99):
        users.tried("ada")
        (counter,) = (each for name, each in users.held().items() if name.startswith("a#"))
        wait = max(0.0, counter.blocked_until - clock.now().timestamp())
        waits.append(round(wait, 3))
        if wait:
            clock.advance(timedelta(seconds=wait) - timedelta(milliseconds=1))
            assert ["RateLimited"] == users.tried("ada")
            clock.advance(timedelta(milliseconds=1))

    assert [0.0] * 9 + LONG == waits
    assert ["InvalidCredentials"] == users.tried("ada")
    clock.advance(timedelta(days=29))
    assert ["RateLimited"] == users.tried("ada")
    assert 100 == users.verifications()


def test_what_has_expired_blocks_nobody_whether_it_is_deleted_or_not(
    desk: Callable[..., Any], clock: FrozenClock
) -> None:
    """The clock decides; a table deletes when it likes (L4)."""
    users = desk(limits=LoginLimits(free=1, cap=1, memory=timedelta(hours=1)))
    users.tried("ada")
    assert ["RateLimited"] == users.tried("ada")

    clock.advance(timedelta(hours=1))
    assert any(name.startswith("a#") for name in users.held())
    assert "u-ada" == users.login("ada", RIGHT)


def test_strangers_who_lock_themselves_out_do_not_lock_the_owner_out(desk: Callable[..., Any]) -> None:
    """A device cookie of an earlier login has a bucket of its own (L5)."""
    users = desk()
    cookie = users.guard.device_cookie("ada").reveal()
    users.tried("ada", 12)

    assert isinstance(users.outcome("ada", RIGHT), RateLimited)
    assert "u-ada" == users.login("ada", RIGHT, device=cookie)
    assert isinstance(users.outcome("ada", RIGHT), RateLimited), "the owner's login gives strangers no new attempts"


def test_the_owner_logs_in_from_a_known_network(desk: Callable[..., Any], clock: FrozenClock) -> None:
    """A network that the owner has logged in from has a bucket of its own, for a time (L5)."""
    users = desk()
    users.login("ada", RIGHT, ip=HOME)
    users.tried("ada", 12)

    assert "u-ada" == users.login("ada", RIGHT, ip="192.0.2.200")
    assert isinstance(users.outcome("ada", RIGHT, ip=OFFICE), RateLimited)
    users.tried("bob", 12)
    assert isinstance(users.outcome("bob", RIGHT, ip=HOME), RateLimited), "known to ada is not known to bob"

    clock.advance(timedelta(days=91))
    users.tried("ada", 30)
    assert isinstance(users.outcome("ada", RIGHT, ip=HOME), RateLimited)


def test_a_known_network_and_a_device_are_limited_too(desk: Callable[..., Any]) -> None:
    """Each bucket has the limit of an account; a full device sends its client to the network, and that nowhere (L2, L5)."""
    users = desk(limits=LoginLimits(free=3))
    users.login("ada", RIGHT, ip=HOME)
    cookie = users.guard.device_cookie("ada").reveal()
    before = users.verifications()
    outcomes = users.tried("ada", 20, ip=HOME, device=cookie)

    assert {"InvalidCredentials": 6, "RateLimited": 14} == Counter(outcomes)
    assert 6 == users.verifications() - before


def test_a_known_network_gives_no_account_more_attempts_than_an_unknown_one(desk: Callable[..., Any]) -> None:
    """Else somebody in the owner's network could count which accounts exist (L3, L5)."""
    users = desk(limits=LoginLimits(free=3))
    users.login("ada", RIGHT, ip=HOME)

    assert users.tried("ada", 8, ip=HOME) == users.tried("nobody", 8, ip=HOME)


@pytest.mark.parametrize("times", [0, 4])
def test_a_success_begins_anew(desk: Callable[..., Any], times: int) -> None:
    """Failures in a row are counted, not failures (L4)."""
    users = desk(limits=LoginLimits(free=5))
    for _ in range(3):
        users.tried("ada", times)
        users.login("ada", RIGHT)
        assert not [name for name in users.held() if name.startswith("a#")]


COOKIES: dict[str, Callable[[str], str]] = {
    "of somebody else": lambda cookie: cookie,
    "changed": lambda cookie: cookie[:-2] + ("AA" if not cookie.endswith("AA") else "BB"),
    "longer life": lambda cookie: cookie.replace(cookie.split(".")[2], str(int(cookie.split(".")[2]) + 1)),
    "none": lambda cookie: "",
    "text": lambda cookie: "d1.é.x.y",
    "huge": lambda cookie: cookie * 1000,
}


@pytest.mark.parametrize("change", COOKIES.values(), ids=COOKIES)
def test_a_device_cookie_that_is_none_is_a_strangers(desk: Callable[..., Any], change: Callable[[str], str]) -> None:
    """Of another account, changed, or made up: its client is counted among strangers (L5)."""
    users = desk(limits=LoginLimits(free=2))
    other = "bob" if change is COOKIES["of somebody else"] else "ada"
    cookie = change(users.guard.device_cookie(other).reveal())
    users.tried("ada", 2)

    assert isinstance(users.outcome("ada", RIGHT, device=cookie), RateLimited)


def test_a_device_cookie_ends(desk: Callable[..., Any], clock: FrozenClock) -> None:
    """After its time it is a stranger's (L5)."""
    users = desk(limits=LoginLimits(free=1, memory=timedelta(days=400), cap=1))
    cookie = users.guard.device_cookie("ada").reveal()
    users.tried("ada")
    clock.advance(timedelta(days=180) - timedelta(seconds=1))
    assert "u-ada" == users.login("ada", RIGHT, device=cookie)
    clock.advance(timedelta(seconds=1))
    assert isinstance(users.outcome("ada", RIGHT, device=cookie), RateLimited)


def test_nothing_that_anybody_typed_is_in_the_store(desk: Callable[..., Any]) -> None:
    """People type passwords into the field for the name: buckets are keyed hashes (L2)."""
    users = desk()
    typed = "correct horse battery staple"
    users.tried(typed, 2, ip=HOME)
    users.login("ada", RIGHT, ip=HOME, device=users.guard.device_cookie("ada").reveal())
    users.login("ada", RIGHT, ip=OFFICE)
    written = repr(users.held())

    assert {"a", "w", "g", "n"} == {name.partition("#")[0] for name in users.held()}
    assert not any(word in written for word in (typed, "horse", "#ada", HOME, "192.0.2", OFFICE))


def test_another_key_makes_other_names(clock: FrozenClock) -> None:
    """Who has the table cannot try names against it (L2)."""
    stores = []
    for key in (secrets.token_bytes(32), secrets.token_bytes(32)):
        store = MemoryLoginCounterStore(clock=clock)
        LoginGuard(store, key=SecretBytes(key), clock=clock).reserve("ada", RequestContext())
        with store._counters.reading() as held:
            stores.append({name for name in held if name.startswith("a#")})

    assert 1 == len(stores[0]) == len(stores[1])
    assert stores[0].isdisjoint(stores[1])


@pytest.mark.parametrize("spelling", ["ADA", " ada ", "Ａda", "aDa\n"])
def test_spellings_of_one_name_share_their_attempts(desk: Callable[..., Any], spelling: str) -> None:
    """Else each spelling that the credential store forgives would have attempts of its own (L2)."""
    users = desk(limits=LoginLimits(free=2))
    users.tried("ada", 2)

    assert ["RateLimited"] == users.tried(spelling)


def test_the_form_of_names_is_the_services_choice(desk: Callable[..., Any]) -> None:
    """What its credential store takes for one account is counted as one; a function that fails lets nobody in."""
    users = desk(limits=LoginLimits(free=2), canonical=lambda name: name.replace(".", "").lower())
    users.tried("a.da", 2)
    assert ["RateLimited"] == users.tried("Ada")

    for broken in (lambda name: 1 / 0, lambda name: None):
        assert ["ConfigurationError"] == desk(canonical=broken).tried("ada")


def test_spraying_closes_the_network_and_a_success_does_not_open_it(desk: Callable[..., Any]) -> None:
    """Guesses over many accounts from one network are bounded, also by somebody with an account of their own (L9)."""
    users = desk(limits=LoginLimits(network=20, network_shards=2))
    outcomes = []
    for number in range(60):
        outcomes.append(type(users.outcome(f"victim-{number}")))
        if number % 5 == 0 and RateLimited not in outcomes:
            users.login("bob", RIGHT)

    counted = Counter(outcomes)
    assert counted[InvalidCredentials] <= 20
    assert counted[InvalidCredentials] >= 10
    assert isinstance(users.outcome("ada", RIGHT), RateLimited)
    assert "u-ada" == users.login("ada", RIGHT, ip=HOME), "another network is open"


def test_a_closed_network_opens_with_the_next_window(desk: Callable[..., Any], clock: FrozenClock) -> None:
    """``Retry-After`` tells when; what one network did is not counted against the next."""
    users = desk(limits=LoginLimits(network=2, network_shards=1))
    for number in range(2):
        users.tried(f"victim-{number}")
    refused = users.outcome("ada", RIGHT)

    assert isinstance(refused, RateLimited)
    assert 0 < refused.retry_after <= 900
    clock.advance(timedelta(seconds=refused.retry_after))
    assert "u-ada" == users.login("ada", RIGHT)


def test_a_flood_from_everywhere_closes_the_door_to_strangers_alone(desk: Callable[..., Any]) -> None:
    """The limit over all networks does not hold for known networks and devices (L2, L5)."""
    users = desk(limits=LoginLimits(everybody=16, global_shards=4))
    users.login("ada", RIGHT, ip=HOME)
    cookie = users.guard.device_cookie("bob").reveal()
    outcomes = [type(users.outcome(f"victim-{n}", ip=f"203.0.{n}.1")) for n in range(60)]

    assert 8 <= outcomes.count(InvalidCredentials) <= 16
    assert isinstance(users.outcome("bob", RIGHT, ip=OFFICE), RateLimited)
    assert "u-ada" == users.login("ada", RIGHT, ip=HOME)
    assert "u-bob" == users.login("bob", RIGHT, ip=OFFICE, device=cookie)


def test_a_refused_attempt_leaves_the_account_as_it_was(desk: Callable[..., Any]) -> None:
    """A closed network cannot be used to lock accounts."""
    users = desk(limits=LoginLimits(network=1, network_shards=1))
    users.tried("victim")
    for _ in range(30):
        users.outcome("ada")

    assert "u-ada" == users.login("ada", RIGHT, ip=HOME)
    assert "authn_login_success" == users.told()[-1]


def test_shared_counters_are_spread_evenly(desk: Callable[..., Any]) -> None:
    """No item of the table takes more than its share of the writes (L7)."""
    users = desk(limits=LoginLimits(network=100_000, free=1))
    for number in range(1600):
        users.guard.reserve(f"victim-{number}", RequestContext(source_ip=HOME))
    shards = {name: counter.attempts for name, counter in users.held().items()}
    everybody = [attempts for name, attempts in shards.items() if name.startswith("g#")]
    network = [attempts for name, attempts in shards.items() if name.startswith("w#")]

    assert (16, 1600, 4, 1600) == (len(everybody), sum(everybody), len(network), sum(network))
    assert max(everybody) < 160, "100 each on average; 6 standard deviations"
    assert max(network) < 510


def test_unlocking_gives_strangers_their_attempts_back(desk: Callable[..., Any]) -> None:
    """After a password reset, the owner need not wait."""
    users = desk(limits=LoginLimits(free=1, cap=1))
    users.tried("ada")
    assert isinstance(users.outcome("ada", RIGHT), RateLimited)
    users.guard.unlock("ADA")

    assert "u-ada" == users.login("ada", RIGHT)


def test_unlocking_for_a_client_opens_its_network_and_device_too(desk: Callable[..., Any]) -> None:
    """Who has reset the password where somebody else had locked the network of the account need not wait either."""
    users = desk(limits=LoginLimits(free=1, cap=1))
    users.login("ada", RIGHT, ip=HOME)
    cookie = users.guard.device_cookie("ada").reveal()
    users.tried("ada", 3, ip=HOME, device=cookie)
    users.guard.unlock("ada")
    assert isinstance(users.outcome("ada", RIGHT, ip=HOME, device=cookie), RateLimited)
    users.guard.unlock("ada", RequestContext(source_ip=HOME, device=cookie))

    assert "u-ada" == users.login("ada", RIGHT, ip=HOME, device=cookie)
    assert "u-ada" == users.login("ada", RIGHT, ip=HOME)


IDENTIFIERS: dict[str, Any] = {
    "nothing": "",
    "NUL": "\0",
    "surrogate": "\ud800",
    "long": "é" * 10_000,
    "lines": "a\r\nb",
    "number": 7,
    "none": None,
    "bytes": b"bytes",
}


@pytest.mark.parametrize("identifier", IDENTIFIERS.values(), ids=IDENTIFIERS)
def test_whatever_is_typed_is_counted(desk: Callable[..., Any], identifier: Any) -> None:
    """No identifier raises, and none is free of the limit."""
    users = desk(limits=LoginLimits(free=1))
    with users.guard.reserve(identifier, RequestContext(source_ip="not an address")) as attempt:
        attempt.failure("unknown_user")

    with pytest.raises(RateLimited):
        users.guard.reserve(identifier, RequestContext(source_ip="::1%eth0"))


BAD_LIMITS = [
    {"free": 0},
    {"cap": 101},
    {"free": 11, "cap": 10},
    {"window": timedelta(0)},
    {"memory": timedelta(seconds=-1)},
    {"longest_delay": timedelta(milliseconds=1)},
    {"network": 3},
    {"global_shards": 0},
    {"global_shards": 257},
    {"ipv4_prefix": 0},
    {"ipv6_prefix": 129},
    {"known_network_for": timedelta(seconds=-1)},
    {"device_for": timedelta(0)},
]


@pytest.mark.parametrize("limits", BAD_LIMITS, ids=str)
def test_limits_that_limit_nothing_are_refused(limits: dict[str, Any]) -> None:
    """More than a hundred failures in a row are not to be had (NIST SP 800-63B-4, section 3.2.2)."""
    with pytest.raises(ConfigurationError):
        LoginLimits(**limits)


def test_options_are_checked_when_the_guard_is_made(clock: FrozenClock) -> None:
    """A weak key, and words that mean nothing."""
    good = SecretBytes(secrets.token_bytes(32))
    with pytest.raises(WeakKey):
        LoginGuard(MemoryLoginCounterStore(), key=SecretBytes(b"short"))
    for options in ({"when_blocked": "sometimes"}, {"on_outage": "hope"}, {"pause": -1.0}):
        with pytest.raises(ConfigurationError):
            LoginGuard(MemoryLoginCounterStore(), key=good, **options)


def test_no_wait_is_longer_than_the_longest() -> None:
    """Numbers beyond every float's exponent are numbers too."""
    assert 900.0 == USUAL_LOGIN_LIMITS.delay(10**9)
