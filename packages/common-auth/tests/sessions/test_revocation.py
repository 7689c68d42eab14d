"""Tokens and sessions that were ended are refused (auth F7, F9, and row 35 of the attack table)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from common.auth.exceptions import (
    TokenInvalid,
    TokenRevoked,
)
from common.auth.security.keys import SigningKey
from common.auth.security.memory_stores import MemoryRevocationStore
from common.auth.security.revocation_check import session_name, token_name
from common.auth.security.session_values import Freshness
from common.auth.security.token_manager import TokenManager, TokenProfile
from common.auth.testing import access_claims, forge, token_manager
from common.core.utils.clock import FrozenClock
from common.exceptions import to_problem

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


# Row 35 of the attack table


@pytest.mark.parametrize("freshness", EVERY)
@pytest.mark.parametrize(
    "logout",
    [
        lambda house, pair: house.manager.revoke_session(pair.session),
        lambda house, pair: house.manager.revoke_token(pair.refresh_token),
        lambda house, pair: house.manager.revoke_token(pair.access_token),
        lambda house, pair: house.manager.revoke_user("u-1"),
        lambda house, pair: house.manager.revoke_other_sessions("u-1", keep="none"),
    ],
    ids=["session", "refresh token", "access token", "user", "others"],
)
def test_row_35_an_access_token_after_logout(
    house: Any, logout: Callable[[Any, Any], object], freshness: Freshness
) -> None:
    """Whatever ended it, the token that was good a moment ago is refused, with the outward look of any bad token."""
    pair = house.login()
    assert is_live(house.manager, pair.access_token)
    logout(house, pair)

    with pytest.raises(TokenRevoked) as revoked:
        house.manager.validate_live(pair.access_token, freshness=freshness)
    with pytest.raises(TokenInvalid) as invalid:
        house.manager.validate_live("x.y.z")
    assert to_problem(invalid.value, request_id="r") == to_problem(revoked.value, request_id="r")


def test_one_session_ends_and_the_others_go_on(house: Any) -> None:
    """Nobody else's, and no other of the same user."""
    ended, kept, foreign = house.login(), house.login(), house.login("u-2")
    house.manager.revoke_session(ended.session)

    assert [False, True, True] == [is_live(house.manager, each.access_token) for each in (ended, kept, foreign)]
    with pytest.raises(TokenRevoked):
        house.refresh(ended)
    house.refresh(kept)


def test_an_access_token_is_revoked_alone(house: Any) -> None:
    """The session and its next access token are not."""
    first = house.login()
    house.manager.revoke_token(first.access_token)
    second = house.refresh(first)

    assert [False, True] == [is_live(house.manager, each.access_token) for each in (first, second)]


def test_a_refresh_token_of_any_generation_ends_its_session(house: Any) -> None:
    """RFC 7009: the tokens that hang on it go with it."""
    first = house.login()
    second = house.refresh(first)
    house.manager.revoke_token(first.refresh_token)

    assert not is_live(house.manager, second.access_token)
    with pytest.raises(TokenRevoked):
        house.refresh(second)


def test_what_has_expired_needs_no_revocation(house: Any, clock: FrozenClock) -> None:
    """It is over already: no error, and no item."""
    pair = house.login()
    clock.advance(timedelta(days=31))
    house.revocations.calls.clear()

    house.manager.revoke_token(pair.access_token)
    house.manager.revoke_token(pair.refresh_token)

    assert {} == house.revocations.calls


def test_a_token_without_an_id_cannot_be_revoked(clock: FrozenClock) -> None:
    """Another issuer's profile may lack ids; that is told, not passed over."""
    key = SigningKey.generate("EdDSA", kid="k1")
    profile = TokenProfile(required=frozenset())
    manager = token_manager(key, clock=clock, profile=profile, revocations=MemoryRevocationStore())
    bare = forge(key, access_claims(jti=..., sid=..., ver=...))

    assert "u-1" == manager.validate_live(bare).subject
    with pytest.raises(TokenInvalid):
        manager.revoke_token(bare)
    manager.revoke_user("u-1")
    assert not is_live(manager, bare)


# Epochs (F7)


def test_logout_everywhere_is_one_write(house: Any) -> None:
    """However many sessions there are; it returns the new epoch."""
    pairs = [house.login() for _ in range(5)]
    house.revocations.calls.clear()
    house.families.calls.clear()

    assert 1 == house.manager.revoke_user("u-1")

    assert ({"raise_epoch": 1}, {}) == (house.revocations.calls, house.families.calls)
    assert not any(is_live(house.manager, pair.access_token) for pair in pairs)
    assert 2 == house.manager.revoke_user("u-1")


@pytest.mark.parametrize("freshness", EVERY)
def test_a_login_in_the_same_second_counts(house: Any, freshness: Freshness) -> None:
    """Logout everywhere, and login again before the clock moves: the old is refused, the new is taken (F7)."""
    old = house.login()
    house.manager.revoke_user("u-1")
    new = house.login()

    assert [False, True] == [is_live(house.manager, each.access_token, freshness) for each in (old, new)]
    with pytest.raises(TokenRevoked):
        house.refresh(old)
    house.refresh(new)


def test_a_clock_that_is_set_back_revives_nothing(house: Any, clock: FrozenClock) -> None:
    """An epoch is no time: where the clock goes back an hour, into a token's life, the token stays refused (T9)."""
    old = house.login()
    clock.advance(timedelta(hours=1))
    house.manager.revoke_user("u-1")
    clock.advance(timedelta(hours=-1))

    assert "u-1" == house.manager.validate(old.access_token).subject
    for manager in (house.manager, house.another()):
        assert not is_live(manager, old.access_token, Freshness.STRICT)


# Deny entries (F9)


@pytest.mark.parametrize(("until", "is_honoured"), [(-60, False), (0, False), (0.5, True), (60, True)])
def test_an_entry_counts_until_its_time(house: Any, clock: FrozenClock, until: float, is_honoured: bool) -> None:
    """One that has expired and is still stored is ignored; one that has not is honoured (F9)."""
    for name in (token_name, session_name):
        pair = house.login()
        claims = house.manager.validate(pair.access_token)
        denied = claims.token_id if name is token_name else claims.session
        house.kept_revocations.deny(name(denied), expires_at=clock.now().timestamp() + until)

        assert is_honoured is not is_live(house.another(), pair.access_token, Freshness.STRICT)
        assert is_honoured is not is_live(house.another(), pair.access_token, Freshness.CACHED)


def test_entries_outlive_what_they_deny(house: Any, clock: FrozenClock) -> None:
    """A token is denied up to its last second of leeway; a session as long as its last access token can be shown."""
    pair = house.login()
    claims = house.manager.validate(pair.access_token)
    house.manager.revoke_token(pair.access_token)
    house.manager.revoke_session(pair.session)
    names = (token_name(claims.token_id), session_name(pair.session))
    found = house.kept_revocations.look_up("u-1", names).denied
    leeway = 10.0

    assert claims.expires_at.timestamp() + leeway == found[names[0]]
    assert clock.now().timestamp() + 15 * 60 + 2 * leeway == found[names[1]]
