"""Changing a password: the current one is needed, the policy judges, sessions end, and one event is left (auth P22)."""

import traceback
from collections.abc import Callable
from typing import Any

import pytest

from common.auth.exceptions import (
    AuthError,
    AuthUnavailable,
    InvalidCredentials,
    PolicyViolation,
    RateLimited,
    RevocationUnavailable,
    StoreUnavailable,
    TokenError,
    TokenRevoked,
)
from common.auth.security.context import RequestContext
from common.auth.security.login_guard import LoginLimits
from common.auth.security.stores import Credential
from common.exceptions import to_problem

RIGHT = "violet-tractor-mumbles-sonnet"
NEXT = "a-lighthouse-counts-its-own-moths"
CTX = RequestContext(request_id="0190163d-8694", source_ip="203.0.113.9")
Make = Callable[..., Any]


def change(house: Any, user_id: Any = "u-ada", current: Any = RIGHT, new: Any = NEXT, **options: Any) -> None:
    """Change a password."""
    house.logins.change_password(user_id, current, new, CTX, **options)


def test_the_new_password_logs_in_and_the_old_one_does_not(house: Make) -> None:
    """After the change there is one password."""
    home = house()
    change(home)

    assert "u-ada" == home.login("ada", NEXT).user_id
    with pytest.raises(InvalidCredentials):
        home.login("ada", RIGHT)


def test_sessions_before_end_and_sessions_after_count(house: Make) -> None:
    """By default every session of the user ends, the own one included; other users keep theirs (ASVS 7.4.3)."""
    home = house()
    first, second, other = home.login("ada"), home.login("ada"), home.login("old")
    change(home)

    for ended in (first, second):
        with pytest.raises(TokenRevoked):
            home.tokens.validate_live(ended.tokens.access_token)
        with pytest.raises(TokenError):
            home.tokens.refresh(ended.tokens.refresh_token, CTX)
    assert "u-old" == home.tokens.validate_live(other.tokens.access_token).subject
    assert "u-ada" == home.tokens.validate_live(home.login("ada", NEXT).tokens.access_token).subject


def test_sessions_go_on_where_that_is_wanted(house: Make) -> None:
    """``end_sessions=False`` raises no epoch, and the event says so."""
    home = house()
    before = home.login("ada").tokens
    change(home, end_sessions=False)

    assert "u-ada" == home.tokens.validate_live(before.access_token).subject
    assert {"sessions_ended": False} == dict(home.events()[-1].details)


@pytest.mark.parametrize("guarded", [False, True])
def test_a_change_leaves_one_event(house: Make, guarded: bool) -> None:
    """It names who changed it and whether sessions were ended; the guard writes none of its own."""
    home = house(guarded=guarded)
    change(home)

    assert [("authn_password_change", None)] == home.told()
    assert ("u-ada", {"sessions_ended": True}) == (home.events()[0].actor, dict(home.events()[0].details))


REFUSALS: dict[str, tuple[Any, Any, Any, type[AuthError]]] = {
    "wrong_password": ("u-ada", "wrong", NEXT, InvalidCredentials),
    "unknown_user": ("u-nobody", RIGHT, NEXT, InvalidCredentials),
    "user_disabled": ("u-disabled", RIGHT, NEXT, InvalidCredentials),
    "no_password": ("u-invited", RIGHT, NEXT, InvalidCredentials),
    "malformed_hash": ("u-damaged", RIGHT, NEXT, InvalidCredentials),
    "no id": (None, RIGHT, NEXT, InvalidCredentials),
    "too_short": ("u-ada", RIGHT, "short", PolicyViolation),
    "listed_password": ("u-ada", RIGHT, "passwordpassword", PolicyViolation),
    "not_text": ("u-ada", RIGHT, 7, PolicyViolation),
    "not_unicode": ("u-ada", RIGHT, "\ud800" * 20, PolicyViolation),
}


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("case", REFUSALS)
def test_a_refused_change_changes_nothing_and_leaves_one_event(house: Make, case: str, guarded: bool) -> None:
    """Without the current password, or with a new one that the policy refuses, hash and sessions stay (ASVS 6.2.3)."""
    home = house(guarded=guarded)
    session = home.login("ada").tokens
    hashes = list(home.memory.stored_hashes())
    user_id, current, new, error = REFUSALS[case]

    with pytest.raises(error) as caught:
        change(home, user_id, current, new)
    assert hashes == list(home.memory.stored_hashes())
    assert "u-ada" == home.tokens.validate_live(session.access_token).subject
    assert ["authn_login_success", "authn_password_change_fail"] == [event.type for event in home.events()]
    assert case in (caught.value.reason, home.events()[-1].reason, *getattr(caught.value, "codes", ())) or " " in case


