"""An attempt ends in one way, leaves one event, and shows nothing (auth L1, L8)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from common.auth.exceptions import AccountLocked, HashingOverloaded
from common.auth.security.context import RequestContext
from common.auth.security.login_guard import LoginLimits, WhenBlocked
from common.auth.security.memory_stores import MemoryLoginCounterStore
from common.auth.security.stores import LoginCounter, LoginCounterChange
from common.core.utils.clock import FrozenClock

RIGHT = "violet-tractor-mumbles-sonnet"
HOME, OFFICE, STRANGER = "192.0.2.7", "198.51.100.3", "203.0.113.9"


def test_each_end_of_an_attempt_leaves_one_event(desk: Callable[..., Any], clock: FrozenClock) -> None:
    """fail, fail_max, lock, a refused attempt, success after failures, success (L8)."""
    users = desk(limits=LoginLimits(free=2, network=1000))
    users.tried("ada", 2)
    users.tried("ada")
    clock.advance(timedelta(seconds=1))
    users.tried("ada")
    clock.advance(timedelta(seconds=2))
    users.login("ada", RIGHT)
    users.login("ada", RIGHT)
    users.tried("nobody")
    events = users.events()
    seen = [(event.type, event.reason, event.details.get("failures")) for event in events]

    assert [
        ("authn_login_fail", "wrong_password", 1),
        ("authn_login_fail_max", "wrong_password", 2),
        ("authn_login_fail", "locked_account", None),
        ("authn_login_lock", "wrong_password", 3),
        ("authn_login_successafterfail", None, 3),
        ("authn_login_success", None, None),
        ("authn_login_fail", "unknown_user", 1),
    ] == seen
    assert (2, "2026-11-24T12:00:03+00:00") == (events[1].details["limit"], events[3].details["until"])
    assert ["u-ada", "u-ada"] == [event.subject for event in events[:2]]
    assert "nobody" not in repr(events[-1])
    assert (events[-1].subject or "").startswith("h:")


def test_a_closed_network_is_told_to_the_trail_by_its_kind(desk: Callable[..., Any]) -> None:
    """The trail knows which limit it was; the client does not (L8)."""
    users = desk(limits=LoginLimits(network=1, network_shards=1))
    users.tried("victim", 2)
    event = users.events()[-1]

    assert "excess_rate_limit_exceeded" == event.type
    assert {"limit": 1, "window": 900, "bucket": "network"} == dict(event.details)


def test_an_attempt_that_was_not_verified_does_not_count(desk: Callable[..., Any]) -> None:
    """Where the hashing pool was full, nothing was tried; the attempt and its wait are undone."""
    users = desk(limits=LoginLimits(free=1))
    for _ in range(5):
        with pytest.raises(HashingOverloaded), users.guard.reserve("ada", RequestContext(source_ip=HOME)):
            raise HashingOverloaded("full")

    assert "u-ada" == users.login("ada", RIGHT, ip=HOME)
    assert ["authn_login_success"] == users.told()


def test_giving_back_takes_one_attempt_from_those_that_came_after(desk: Callable[..., Any]) -> None:
    """Others' attempts stay counted."""
    users = desk()
    first = users.guard.reserve("ada", RequestContext())
    users.tried("ada", 2, ip=None)
    first.give_back()
    first.give_back()

    (counter,) = (each for name, each in users.held().items() if name.startswith("a#"))
    assert 2 == counter.attempts


def test_an_attempt_that_nobody_ends_counts_as_a_failure(desk: Callable[..., Any]) -> None:
    """A bug between reservation and answer gives nobody a free guess."""
    users = desk(limits=LoginLimits(free=1))
    with pytest.raises(ZeroDivisionError), users.guard.reserve("ada", RequestContext()):
        raise ZeroDivisionError
    with users.guard.reserve("bob", RequestContext()):
        pass

    assert ["authn_login_fail_max", "authn_login_fail_max"] == users.told()
    assert {"abandoned"} == {event.reason for event in users.events()}
    assert ["RateLimited"] == users.tried("ada", ip=None) == users.tried("bob", ip=None)


