"""Logins are guarded and API keys kept by what one table holds, for all processes (auth L1, L2, L5, L6, L7, F12)."""

import secrets
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from common.auth.dynamo.entity_types import LOGIN_COUNTER
from common.auth.exceptions import ApiKeyInvalid, InvalidCredentials, RateLimited
from common.auth.security.api_keys import ApiKeyManager
from common.auth.security.context import RequestContext
from common.auth.security.login_guard import LoginGuard, LoginLimits
from common.auth.security.secrets import SecretBytes
from common.core.utils.clock import FrozenClock
from common.dynamo.testing import FaultPlan, FaultRates

STRANGER = RequestContext(source_ip="203.0.113.9")
KEY = SecretBytes(secrets.token_bytes(32))


def guards(stores: Any, clock: FrozenClock, count: int = 2, **limits: Any) -> list[LoginGuard]:
    """Return the guards of so many processes over one table."""
    return [LoginGuard(stores.counters, key=KEY, limits=LoginLimits(**limits), clock=clock) for _ in range(count)]


def failed(guard: LoginGuard, name: str, ctx: RequestContext = STRANGER) -> type[Exception]:
    """Fail to log in; return the class of the error."""
    try:
        with guard.reserve(name, ctx) as attempt:
            raise attempt.failure("wrong_password")
    except (InvalidCredentials, RateLimited) as error:
        return type(error)


def test_guesses_at_once_in_two_processes_are_ten_together(stores: Any, clock: FrozenClock) -> None:
    """The table decides, by one conditional write each."""
    two, start = guards(stores, clock), threading.Barrier(40)

    def guess(number: int) -> type[Exception]:
        start.wait(10)
        return failed(two[number % 2], "ada")

    with ThreadPoolExecutor(40) as threads:
        outcomes = Counter(threads.map(guess, range(40)))

    assert {InvalidCredentials: 10, RateLimited: 30} == outcomes


def test_the_owner_gets_in_while_strangers_are_locked_out(stores: Any, clock: FrozenClock) -> None:
    """By device cookie in another process, and from a network that the table knows."""
    here, there = guards(stores, clock, free=2)
    cookie = here.device_cookie("ada").reveal()
    home = RequestContext(source_ip="192.0.2.7")
    with here.reserve("ada", home) as attempt:
        attempt.success("u-ada")
    assert [InvalidCredentials, InvalidCredentials, RateLimited] == [failed(here, "ada") for _ in range(3)]

    for ctx in (RequestContext(source_ip="198.51.100.1", device=cookie), home):
        with there.reserve("ada", ctx) as attempt:
            attempt.success("u-ada")
    assert RateLimited is failed(there, "ada")
    there.unlock("ada")
    assert InvalidCredentials is failed(here, "ada")


def test_an_attempt_that_is_given_back_leaves_nothing_behind(stores: Any, clock: FrozenClock) -> None:
    """The account's item is gone again; the shared ones are back at zero."""
    (guard,) = guards(stores, clock, 1)
    guard.reserve("ada", STRANGER).give_back()
    found = stores.db.dao(LOGIN_COUNTER).scan(name="every-counter").include_expired().all()

    assert {"w": 0, "g": 0} == {item.bucket.partition("#")[0]: item.attempts for item in found}


def test_a_lost_connection_leaves_the_limits_in_the_process(
    impatient_stores: Any, faults: FaultPlan, clock: FrozenClock
) -> None:
    """Where no call gets through, ten guesses do, and no more."""
    faults.rates = FaultRates(refuse=1.0)
    (guard,) = guards(impatient_stores, clock, 1)
    outcomes = Counter(failed(guard, "ada") for _ in range(30))

    assert {InvalidCredentials: 10, RateLimited: 20} == outcomes


def test_api_keys_of_one_process_are_good_in_another(stores: Any, clock: FrozenClock) -> None:
    """Issued here, verified, rotated and revoked there."""
    here, there = (ApiKeyManager(stores.api_keys, environment="test", clock=clock) for _ in range(2))
    first = here.issue("billing", ["orders:read"], expires=clock.now() + timedelta(days=90))
    second = there.rotate(first.summary.key_id, expires=clock.now() + timedelta(days=180))
    assert {"billing"} == {there.verify(key.key.reveal()).owner for key in (first, second)}
    assert there.revoke(first.summary.key_id)
    with pytest.raises(ApiKeyInvalid):
        here.verify(first.key.reveal())
    assert here.verify(second.key.reveal(), scope="orders:read").key_id == second.summary.key_id

    assert {first.summary.key_id, second.summary.key_id} == {key.key_id for key in here.keys_of("billing")}
