"""Whole sessions on a table: renewal under load, theft, logout across processes, and what lies in the items (auth F1 to F14)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from common.auth.exceptions import AuthUnavailable, TokenReuseDetected, TokenRevoked
from common.auth.security.context import RequestContext
from common.auth.security.keys import SigningKey
from common.auth.security.session_values import Freshness
from common.auth.security.token_manager import TokenManager
from common.auth.testing import token_manager
from common.auth.testing.store_laws.trying import at_once
from common.core.utils.clock import FrozenClock
from common.dynamo import Pattern
from common.dynamo.requests import Scan
from common.dynamo.testing import Fault, FaultPlan

CTX = RequestContext(client_id="web")


@pytest.fixture
def build(clock: FrozenClock) -> Callable[[Any], TokenManager]:
    """Return a function that makes a manager on stores; each has one key and a cache of its own."""
    key = SigningKey.generate("EdDSA", kid="k1")
    return lambda stores: token_manager(key, clock=clock, families=stores.sessions, revocations=stores.revocations)


@pytest.fixture
def items(stores: Any) -> Callable[[], str]:
    """Return a function that writes down every attribute of every item of the table."""

    def dump() -> str:
        table = stores.db.table_definitions()[0].name
        body = stores.db.execute(Scan(table=table, consistent=True), Pattern("Test.scan", "Scan")).body
        return repr(body["Items"])

    return dump


def test_renewals_at_once_get_one_successor(stores: Any, build: Callable[[Any], TokenManager]) -> None:
    """Two processes, sixteen requests: one generation further, equal tokens, nobody logged out (F4)."""
    managers = [build(stores) for _ in range(2)]
    first = managers[0].start_session("u-1", CTX, roles=["trader"], scope=["b", "a"], methods=["pwd"])

    pairs = at_once(lambda number: managers[number % 2].refresh(first.refresh_token, CTX))

    assert 1 == len(set(pairs))
    family = stores.sessions.find(first.session)
    assert (2, None, ("b", "a")) == (family.generation, family.revoked_at, family.scope)
    assert pairs[0] != managers[0].refresh(pairs[0].refresh_token, CTX)


def test_theft_ends_the_session_in_every_process(
    stores: Any, build: Callable[[Any], TokenManager], clock: FrozenClock
) -> None:
    """The thief renews, the owner shows the old token: both are out, and their access tokens too (F3, F10)."""
    ours, other = build(stores), build(stores)
    first = ours.start_session("u-1", CTX)
    stolen = other.refresh(first.refresh_token, CTX)
    other.validate_live(stolen.access_token)
    clock.advance(timedelta(seconds=11))

    with pytest.raises(TokenReuseDetected):
        ours.refresh(first.refresh_token, CTX)
    with pytest.raises(TokenRevoked):
        other.refresh(stolen.refresh_token, CTX)
    with pytest.raises(TokenRevoked):
        other.validate_live(stolen.access_token, freshness=Freshness.STRICT)
    clock.advance(timedelta(seconds=20))
    with pytest.raises(TokenRevoked):
        build(stores).validate_live(stolen.access_token)


def test_logout_everywhere_and_login_in_one_second(stores: Any, build: Callable[[Any], TokenManager]) -> None:
    """The old is refused, the new is taken, whatever the clock says (F7); the list has the new one alone (F11)."""
    manager, other = build(stores), build(stores)
    old = [manager.start_session("u-1", CTX) for _ in range(3)]
    other.validate_live(old[0].access_token)
    manager.revoke_user("u-1")
    new = manager.start_session("u-1", CTX)

    assert "u-1" == other.validate_live(new.access_token).subject
    for pair in old:
        with pytest.raises(TokenRevoked):
            other.validate_live(pair.access_token)
        with pytest.raises(TokenRevoked):
            other.refresh(pair.refresh_token, CTX)
    assert [new.session] == [info.session for info in other.sessions("u-1")]


def test_an_expired_entry_that_is_still_there_is_ignored(
    stores: Any, build: Callable[[Any], TokenManager], clock: FrozenClock
) -> None:
    """A table deletes late, up to days; the clock decides, not the item's presence (F9)."""
    manager = build(stores)
    pair = manager.start_session("u-1", CTX)
    stores.revocations.deny(f"sid#{pair.session}", expires_at=clock.now().timestamp())
    assert manager.validate_live(pair.access_token, freshness=Freshness.STRICT).session == pair.session

    stores.revocations.deny(f"sid#{pair.session}", expires_at=clock.now().timestamp() + 0.5)
    with pytest.raises(TokenRevoked):
        manager.validate_live(pair.access_token, freshness=Freshness.STRICT)


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.DROP_BEFORE, Fault.DUPLICATE])
def test_a_lost_answer_never_costs_a_session(
    faulty_stores: Any, faults: FaultPlan, build: Callable[[Any], TokenManager], fault: Fault
) -> None:
    """Wherever it is lost, the client gets the one successor, if need be by repeating the call (F4)."""
    manager = build(faulty_stores)
    pair = manager.start_session("u-1", CTX)
    faults.script(None, fault)
    try:
        renewed = manager.refresh(pair.refresh_token, CTX)
    except AuthUnavailable:
        renewed = manager.refresh(pair.refresh_token, CTX)

    assert 2 == faulty_stores.sessions.find(pair.session).generation
    assert renewed == manager.refresh(pair.refresh_token, CTX)


def test_no_item_holds_a_token(
    stores: Any, build: Callable[[Any], TokenManager], items: Callable[[], str], clock: FrozenClock
) -> None:
    """Every attribute of every item is searched for every token that was issued, and for its signature alone (F14)."""
    manager = build(stores)
    issued = []
    for user in ("u-1", "u-2"):
        pair = manager.start_session(user, CTX, scope=["a"])
        for _ in range(3):
            issued.append(pair)
            clock.advance(timedelta(minutes=1))
            pair = manager.refresh(pair.refresh_token, CTX)
    manager.revoke_token(issued[0].access_token)
    manager.revoke_token(issued[0].refresh_token)
    manager.revoke_user("u-2")
    stored = items()

    texts = [text for pair in issued for text in (pair.access_token, pair.refresh_token)]
    assert all(part not in stored for text in texts for part in (text, *text.split(".")[1:]))
    assert issued[0].session in stored