def test_a_locked_attempt_cannot_succeed(desk: Callable[..., Any]) -> None:
    """A service that verified in spite of the lock is told so, and lets nobody in."""
    users = desk(when_blocked=WhenBlocked.CONCEAL, limits=LoginLimits(free=1))
    users.tried("ada")
    attempt = users.guard.reserve("ada", RequestContext(source_ip=STRANGER))

    assert attempt.locked
    with pytest.raises(AccountLocked):
        attempt.success("u-ada")


def test_what_an_attempt_asks_of_the_store(desk: Callable[..., Any]) -> None:
    """Calls, reads and writes together: by a stranger, from a known network, with a cookie; failed, and refused."""
    users = desk(limits=LoginLimits(free=2))
    cookie = users.guard.device_cookie("ada").reveal()
    calls = []
    for step in (
        lambda: users.login("ada", RIGHT, ip=HOME),
        lambda: users.login("ada", RIGHT, ip=HOME),
        lambda: users.login("ada", RIGHT, ip=OFFICE, device=cookie),
        lambda: users.tried("ada"),
        lambda: users.tried("ada"),
        lambda: users.tried("ada"),
    ):
        before = users.counters.calls
        step()
        calls.append(users.counters.calls - before)

    assert [8, 5, 2, 4, 5, 2] == calls


def test_nothing_shows_a_cookie_or_a_name(desk: Callable[..., Any]) -> None:
    """Neither guard nor reservation nor context."""
    users = desk()
    cookie = users.guard.device_cookie("ada")
    ctx = RequestContext(device=cookie.reveal())
    attempt = users.guard.reserve("ada", ctx)
    shown = f"{users.guard!r} {attempt!r} {ctx!r} {cookie!r} {attempt._found!r}"

    assert "ada" not in shown
    assert not any(part in shown for part in cookie.reveal().split(".")[1:])


def test_two_first_logins_at_once_make_one_known_network(desk: Callable[..., Any]) -> None:
    """The second finds what the first has written, and leaves it."""
    users = desk()
    both = [users.guard.reserve("ada", RequestContext(source_ip=HOME)) for _ in range(2)]
    for attempt in both:
        attempt.success("u-ada")
    held = {name.partition("#")[0]: counter.attempts for name, counter in users.held().items()}

    assert {"n": 0, "w": 0, "g": 0} == held


def test_a_success_clears_a_known_network_that_others_have_changed_meanwhile(desk: Callable[..., Any]) -> None:
    """Whatever was counted since it began: the owner is in."""
    users = desk()
    users.login("ada", RIGHT, ip=HOME)
    attempt = users.guard.reserve("ada", RequestContext(source_ip=HOME))
    users.tried("ada", 3, ip=HOME)
    attempt.success("u-ada")

    assert [0] == [counter.attempts for name, counter in users.held().items() if name.startswith("n#")]


def test_giving_back_what_a_success_has_cleared_changes_nothing(desk: Callable[..., Any]) -> None:
    """There is nothing left to take it from."""
    users = desk()
    first = users.guard.reserve("ada", RequestContext(source_ip=HOME))
    users.login("ada", RIGHT, ip=HOME)
    first.give_back()

    assert not [name for name in users.held() if name.startswith("a#")]


def test_an_attempt_that_never_wins_its_counter_is_refused(desk: Callable[..., Any], clock: FrozenClock) -> None:
    """After a bounded number of rounds, and not let through uncounted."""

    class Contended(MemoryLoginCounterStore):
        """A store in which somebody else always comes first."""

        rounds = 0

        def exchange(self, bucket: str, *, expected: LoginCounter | None, new: LoginCounter | None) -> Any:
            self.rounds += 1
            return LoginCounterChange(False, LoginCounter(attempts=self.rounds % 7, expires_at=2e9))

    users = desk(store=Contended(clock=clock))

    assert ["RateLimited"] == users.tried("ada")
    assert 128 == users.counters.rounds
    assert [] == users.digest.salts


def test_an_attempt_ends_once(desk: Callable[..., Any]) -> None:
    """What comes later changes neither counts nor trail."""
    users = desk()
    attempt = users.guard.reserve("ada", RequestContext())
    attempt.success("u-ada")
    attempt.success("u-ada")
    attempt.failure("wrong_password")
    attempt.give_back()

    assert ["authn_login_success"] == users.told()
    assert 0 == attempt.failures
