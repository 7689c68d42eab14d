"""Logging in: one outward error, one event, equal work, and a hash that is renewed only where nothing came between."""

import json
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from common.auth.exceptions import (
    AuthError,
    AuthUnavailable,
    InvalidClaim,
    InvalidCredentials,
    RateLimited,
    StoreUnavailable,
    TokenRevoked,
)
from common.auth.security.authenticator import Authenticator, Rehash
from common.auth.security.context import RequestContext
from common.auth.security.login_guard import LoginLimits, WhenBlocked
from common.auth.testing import quick_passwords
from common.exceptions import to_problem

RIGHT = "violet-tractor-mumbles-sonnet"
CHANGED = "a-lighthouse-counts-its-own-moths"
CTX = RequestContext(request_id="0190163d-8694", source_ip="203.0.113.9")
Make = Callable[..., Any]

FAILURES = {
    "wrong_password": ("ada", "wrong"),
    "wrong password at an old cost": ("old", "wrong"),
    "unknown_user": ("nobody", RIGHT),
    "user_disabled": ("disabled", RIGHT),
    "no_password": ("invited", RIGHT),
    "malformed_hash": ("damaged", RIGHT),
    "unknown_pepper": ("foreign", RIGHT),
    "too_long": ("ada", "x" * 5000),
    "empty": ("ada", ""),
    "not_unicode": ("ada", "\ud800"),
    "not_text": ("ada", 7),
    "hostile name": ("\ud800\0" * 500, RIGHT),
    "no name": (None, RIGHT),
}


def refused(house: Any, name: Any, password: Any) -> InvalidCredentials:
    """Log in in vain, and return the error."""
    with pytest.raises(InvalidCredentials) as caught:
        house.login(name, password)
    return caught.value


def test_a_good_login_begins_a_session(house: Make) -> None:
    """User id, roles and a pair of tokens come back; the access token tells who, which roles, and how."""
    home = house()
    result = home.login(scope=["orders:read"])
    claims = home.tokens.validate_live(result.tokens.access_token)

    assert ("u-ada", ("trader",), None) == (result.user_id, result.roles, result.rehash)
    assert ("u-ada", {"trader"}, {"orders:read"}) == (claims.subject, claims.roles, claims.scope)
    assert (("pwd",), home.clock.now()) == (claims.methods, claims.authenticated_at)


def test_sessions_are_optional(house: Make) -> None:
    """A service that keeps its sessions elsewhere learns who it is, and gets no tokens."""
    assert house(sessions=False).login().tokens is None


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("case", FAILURES)
def test_every_failed_login_looks_the_same(house: Make, case: str, guarded: bool) -> None:
    """Class, status, code, headers and problem body are equal to the byte, but for the request id (auth P12)."""
    name, password = FAILURES[case]
    reference = to_problem(InvalidCredentials(), request_id="r-1")
    answer = to_problem(refused(house(guarded=guarded), name, password), request_id="r-1")

    assert json.dumps(reference.body) == json.dumps(answer.body)
    assert (reference.status, reference.headers) == (answer.status, answer.headers)


def test_a_locked_account_looks_the_same_where_the_guard_conceals(house: Make) -> None:
    """Nobody learns that an account is locked; the right password is refused too, by the same body."""
    home = house(guarded=True, when_blocked=WhenBlocked.CONCEAL, limits=LoginLimits(free=1))
    first = to_problem(refused(home, "ada", "wrong"), request_id="r-1")
    locked = to_problem(refused(home, "ada", RIGHT), request_id="r-1")

    assert json.dumps(first.body) == json.dumps(locked.body)
    assert (first.status, first.headers) == (locked.status, locked.headers)


@pytest.mark.parametrize("case", FAILURES)
def test_every_failed_login_costs_the_same_work(house: Make, case: str) -> None:
    """Nothing about user, hash or password shows in the rounds of bcrypt that were spent (auth P11)."""
    home = house()
    work = home.bcrypt.work_of(lambda: refused(home, *FAILURES[case]))

    assert 1 << 6 == work


def test_a_locked_login_costs_the_same_work(house: Make) -> None:
    """A concealed lock hashes in vain (auth P11, L8)."""
    home = house(guarded=True, when_blocked=WhenBlocked.CONCEAL, limits=LoginLimits(free=1))
    refused(home, "old", "wrong")

    assert 1 << 6 == home.bcrypt.work_of(lambda: refused(home, "old", RIGHT))


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("case", FAILURES)
def test_every_failed_login_leaves_one_event_with_its_reason(house: Make, case: str, guarded: bool) -> None:
    """The trail knows what the client does not (auth A2, P12)."""
    home = house(guarded=guarded)
    error = refused(home, *FAILURES[case])

    assert [("authn_login_fail", error.reason)] == home.told()
    assert case == error.reason or " " in case


