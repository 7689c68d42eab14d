"""What refuses a renewal, and what may fail without costing the session (auth F6)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from common.auth.exceptions import (
    AuthUnavailable,
    ClaimsUnavailable,
    ConfigurationError,
    InvalidClaim,
    KeySourceUnavailable,
    ScopeRequired,
    StoreUnavailable,
    TokenError,
    TokenInvalid,
    TokenRevoked,
)
from common.auth.security.claim_sources import NamedClaims
from common.auth.security.context import RequestContext
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.memory_stores import MemoryRefreshFamilyStore, MemoryRevocationStore
from common.auth.security.sessions import Standing, standing
from common.auth.security.stores import RefreshFamily
from common.auth.security.token_manager import TokenManager
from common.auth.testing import AUDIENCE, ISSUER, MOMENT
from common.auth.testing.store_laws import make_family
from common.core.utils.clock import FrozenClock
from common.exceptions import to_problem

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def _untouched(house: Any, pair: Any, before: RefreshFamily) -> bool:
    return bool(before == house.family(pair))


def test_a_disabled_user_renews_nothing(house: Any) -> None:
    """Nor one who is gone; once enabled again, the session goes on."""
    pair = house.login()
    before = house.family(pair)
    house.enable("u-1", enabled=False)

    with pytest.raises(TokenRevoked) as refused:
        house.refresh(pair)

    assert "user_disabled" == refused.value.reason
    assert _untouched(house, pair, before)
    house.enable("u-1")
    house.refresh(pair)
    stranger = house.login("u-gone")
    with pytest.raises(TokenRevoked):
        house.refresh(stranger)


def test_a_raised_epoch_ends_renewal_at_once(house: Any) -> None:
    """In every process: the epoch is read anew for each renewal."""
    pair = house.login()
    before = house.family(pair)
    other = house.another()
    house.refresh(pair)
    house.manager.revoke_user("u-1")

    with pytest.raises(TokenRevoked) as refused:
        house.refresh(pair, manager=other)
    assert "epoch_raised" == refused.value.reason
    assert before.generation + 1 == house.family(pair).generation


def test_a_renewal_grants_no_more_than_the_login(house: Any) -> None:
    """Less is possible, for the access token alone; the session keeps what it has."""
    pair = house.login(scope=["a", "b", "c"])
    before = house.family(pair)

    with pytest.raises(ScopeRequired):
        house.refresh(pair, scope=["a", "d"])
    assert _untouched(house, pair, before)

    narrow = house.refresh(pair, scope=["c", "a"])
    assert ("a", "c") == narrow.scope
    assert {"a", "c"} == house.manager.validate(narrow.access_token).scope
    assert ("a", "b", "c") == house.refresh(narrow).scope


@pytest.mark.parametrize("scope", ["a", [1], [["a"]], ["a b"], [""]])
def test_a_malformed_scope_is_refused(house: Any, scope: Any) -> None:
    """It changes nothing, and raises nothing foreign."""
    pair = house.login(scope=["a"])
    before = house.family(pair)

    with pytest.raises(InvalidClaim):
        house.refresh(pair, scope=scope)
    assert _untouched(house, pair, before)


@pytest.mark.parametrize("client_id", [None, "mobile", "WEB", "", "we b", "\ud800"])
def test_another_client_renews_nothing(house: Any, client_id: str | None) -> None:
    """A refresh token is bound to the client it was issued to (RFC 6749, section 10.4)."""
    pair = house.login()
    before = house.family(pair)

    with pytest.raises(TokenInvalid) as refused:
        house.manager.refresh(pair.refresh_token, RequestContext(client_id=client_id))
    assert "client_differs" == refused.value.reason
    assert _untouched(house, pair, before)
    house.refresh(pair)


def test_roles_are_those_of_today(house: Any) -> None:
    """A role that was taken away is not in the next access token; without a word from the store the login's stay."""
    pair = house.login(roles=["trader", "admin"])
    house.enable("u-1", roles=("trader",))
    pair = house.refresh(pair)
    assert {"trader"} == house.manager.validate(pair.access_token).roles

    house.enable("u-1", roles=None)
    pair = house.refresh(pair)
    assert {"trader", "admin"} == house.manager.validate(pair.access_token).roles