def test_the_event_of_a_refused_password_has_the_codes(house: Make) -> None:
    """What was wrong with the new password is in the trail as in the answer."""
    home = house()
    with pytest.raises(PolicyViolation) as caught:
        change(home, new="ada.lovelace1815", context=["ada.lovelace@example.com"])

    assert "context_word" in caught.value.codes
    assert list(caught.value.codes) == list(home.events()[0].details["codes"])


@pytest.mark.parametrize("case", ["wrong_password", "unknown_user", "user_disabled", "no_password", "malformed_hash"])
def test_every_wrong_current_password_costs_the_same_and_looks_the_same(house: Make, case: str) -> None:
    """Nothing about the user shows in work, status or body."""
    home = house()

    def attempt() -> None:
        with pytest.raises(InvalidCredentials) as caught:
            change(home, *REFUSALS[case][:3])
        assert to_problem(InvalidCredentials()) == to_problem(caught.value)

    assert 1 << 6 == home.bcrypt.work_of(attempt)


def test_the_current_password_cannot_be_guessed_for_ever(house: Make) -> None:
    """With a guard, whoever took over a session is held up as at a login, and logins are not."""
    home = house(guarded=True, limits=LoginLimits(free=2))
    for _ in range(2):
        with pytest.raises(InvalidCredentials):
            change(home, current="wrong")

    with pytest.raises(RateLimited):
        change(home)
    assert ["authn_password_change_fail"] * 3 == [event.type for event in home.events()]
    assert "u-ada" == home.login("ada").user_id


def test_a_login_that_renews_the_hash_meanwhile_is_not_in_the_way(house: Make) -> None:
    """Another text of the same password is overwritten by the new one."""
    home = house()
    act_before_replace(home, lambda: put(home, home.passwords.hash(RIGHT)))
    change(home)

    assert "u-ada" == home.login("ada", NEXT).user_id


def test_of_two_changes_one_wins(house: Make) -> None:
    """Who comes second does not know the password any more."""
    home = house()
    act_before_replace(home, lambda: put(home, home.passwords.hash("another-change-was-quicker-today")))

    with pytest.raises(InvalidCredentials, match="password_changed"):
        change(home)
    assert "u-ada" == home.login("ada", "another-change-was-quicker-today").user_id


def test_a_store_that_never_agrees_is_an_outage(house: Make) -> None:
    """Three attempts, and an end."""
    home = house()
    home.memory.replace_hash = lambda *args, **options: False

    with pytest.raises(StoreUnavailable, match="changes all the time"):
        change(home)


def act_before_replace(house: Any, action: Callable[[], object]) -> None:
    """Do *action* just before the next conditional write."""
    original = house.memory.replace_hash

    def first_act(*args: Any, **options: Any) -> Any:
        house.memory.replace_hash = original
        action()
        return original(*args, **options)

    house.memory.replace_hash = first_act


def put(house: Any, new: str) -> None:
    """Store *new* as the hash of ada."""
    house.memory.put("ada", Credential(user_id="u-ada", password_hash=new))


def test_sessions_that_could_not_be_ended_are_told(house: Make) -> None:
    """The change stands, the error says what is left to do, and the event that it is left."""
    home = house()
    before = home.login("ada").tokens
    home.revocations.is_down = True
    with pytest.raises(RevocationUnavailable, match="was changed"):
        change(home)
    home.revocations.is_down = False

    assert ("authn_password_change", "sessions_not_ended") == home.told()[-1]
    assert {"sessions_ended": False} == dict(home.events()[-1].details)
    home.tokens.revoke_user("u-ada")
    with pytest.raises(TokenRevoked):
        home.tokens.validate_live(before.access_token)
    assert "u-ada" == home.login("ada", NEXT).user_id


def test_an_outage_changes_nothing(house: Make) -> None:
    """A credential store that is away answers 503, and one event says so."""
    home = house()
    home.credentials.is_down = True
    with pytest.raises(AuthUnavailable):
        change(home)
    home.credentials.is_down = False

    assert [("authn_password_change_fail", "store_away")] == home.told()
    assert "u-ada" == home.login("ada").user_id


@pytest.mark.parametrize("case", ["wrong", "policy"])
def test_no_output_shows_either_password(house: Make, case: str) -> None:
    """Not the error, a traceback with the locals of our frames, nor the trail (auth P21)."""
    home = house()
    current, new = ("canary-one", NEXT) if case == "wrong" else (RIGHT, "canary")
    with pytest.raises(AuthError) as caught:
        change(home, current=current, new=new)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = "".join(str(frame.locals) for frame in told.stack if "/common/auth/" in frame.filename)
    home.audit.close()

    assert ours
    assert "canary" not in ours.replace(repr(CTX), "") + str(caught.value)
    assert RIGHT not in ours
    assert not [record for record in home.sink.records if b"canary" in record.line or RIGHT.encode() in record.line]