@pytest.mark.parametrize("guarded", [False, True])
def test_a_good_login_leaves_one_event(house: Make, guarded: bool) -> None:
    """It names the user as the actor, the method and the client."""
    home = house(guarded=guarded)
    home.login()
    event = home.events()[0]

    assert [("authn_login_success", None)] == home.told()
    assert ("u-ada", "u-ada", "0190163d-8694") == (event.actor, event.subject, event.request_id)
    assert {"method": "pwd", "client_id": "web"} == dict(event.details)


def test_a_login_after_failures_says_so(house: Make) -> None:
    """With a guard the event counts the failures before."""
    home = house(guarded=True)
    refused(home, "ada", "wrong")
    home.login()

    assert ["authn_login_fail", "authn_login_successafterfail"] == [event.type for event in home.events()]


def test_too_many_failures_are_told_before_anything_is_hashed(house: Make) -> None:
    """A guard that tells answers 429, and bcrypt does not run; the event is the guard's."""
    home = house(guarded=True, limits=LoginLimits(free=1))
    refused(home, "ada", "wrong")

    def blocked() -> None:
        with pytest.raises(RateLimited):
            home.login()

    assert 0 == home.bcrypt.work_of(blocked)
    assert 2 == len(home.events())


def test_the_name_of_a_failed_login_is_not_in_the_trail(house: Make) -> None:
    """People type passwords into the field for the name; what nobody has proven is stored as a hash (auth A5)."""
    home = house()
    refused(home, "canary-name", "canary-password")
    home.audit.close()

    assert not [record for record in home.sink.records if b"canary" in record.line]
    assert home.events()[0].subject == home.audit.pseudonym("canary-name")


# The hash that is renewed


def test_an_outdated_hash_is_renewed(house: Make) -> None:
    """The first login at an old cost stores a hash of today's; the second has nothing to do."""
    home = house()
    before = home.stored("u-old")

    assert Rehash.STORED is home.login("old").rehash
    assert before != home.stored("u-old")
    assert not home.passwords.needs_rehash(home.stored("u-old"))
    assert home.login("old").rehash is None
    assert ["stored", None] == [event.details.get("rehash") for event in home.events()]


@pytest.mark.parametrize("sessions", [True, False])
def test_a_change_of_the_password_between_verify_and_rehash_survives(house: Make, sessions: bool) -> None:
    """The rehash is stored only where the hash is the one that was verified (auth P8)."""
    home = house(sessions=sessions)
    changed = home.passwords.hash(CHANGED)
    between(home, "replace_hash", lambda: put_hash(home, "u-old", changed))

    assert Rehash.SUPERSEDED is home.login("old").rehash
    assert changed == home.stored("u-old")


@pytest.mark.parametrize("error", [StoreUnavailable, RuntimeError, ValueError])
def test_a_failed_rehash_fails_no_login(house: Make, error: type[Exception]) -> None:
    """Whatever the store raises at the update, the user is in; the event says that the hash was not renewed (auth P9)."""
    home = house()
    before = home.stored("u-old")

    def fail() -> None:
        raise error("canary")

    between(home, "replace_hash", fail)
    result = home.login("old")

    assert ("u-old", Rehash.FAILED) == (result.user_id, result.rehash)
    assert before == home.stored("u-old")
    assert [("authn_login_success", "failed")] == [(e.type, e.details["rehash"]) for e in home.events()]


def test_a_crowded_pool_fails_no_login_that_was_verified(house: Make) -> None:
    """Where the new hash cannot be made now, the next login makes it."""
    home = house()
    crowded = quick_passwords(peppers=home.peppers)
    crowded.close()
    home.passwords.hash = crowded.hash

    assert Rehash.FAILED is home.login("old").rehash


# A login that meets a change


def between(house: Any, method: str, action: Callable[[], object]) -> None:
    """Do *action* just before the credential store gets its next call of *method*, once."""
    original = getattr(house.memory, method)

    def first_act(*args: Any, **options: Any) -> Any:
        setattr(house.memory, method, original)
        action()
        return original(*args, **options)

    setattr(house.memory, method, first_act)


def put_hash(house: Any, user_id: str, new: str) -> None:
    """Store *new*, as a change of the password does."""
    assert house.memory.replace_hash(user_id, expected=house.stored(user_id), new=new)