# What fails before the rotation leaves the token usable


def test_a_failing_plugin_does_not_cost_the_session(build_house: Callable[..., Any], clock: FrozenClock) -> None:
    """Nothing is rotated while no token can be made, however long that lasts."""
    answers: list[Any] = [{}, ConnectionError("down"), ConnectionError("down"), {"tier": "gold"}]

    def tell(_: object) -> dict[str, Any]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    house = build_house(claims=[NamedClaims("tiers", tell)])
    pair = house.login()
    for _ in range(2):
        clock.advance(timedelta(minutes=1))
        with pytest.raises(ClaimsUnavailable):
            house.refresh(pair)

    assert 1 == house.family(pair).generation
    assert "gold" == house.manager.validate(house.refresh(pair).access_token).members["tier"]


def test_a_failing_signer_does_not_cost_the_session(build_house: Callable[..., Any], clock: FrozenClock) -> None:
    """The same for a key service that is away."""
    local = SigningKey.generate("EdDSA", kid="k1")

    class Remote:
        alg = "EdDSA"
        is_down = False

        def sign(self, message: bytes) -> bytes:
            if self.is_down:
                raise ConnectionError("no route to the key service")
            return local.sign(message)

    remote = Remote()
    house = build_house(key=SigningKey(signer=remote, verification=local.verification))
    pair = house.login()
    remote.is_down = True
    with pytest.raises(KeySourceUnavailable):
        house.refresh(pair)
    remote.is_down = False
    clock.advance(timedelta(minutes=1))

    assert 2 == house.family(house.refresh(pair)).generation


def test_a_login_whose_tokens_cannot_be_made_stores_nothing(build_house: Callable[..., Any]) -> None:
    """No session without an owner is left behind."""

    def raising(_: object) -> dict[str, Any]:
        raise ConnectionError("down")

    house = build_house(claims=[NamedClaims("down", raising)])

    with pytest.raises(ClaimsUnavailable):
        house.login()
    assert {} == house.families.calls


@pytest.mark.parametrize("store", ["families", "revocations", "people"])
@pytest.mark.parametrize("error", [None, OSError("no route to host")])
def test_outages_are_told_and_change_nothing(house: Any, store: str, error: Exception | None) -> None:
    """Whatever a store raises, the answer is that it may be repeated, with the same token."""
    pair = house.login()
    away = getattr(house, store)
    away.is_down = True
    if error is not None:
        away.error = lambda: error
    with pytest.raises(AuthUnavailable) as refused:
        house.refresh(pair)
    away.is_down = False

    assert refused.value.retryable
    assert "route" not in str(refused.value)
    assert 2 == house.family(house.refresh(pair)).generation


@pytest.mark.parametrize(
    "malformed",
    [
        {"subject": ""},
        {"subject": "two words"},
        {"subject": None},
        {"roles": "trader"},
        {"roles": ["\0"]},
        {"scope": ["two words"]},
        {"scope": "a"},
        {"authenticated_at": MOMENT.replace(tzinfo=None)},
        {"methods": [""]},
        {"client_id": "\u202e"},
    ],
    ids=str,
)
def test_a_malformed_login_is_refused(house: Any, malformed: dict[str, Any]) -> None:
    """Before any store is asked."""
    arguments = {"subject": "u-1", "client_id": "web", **malformed}
    ctx = RequestContext(client_id=arguments.pop("client_id"))

    with pytest.raises(InvalidClaim):
        house.manager.start_session(arguments.pop("subject"), ctx, **arguments)
    assert ({}, {}) == (house.families.calls, house.revocations.calls)


