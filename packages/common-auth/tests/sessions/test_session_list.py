"""A user's sessions can be listed and ended, and nothing that is stored opens one (auth F11, F14)."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from datetime import timedelta
from typing import Any

import pytest

from common.auth.doctor import doctor
from common.auth.exceptions import TokenError, TokenRevoked
from common.auth.security.context import RequestContext
from common.auth.security.keys import SigningKey
from common.auth.security.session_values import SessionProfile
from common.auth.testing import MOMENT
from common.core.utils.clock import FrozenClock

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def ids(house: Any, user_id: str = "u-1") -> list[str]:
    """Return the session ids of a user, as listed."""
    return [info.session for info in house.manager.sessions(user_id)]


def test_sessions_are_listed_with_what_a_user_wants_to_know(house: Any, clock: FrozenClock) -> None:
    """By which client, since when, last used when, until when, and how it was logged in; the last used first."""
    web = house.login(methods=["pwd", "otp"])
    clock.advance(MINUTE)
    mobile = house.login(client_id="mobile")
    house.login("u-2")
    clock.advance(DAY)
    house.refresh(web)

    first, second = house.manager.sessions("u-1")

    assert [web.session, mobile.session] == [first.session, second.session]
    assert ("web", ("pwd", "otp")) == (first.client_id, first.methods)
    assert (MOMENT, clock.now()) == (first.created_at, first.last_used_at)
    assert clock.now() + 7 * DAY == first.expires_at
    assert MOMENT + MINUTE == second.created_at == second.last_used_at


def test_ended_and_expired_sessions_are_not_listed(house: Any, clock: FrozenClock) -> None:
    """Neither those of before a logout everywhere, whose items are not touched by it."""
    house.login()
    clock.advance(7 * DAY)
    ended, living = house.login(), house.login()
    house.manager.revoke_session(ended.session)
    assert [living.session] == ids(house)

    house.manager.revoke_user("u-1")
    assert [] == ids(house)
    newest = house.login()
    assert [newest.session] == ids(house)


def test_one_the_others_or_all_can_be_ended(house: Any) -> None:
    """Each as the user wishes, with the number of those that were (F11)."""
    pairs = [house.login() for _ in range(4)]
    foreign = house.login("u-2")

    house.manager.revoke_session(pairs[3].session)
    assert {pair.session for pair in pairs[:3]} == set(ids(house))

    assert 2 == house.manager.revoke_other_sessions("u-1", keep=pairs[0].session)
    assert [pairs[0].session] == ids(house)
    house.manager.validate_live(pairs[0].access_token)
    for pair in pairs[1:]:
        with pytest.raises(TokenRevoked):
            house.manager.validate_live(pair.access_token)
    assert 0 == house.manager.revoke_other_sessions("u-1", keep=pairs[0].session)

    house.manager.revoke_user("u-1")
    assert [] == ids(house)
    assert [foreign.session] == ids(house, "u-2")


def test_disabling_a_user_ends_every_session(house: Any) -> None:
    """The access tokens at once, by the epoch; the renewals even before, by the account (ASVS 7.4.2)."""
    pair = house.login()
    house.enable("u-1", enabled=False)
    with pytest.raises(TokenRevoked):
        house.refresh(pair)
    house.manager.revoke_user("u-1", cause="disabled")

    with pytest.raises(TokenRevoked):
        house.manager.validate_live(pair.access_token)
    house.enable("u-1")
    with pytest.raises(TokenRevoked):
        house.refresh(pair)


def test_ending_twice_is_no_error(house: Any) -> None:
    """Nor is ending what never was: the end of a session is the same whoever comes first."""
    pair = house.login()
    for session in (pair.session, pair.session, "never-was"):
        house.manager.revoke_session(session)

    assert [] == ids(house)


def test_each_login_is_a_session_of_its_own(house: Any) -> None:
    """With an id that nobody can guess, never one that a client brought along (ASVS 7.2.4)."""
    ctx = RequestContext(client_id="web", session="brought-along")
    pairs = [house.manager.start_session("u-1", ctx) for _ in range(50)]

    assert 50 == len({pair.session for pair in pairs})
    assert all(len(pair.session) == 22 for pair in pairs)
    assert "brought-along" not in {pair.session for pair in pairs}


# What is stored (F14)


def test_no_token_is_stored(house: Any, stored: Callable[[Any], str], clock: FrozenClock) -> None:
    """Every field of every item is searched for every token that was ever issued, and for its signature alone."""
    issued = []
    for user in ("u-1", "u-2"):
        house.enable(user)
        pair = house.login(user, scope=["a"], roles=["r"])
        issued.append(pair)
        for _ in range(5):
            clock.advance(MINUTE)
            pair = house.refresh(pair)
            issued.append(pair)
    house.manager.revoke_token(issued[0].refresh_token)
    house.manager.revoke_token(pair.access_token)
    house.manager.revoke_user("u-2")
    dump = stored(house)

    texts = [text for pair in issued for text in (pair.access_token, pair.refresh_token)]
    assert 24 == len(set(texts))
    assert all(part not in dump for text in texts for part in (text, text.rpartition(".")[2], text.rpartition(".")[0]))
    assert issued[0].session in dump


def test_what_is_stored_makes_no_token(
    house: Any, build_house: Callable[..., Any], stored: Callable[[Any], str]
) -> None:
    """Who copies the tables and lacks the key gets tokens that the service refuses."""
    pair = house.login()
    thief = build_house(key=SigningKey.generate("EdDSA", kid="k1"))
    copied = thief.manager._refresh.write(house.family(pair))

    assert copied.split(".")[:2] == pair.refresh_token.split(".")[:2]
    with pytest.raises(TokenError):
        house.manager.refresh(copied, RequestContext(client_id="web"))


def test_values_are_frozen_and_show_no_secret(house: Any) -> None:
    """Neither a pair nor what is listed shows a token or the id of a session."""
    pair = house.login()
    info = house.manager.sessions("u-1")[0]
    shown = f"{pair} {info} {house.manager!r}"

    assert not any(secret in shown for secret in (pair.access_token, pair.refresh_token, pair.session))
    for value, name in ((pair, "refresh_token"), (info, "client_id")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, "x")


@pytest.mark.parametrize(
    ("profile", "code"),
    [
        ({"absolute": timedelta(days=31)}, "long_lived"),
        ({"idle": timedelta(days=8)}, "long_lived"),
        ({"grace": timedelta(seconds=11)}, "wide_grace"),
    ],
    ids=str,
)
def test_the_doctor_finds_weak_sessions(
    build_house: Callable[..., Any], house: Any, profile: dict[str, Any], code: str
) -> None:
    """Longer than usual is possible, and told."""
    weak = build_house(sessions=SessionProfile(**profile))

    told = {(finding.part, finding.code) for finding in doctor(weak.manager)} - {
        (finding.part, finding.code) for finding in doctor(house.manager)
    }
    assert {("sessions", code)} == told