def test_a_login_with_the_old_password_leaves_no_session_behind(house: Make) -> None:
    """A change of the password that comes while a login with the old one runs ends it, whichever is first."""
    home = house()
    begun: list[Any] = []
    begin = home.tokens.start_session

    def start_then_change(*args: Any, **options: Any) -> Any:
        begun.append(begin(*args, **options))
        put_hash(home, "u-ada", home.passwords.hash(CHANGED))
        return begun[0]

    home.tokens.start_session = start_then_change

    assert "password_changed" == refused(home, "ada", RIGHT).reason
    with pytest.raises(TokenRevoked):
        home.tokens.validate_live(begun[0].access_token)
    assert [("authn_login_fail", "password_changed")] == home.told()


def test_two_logins_that_renew_one_hash_both_succeed(house: Make) -> None:
    """A hash that another login renewed is another text of the same password."""
    home = house()
    between(home, "of_user", lambda: put_hash(home, "u-old", home.passwords.hash(RIGHT)))

    assert Rehash.SUPERSEDED is home.login("old").rehash


def test_a_user_who_is_disabled_meanwhile_gets_no_session(house: Make) -> None:
    """The second look sees that too."""
    home = house()
    disabled = home.memory.find("disabled")
    between(home, "of_user", lambda: home.memory.put("x", disabled.__class__(user_id="u-ada", password_hash=None)))

    assert "password_changed" == refused(home, "ada", RIGHT).reason


# What does not answer


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("store", ["credentials", "families", "revocations"])
def test_an_outage_is_no_wrong_password(house: Make, store: str, guarded: bool) -> None:
    """A store that is away answers 503, leaves one event, and the attempt does not count."""
    home = house(guarded=guarded, limits=LoginLimits(free=1)) if guarded else house()
    getattr(home, store).is_down = True
    for _ in range(3):
        with pytest.raises(AuthUnavailable) as caught:
            home.login()
        assert 503 == to_problem(caught.value).status
    getattr(home, store).is_down = False

    assert "u-ada" == home.login().user_id
    assert ["authn_login_fail"] * 3 + ["authn_login_success"] == [event.type for event in home.events()]


def test_a_store_may_raise_anything(house: Make) -> None:
    """What a stranger's store raises is an outage too, and its text stays inside (auth X2)."""
    home = house()
    home.credentials.is_down, home.credentials.error = True, lambda: KeyError("canary")

    with pytest.raises(StoreUnavailable) as caught:
        home.login()
    assert "canary" not in repr(to_problem(caught.value)) + str(caught.value)


def test_a_pool_that_is_full_is_no_wrong_password(house: Make) -> None:
    """Where nothing can be hashed the answer is 503, for known and unknown users alike."""
    home = house(guarded=True)
    home.passwords.close()

    for name in ("ada", "nobody"):
        with pytest.raises(AuthUnavailable):
            home.login(name)
    assert [("authn_login_fail", "pool_closed")] * 2 == home.told()


@pytest.mark.parametrize("guarded", [False, True])
def test_a_scope_that_cannot_be_granted_is_the_callers_mistake(house: Make, guarded: bool) -> None:
    """It is told as such, and the attempt leaves one event."""
    home = house(guarded=guarded)
    with pytest.raises(InvalidClaim):
        home.login(scope=['bad"scope'])

    assert [("authn_login_fail", "abandoned")] == home.told()


# Secrecy


@pytest.mark.parametrize("name", ["ada", "old", "nobody", "damaged", "disabled"])
def test_no_output_shows_the_password(house: Make, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not the error, its causes, a traceback with the locals of our frames, the log, nor the trail (auth P21)."""
    caplog.set_level(logging.DEBUG)
    home = house(guarded=True)
    canary = "canary-" + RIGHT
    with pytest.raises(AuthError) as caught:
        home.login(name, canary)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = "".join(str(frame.locals) for frame in told.stack if "common/auth/" in frame.filename)
    home.audit.close()

    assert ours
    assert canary not in ours + str(caught.value) + repr(home.logins) + caplog.text
    assert not [record for record in home.sink.records if canary.encode() in record.line]


def test_what_is_left_out_is_told(house: Make) -> None:
    """The doctor tells of logins without trail or guard."""
    home = house(guarded=True)

    assert () == home.logins.weaknesses()
    bare = Authenticator(home.memory, home.passwords)
    assert ["no_audit", "no_guard"] == [finding.code for finding in bare.weaknesses()]