@pytest.mark.parametrize(
    ("changes", "generation", "after", "expected"),
    [
        ({}, 3, 0, Standing.CURRENT),
        ({}, 4, 0, Standing.AHEAD),
        ({}, 2, 10, Standing.REPEATED),
        ({}, 2, -5, Standing.REPEATED),
        ({}, 2, 10.5, Standing.REUSED),
        ({}, 1, 0, Standing.REUSED),
        ({"revoked_at": 1.0}, 2, 0, Standing.ENDED),
        ({"revoked_at": 1.0}, 3, 10**9, Standing.ENDED),
        ({"idle_expires_at": 60}, 3, 59.5, Standing.CURRENT),
        ({"idle_expires_at": 60}, 3, 60, Standing.IDLE_END),
        ({"idle_expires_at": 60}, 1, 60, Standing.IDLE_END),
        ({"idle_expires_at": 60, "expires_at": 60}, 3, 60, Standing.ABSOLUTE_END),
        ({"idle_expires_at": 60, "expires_at": 60}, 2, 61, Standing.ABSOLUTE_END),
    ],
    ids=str,
)
def test_how_a_token_stands_to_its_session(
    changes: dict[str, Any], generation: int, after: float, expected: Standing
) -> None:
    """By generation and time alone; a clock that is behind the one that rotated sees the rotation as of now."""
    usual = {"expires_at": 10**6, "idle_expires_at": 10**5}
    family = make_family(generation=3, rotated_at=0.0, **{**usual, **changes})

    assert expected is standing(family, generation, now=after, grace=timedelta(seconds=10))
    assert Standing.UNKNOWN is standing(None, generation, now=after, grace=timedelta(seconds=10))


def test_a_session_id_that_is_taken_is_never_shared(build_house: Callable[..., Any]) -> None:
    """Where the source of chance is broken, the second login gets nothing, least of all the first one's session."""
    house = build_house(entropy=lambda count: b"\7" * count)
    pair = house.login()
    before = house.family(pair)

    with pytest.raises(StoreUnavailable):
        house.login("u-2")
    assert _untouched(house, pair, before)


def test_a_store_that_contradicts_itself_is_no_reason_to_end_a_session(house: Any) -> None:
    """It refuses a rotation and returns a family that allows it: the client may try again."""
    pair = house.login()
    rotate = house.kept_families.rotate

    def refuse(session: str, **options: Any) -> Any:
        return rotate(session, **{**options, "expected": 77})

    house.kept_families.rotate = refuse
    with pytest.raises(StoreUnavailable):
        house.refresh(pair)
    house.kept_families.rotate = rotate

    assert house.family(pair).revoked_at is None


def test_a_store_that_lost_the_newest_generation_serves_no_token_of_it(house: Any) -> None:
    """After a backup was restored, tokens are ahead of what is stored: refused, and nobody is called a thief."""
    first = house.login()
    before = house.family(first)
    third = house.refresh(house.refresh(first))
    house.kept_families._families._values[first.session] = before

    with pytest.raises(TokenRevoked) as refused:
        house.refresh(third)
    assert "generation_unknown" == refused.value.reason
    assert house.family(first).revoked_at is None
    house.manager.validate_live(third.access_token)


def test_a_session_that_the_store_has_forgotten_is_over(house: Any) -> None:
    """Expired items are deleted in the end."""
    pair = house.login()
    del house.kept_families._families._values[pair.session]

    with pytest.raises(TokenRevoked):
        house.refresh(pair)


def test_only_a_ring_that_signs_begins_sessions(clock: FrozenClock) -> None:
    """A service that has public keys alone is told so."""
    public = KeyRing([SigningKey.generate().verification], issuer=ISSUER, clock=clock)
    manager = TokenManager(
        issuer=ISSUER,
        audience=AUDIENCE,
        keys=public,
        clock=clock,
        families=MemoryRefreshFamilyStore(),
        revocations=MemoryRevocationStore(),
    )

    with pytest.raises(ConfigurationError, match="may sign"):
        manager.start_session("u-1", RequestContext())


def test_every_refusal_is_one_answer(house: Any, clock: FrozenClock) -> None:
    """Revoked, reused, expired, unknown, disabled, of another client: one body, one set of headers."""
    answers = []

    def note(pair: Any, client_id: str = "web") -> None:
        with pytest.raises(TokenError) as refused:
            house.manager.refresh(pair.refresh_token, RequestContext(client_id=client_id))
        answers.append(to_problem(refused.value, request_id="r-1"))

    first = house.login()
    note(first, "mobile")
    house.refresh(house.refresh(first))
    note(first)
    note(first)
    house.enable("u-2", enabled=False)
    note(house.login("u-2"))
    idle = house.login()
    clock.advance(8 * DAY)
    note(idle)

    assert 5 == len(answers)
    assert all(answer == answers[0] for answer in answers)
