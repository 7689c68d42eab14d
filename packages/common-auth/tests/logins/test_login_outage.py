"""Where the counters do not answer, guesses are counted in the process or refused, never free (auth L6)."""

import logging
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from common.auth.exceptions import InvalidCredentials, RateLimited, StoreUnavailable
from common.auth.security.context import RequestContext
from common.auth.security.login_guard import LoginLimits, OnOutage
from common.auth.security.login_outage import BoundedCounters
from common.auth.security.memory_stores import MemoryLoginCounterStore
from common.auth.security.stores import LoginCounter
from common.core.utils.clock import FrozenClock
from common.exceptions import to_problem

RIGHT = "violet-tractor-mumbles-sonnet"


def test_two_hundred_guesses_during_an_outage_are_ten_verifications(desk: Callable[..., Any]) -> None:
    """The limits hold in the process alone."""
    users = desk()
    users.counters.down = True

    outcomes = Counter(type(outcome) for outcome in users.at_once("ada", 200))

    assert {InvalidCredentials: 10, RateLimited: 190} == outcomes
    assert 10 == users.verifications()


def test_an_outage_that_begins_under_load_gives_no_more_than_one_more_set(desk: Callable[..., Any]) -> None:
    """What had been counted in the store is not known to the process, and nothing beyond the limit is given."""
    users = desk()
    users.at_once("ada", 50)
    users.counters.down = True
    users.at_once("ada", 150)

    assert users.verifications() <= 20


def test_an_outage_can_refuse_instead(desk: Callable[..., Any]) -> None:
    """503, before anything is hashed, and as long as it lasts."""
    users = desk(on_outage=OnOutage.REFUSE)
    users.counters.down = True
    outcomes = [users.outcome("ada", RIGHT) for _ in range(5)]

    assert {StoreUnavailable} == set(map(type, outcomes))
    assert 503 == to_problem(outcomes[0]).status
    assert [] == users.digest.salts


@pytest.mark.parametrize("error", [ConnectionError("lost"), ValueError("bug"), StoreUnavailable("down")], ids=repr)
def test_whatever_a_store_raises_is_an_outage(clock: FrozenClock, desk: Callable[..., Any], error: Exception) -> None:
    """A stranger's store may raise anything; none of it reaches a client, and none of it is a free guess."""

    class Broken(MemoryLoginCounterStore):
        def exchange(self, bucket: str, *, expected: LoginCounter | None, new: LoginCounter | None) -> Any:
            raise error

    users = desk(store=Broken(clock=clock), limits=LoginLimits(free=2))

    assert ["InvalidCredentials", "InvalidCredentials", "RateLimited"] == users.tried("ada", 3)


def test_a_store_that_is_down_is_asked_rarely(desk: Callable[..., Any], clock: FrozenClock) -> None:
    """One attempt in five seconds waits for it, and nobody else."""
    users = desk()
    users.counters.down = True
    users.tried("ada", 10)
    assert 1 == users.counters.calls

    clock.advance(timedelta(seconds=5))
    users.tried("bob", 5)
    assert 2 == users.counters.calls


def test_the_trail_and_the_log_tell_of_an_outage_once(
    desk: Callable[..., Any], clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    """When it begins and when it is over, not with every login."""
    users = desk()
    users.counters.down = True
    with caplog.at_level(logging.WARNING):
        users.tried("ada", 5)
        users.counters.down = False
        clock.advance(timedelta(seconds=5))
        users.login("bob", RIGHT)
        users.login("bob", RIGHT)

    told = [event for event in users.events() if event.type.startswith("sys_monitor")]
    assert ["sys_monitor_disabled", "sys_monitor_enabled"] == [event.type for event in told]
    assert "StoreUnavailable" == told[0].details["cause"]
    assert 2 == len([message for message in caplog.messages if "login counters" in message])


def test_a_login_survives_a_store_that_fails_behind_it(desk: Callable[..., Any]) -> None:
    """Where the success cannot be written, the attempt stays counted, and the user is in."""
    users = desk()
    with users.guard.reserve("ada", RequestContext()) as attempt:
        users.counters.down = True
        attempt.success("u-ada")
    users.counters.down = False

    assert ["sys_monitor_disabled", "authn_login_success"] == users.told()
    assert [1] == [counter.attempts for name, counter in users.held().items() if name.startswith("a#")]


def test_unlocking_says_when_it_could_not(desk: Callable[..., Any]) -> None:
    """An operator has to know."""
    users = desk()
    users.counters.down = True
    with pytest.raises(StoreUnavailable):
        users.guard.unlock("ada")


def bounded(clock: FrozenClock, capacity: int) -> BoundedCounters:
    """Return counters in memory of such a capacity."""
    return BoundedCounters(MemoryLoginCounterStore(clock=clock), capacity=capacity, clock=clock)


def test_a_flood_of_names_empties_no_counter(clock: FrozenClock) -> None:
    """Counters that made room for new ones could be reset by anybody (argo-cd GHSA-x32m-mvfj-52xv)."""
    local = bounded(clock, 100)
    expiry = clock.now().timestamp() + 900
    for _ in range(7):
        local.add("ada", 1, expires_at=expiry)
    seen = [local.add(f"flood-{number}", 1, expires_at=expiry) for number in range(10_000)]

    assert 8 == local.add("ada", 1, expires_at=expiry)
    assert max(seen) > 100, "those without a counter of their own share one"
    assert local.read("flood-9999") is None


def test_what_has_expired_makes_room(clock: FrozenClock) -> None:
    """Memory is bounded, and so is the harm that a flood does."""
    local = bounded(clock, 10)
    for number in range(20):
        local.add(f"flood-{number}", 1, expires_at=clock.now().timestamp() + 100)
    clock.advance(timedelta(seconds=200))
    expiry = clock.now().timestamp() + 900
    local.add("ada", 1, expires_at=expiry)
    local.add("bob", 1, expires_at=expiry)

    assert (local.read("ada"), local.read("bob")) == (
        LoginCounter(attempts=1, expires_at=expiry),
        LoginCounter(attempts=1, expires_at=expiry),
    )


def test_a_success_does_not_clear_a_counter_that_others_share(clock: FrozenClock) -> None:
    """In a flood, somebody with an account could else give everybody new attempts."""
    local = bounded(clock, 0)
    expiry = clock.now().timestamp() + 900
    before = local.add("ada", 5, expires_at=expiry)
    local.clear("ada")

    assert before + 1 == local.add("ada", 1, expires_at=expiry)
    counter = LoginCounter(attempts=6, expires_at=expiry)
    assert local.exchange("ada", expected=counter, new=counter).applied
