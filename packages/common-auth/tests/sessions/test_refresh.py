"""Refresh tokens follow one another, and each is used once (auth F1 to F5; RFC 9700, section 4.14.2)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from common.auth.exceptions import (
    AuthUnavailable,
    StoreUnavailable,
    TokenExpired,
    TokenReuseDetected,
    TokenRevoked,
)
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.session_values import SessionProfile
from common.auth.security.token_manager import TokenManager
from common.auth.testing import AUDIENCE, ISSUER, MOMENT
from common.auth.testing.store_laws.trying import at_once
from common.core.utils.clock import FrozenClock
from common.exceptions import to_problem

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def test_a_login_gives_two_tokens_and_stores_one_session(house: Any) -> None:
    """The access token says who, for how long and by what means; the session is one item."""
    pair = house.login(roles=["trader"], scope=["orders:read"], authenticated_at=MOMENT, methods=["pwd", "otp"])
    claims = house.manager.validate(pair.access_token)

    assert ("u-1", "web", pair.session, 0) == (claims.subject, claims.client_id, claims.session, claims.epoch)
    assert ({"trader"}, {"orders:read"}) == (claims.roles, claims.scope)
    assert (MOMENT, ("pwd", "otp")) == (claims.authenticated_at, claims.methods)
    assert (pair.expires_at, MOMENT + 30 * DAY) == (claims.expires_at, pair.session_expires_at)
    assert {"create": 1} == house.families.calls
    assert (1, "u-1", "web") == (
        house.family(pair).generation,
        house.family(pair).user_id,
        house.family(pair).client_id,
    )


def test_a_renewal_is_one_conditional_write_and_no_read(house: Any) -> None:
    """The store of sessions is asked once, whoever wins (F1)."""
    pair = house.login()
    house.families.calls.clear()

    house.refresh(pair)
    assert {"rotate": 1} == house.families.calls
    house.refresh(pair)
    assert {"rotate": 2} == house.families.calls


def test_every_renewal_gives_new_tokens(house: Any, clock: FrozenClock) -> None:
    """Both change, what they say of the session does not, and the access token works."""
    first = house.login(roles=["trader"], scope=["a", "b"], authenticated_at=MOMENT, methods=["pwd"])
    clock.advance(timedelta(minutes=10))
    second = house.refresh(first)
    old, new = (house.manager.validate(pair.access_token) for pair in (first, second))

    assert first.refresh_token != second.refresh_token
    assert old.token_id != new.token_id
    assert 22 == len(new.token_id)  # 128 bits in base64url
    kept = ("sub", "sid", "ver", "client_id", "roles", "scope", "auth_time", "amr")
    assert [old.members[name] for name in kept] == [new.members[name] for name in kept]
    assert clock.now() == new.issued_at
    assert 2 == house.family(second).generation


def test_every_token_of_a_chain_works_once(house: Any, clock: FrozenClock) -> None:
    """Twenty renewals in a row."""
    pair = house.login()
    for generation in range(2, 22):
        clock.advance(timedelta(minutes=15))
        pair = house.refresh(pair)
        assert generation == house.family(pair).generation


# Reuse (F3)


def test_reuse_ends_the_session(house: Any, clock: FrozenClock) -> None:
    """Past the grace window, the old token ends everything: the newest refresh token, and the access tokens at once."""
    first = house.login()
    second = house.refresh(first)
    clock.advance(11 * SECOND)

    with pytest.raises(TokenReuseDetected):
        house.refresh(first)
    with pytest.raises(TokenRevoked):
        house.refresh(second)
    for pair in (first, second):
        with pytest.raises(TokenRevoked):
            house.manager.validate_live(pair.access_token)


def test_two_generations_back_is_reuse_within_the_grace_window_too(house: Any) -> None:
    """R1, R2, R3 within a second; R1 again (F3)."""
    first = house.login()
    house.refresh(house.refresh(first))

    with pytest.raises(TokenReuseDetected):
        house.refresh(first)
    assert house.family(first).revoked_at is not None


def test_reuse_looks_like_expiry_from_outside(house: Any, clock: FrozenClock) -> None:
    """A thief does not learn that the theft was noticed."""
    first = house.login()
    house.refresh(house.refresh(first))
    with pytest.raises(TokenReuseDetected) as reused:
        house.refresh(first)
    other = house.login()
    clock.advance(31 * DAY)
    with pytest.raises(TokenExpired) as expired:
        house.refresh(other)

    assert to_problem(expired.value, request_id="r-1") == to_problem(reused.value, request_id="r-1")


def _unreachable(*_: object, **__: object) -> None:
    raise OSError("no route to host")


def test_an_end_that_stopped_half_way_is_finished_by_the_next_use(house: Any) -> None:
    """The store of revocations is away just after the session was ended: access tokens die with the next replay."""
    first = house.login()
    second = house.refresh(house.refresh(first))
    deny = house.kept_revocations.deny
    house.kept_revocations.deny = _unreachable
    with pytest.raises(AuthUnavailable):
        house.refresh(first)
    house.kept_revocations.deny = deny
    assert house.family(first).revoked_at is not None
    house.manager.validate_live(second.access_token)

    with pytest.raises(TokenRevoked):
        house.refresh(first)
    with pytest.raises(TokenRevoked):
        house.manager.validate_live(second.access_token)


def test_replays_of_a_session_that_ended_long_ago_write_nothing(house: Any, clock: FrozenClock) -> None:
    """Once its last access token is over, there is nothing left to finish."""
    pair = house.login()
    house.manager.revoke_session(pair.session)
    clock.advance(timedelta(minutes=16))
    house.revocations.calls.clear()

    with pytest.raises(TokenRevoked):
        house.refresh(pair)
    assert 0 == house.revocations.calls["deny"]


# Grace (F4)


@pytest.fixture(scope="module", params=["EdDSA", "RS256", "HS256", "ES256", "PS256"])
def key(request: pytest.FixtureRequest) -> SigningKey:
    """Return a key of each kind of algorithm."""
    return SigningKey.generate(request.param, kid="k1")


def test_fifty_at_once_get_one_successor(build_house: Callable[..., Any], key: SigningKey) -> None:
    """One generation further, no revocation, and equal tokens: octet by octet where the algorithm is deterministic."""
    house = build_house(key=key)
    first = house.login(scope=["a"], roles=["r"])

    pairs = at_once(lambda _: house.refresh(first), times=50)

    assert 2 == house.family(first).generation
    assert house.family(first).revoked_at is None
    if key.alg in ("EdDSA", "RS256", "HS256"):
        assert 1 == len({(pair.access_token, pair.refresh_token) for pair in pairs})
    else:
        assert 1 == len({pair.refresh_token.rpartition(".")[0] for pair in pairs})
        assert 1 == len({pair.access_token.rpartition(".")[0] for pair in pairs})
    assert all(house.manager.validate(pair.access_token).subject == "u-1" for pair in pairs)


def test_a_lost_answer_is_given_again(house: Any, clock: FrozenClock) -> None:
    """The store has rotated and its answer is lost, as in a crash between write and response: the retry gets the successor."""
    first = house.login()
    house.families.loses_answers = True
    with pytest.raises(StoreUnavailable) as lost:
        house.refresh(first)
    house.families.loses_answers = False
    clock.advance(5 * SECOND)

    second = house.refresh(first)

    assert lost.value.retryable
    assert 2 == house.family(second).generation
    assert 3 == house.family(house.refresh(second)).generation


@pytest.mark.parametrize(
    ("grace", "after", "is_served"),
    [(10, 0, True), (10, 10, True), (10, 10.001, False), (60, 60, True), (60, 60.001, False), (0, 0, False)],
)
def test_the_grace_window_is_exact(
    build_house: Callable[..., Any], clock: FrozenClock, grace: float, after: float, is_served: bool
) -> None:
    """From the rotation on, to the end of the window; zero is none."""
    house = build_house(sessions=SessionProfile(grace=timedelta(seconds=grace)))
    first = house.login()
    second = house.refresh(first)
    clock.advance(timedelta(seconds=after))

    if is_served:
        assert second == house.refresh(first)
    else:
        with pytest.raises(TokenReuseDetected):
            house.refresh(first)


def test_a_repetition_does_not_prolong_the_window(house: Any, clock: FrozenClock) -> None:
    """It is counted from the rotation, not from the last repetition."""
    first = house.login()
    second = house.refresh(first)
    for _ in range(2):
        clock.advance(5 * SECOND)
        assert second == house.refresh(first)
    clock.advance(SECOND)

    with pytest.raises(TokenReuseDetected):
        house.refresh(first)


def test_a_repetition_that_asks_for_less_is_another_access_token(house: Any) -> None:
    """One refresh token; but an access token of another scope or other roles has an id of its own (RFC 7519, 4.1.7)."""
    first = house.login(scope=["a", "b"], roles=["r"])
    whole, less = house.refresh(first), house.refresh(first, scope=["a"])
    house.enable("u-1", roles=("s",))
    others = house.refresh(first)
    ids = {house.manager.validate(pair.access_token).token_id for pair in (whole, less, others)}

    assert 1 == len({pair.refresh_token for pair in (whole, less, others)})
    assert 3 == len(ids)


def test_a_repetition_survives_a_rotation_of_keys(house: Any, clock: FrozenClock) -> None:
    """The successor is signed by the key that signed it first, though another has become active."""
    first = house.login()
    second = house.refresh(first)
    ring = house.manager._keys.rotate(SigningKey.generate(kid="k2"), overlap=31 * DAY, lead=timedelta(0))
    rotated = TokenManager(
        issuer=ISSUER,
        audience=AUDIENCE,
        keys=ring,
        clock=clock,
        families=house.families,
        revocations=house.revocations,
    )

    assert second == house.refresh(first, manager=rotated)


def test_a_repetition_without_the_key_has_equal_claims(house: Any, clock: FrozenClock) -> None:
    """Where this process can only verify by the key that signed the successor, it signs the same claims by its own."""
    first = house.login()
    second = house.refresh(first)
    verifying = house.manager._keys.find("k1", "EdDSA")
    manager = TokenManager(
        issuer=ISSUER,
        audience=AUDIENCE,
        keys=KeyRing([SigningKey.generate(kid="k2"), verifying], issuer=ISSUER, clock=clock),
        clock=clock,
        families=house.families,
        revocations=house.revocations,
    )

    again = house.refresh(first, manager=manager)

    assert manager.validate(second.access_token) == manager.validate(again.access_token)
    assert second.refresh_token.split(".")[1] == again.refresh_token.split(".")[1]
    assert second.refresh_token != again.refresh_token
    assert 3 == house.family(house.refresh(again, manager=manager)).generation


# Lifetimes (F5)


def test_idle_sessions_end(house: Any, clock: FrozenClock) -> None:
    """Seven days after the last renewal, to the second."""
    pair = house.login()
    for _ in range(3):
        clock.advance(7 * DAY - SECOND)
        pair = house.refresh(pair)
    clock.advance(7 * DAY)

    with pytest.raises(TokenExpired):
        house.refresh(pair)
    assert [] == house.manager.sessions("u-1")


def test_no_renewal_moves_the_absolute_end(house: Any, clock: FrozenClock) -> None:
    """Thirty days after the login a busy session ends too, and so do its last access tokens."""
    pair = house.login()
    for _ in range(5):
        clock.advance(6 * DAY - SECOND)
        pair = house.refresh(pair)
        assert MOMENT + 30 * DAY == pair.session_expires_at
    assert pair.session_expires_at == pair.expires_at
    clock.advance(5 * SECOND)

    with pytest.raises(TokenExpired):
        house.refresh(pair)
