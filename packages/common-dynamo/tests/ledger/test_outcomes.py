"""Every call ends in one typed outcome, in time, and decides nothing by a stale answer (ledger R6, R7, R8)."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from common.core.utils import FrozenClock
from common.dynamo.dao.ledger_types import ACCOUNT, PROFILE
from common.dynamo.exceptions import (
    AccountClosed,
    AccountNotFound,
    AssetInactive,
    DynamoError,
    InsufficientFunds,
    LedgerRefusal,
    OrderConflict,
    OrderTooSmall,
    OutcomeUnknown,
    PriceOutOfBounds,
    RequestFenced,
    RequestIdReused,
    Unavailable,
)
from common.dynamo.execution import Pattern
from common.dynamo.requests import Constant, Path, Update, UpdateItem
from common.dynamo.testing import Engine, Fault, FaultPlan, FaultRates, FaultyWire
from common.dynamo.testing.ledger import LedgerKit
from common.entities import OrderStatus, OrderType, UserCreate
from common.exceptions import to_problem

OUTCOMES: list[tuple[DynamoError, str, int, bool]] = [
    (InsufficientFunds(available=Decimal("1.00"), asset="USD"), "insufficient_funds", 409, False),
    (PriceOutOfBounds(), "price_out_of_bounds", 409, False),
    (OrderTooSmall(minimum=Decimal("10.00")), "order_too_small", 422, False),
    (AssetInactive(), "asset_inactive", 409, False),
    (AccountClosed(), "account_closed", 409, False),
    (AccountNotFound(), "account_not_found", 404, False),
    (RequestIdReused(), "request_id_reused", 409, False),
    (RequestFenced(), "request_fenced", 409, False),
    (OrderConflict(current=OrderStatus.FAILED, final=True), "order_conflict", 409, False),
    (Unavailable(), "unavailable", 503, True),
    (OutcomeUnknown(request_id="r"), "outcome_unknown", 503, True),
]


@pytest.mark.parametrize(("outcome", "code", "status", "retryable"), OUTCOMES, ids=lambda value: str(value)[:20])
def test_each_outcome_has_a_code_a_status_and_says_whether_to_repeat(
    outcome: DynamoError, code: str, status: int, retryable: bool
) -> None:
    """What a client sees is the code and a sentence; no amount, no id, no status of an order."""
    problem = to_problem(outcome)

    assert (outcome.code, outcome.status, outcome.retryable) == (code, status, retryable)
    assert problem.status == status
    assert "1.00" not in str(problem.body)
    assert isinstance(outcome, LedgerRefusal) is (status not in (503,))


def test_not_applied_and_unknown_cannot_be_caught_as_one() -> None:
    """Whoever retries what was certainly not applied does not retry by accident what may have been."""
    shared = set(Unavailable.__mro__) & set(OutcomeUnknown.__mro__)

    assert DynamoError in shared
    assert all(issubclass(DynamoError, each) for each in shared)


def test_a_throttled_engine_is_unavailable_and_a_silent_one_unknown(
    faulty_ledger: LedgerKit, faults: FaultPlan
) -> None:
    """The first says that nothing was done; the second names the request id, under which a repeat is safe."""
    user, throttled, silent = faulty_ledger.open_account(), faulty_ledger.new_id(), faulty_ledger.new_id()
    faults.rates = FaultRates(throttle=1.0)
    with pytest.raises(Unavailable):
        faulty_ledger.balances.deposit(user, 5, request_id=throttled, deadline=0.05)
    faults.rates = FaultRates(drop_after=1.0)
    with pytest.raises(OutcomeUnknown) as unknown:
        faulty_ledger.balances.deposit(user, 5, request_id=silent, deadline=0.05)
    faults.heal()

    assert unknown.value.request_id == silent
    assert faulty_ledger.balances.entry(user, throttled) is None
    assert faulty_ledger.balances.deposit(user, 5, request_id=silent).replayed
    assert faulty_ledger.balances.get(user).available == Decimal("5.00")


@pytest.mark.parametrize(
    "call",
    [
        lambda ledger, user: ledger.balances.deposit(user, 5, request_id=ledger.new_id(), deadline=1.5),
        lambda ledger, user: ledger.orders.buy(user, "BTC", 1, price=100, request_id=ledger.new_id(), deadline=1.5),
        lambda ledger, user: ledger.balances.get(user, deadline=1.5),
        lambda ledger, user: ledger.orders.list(user, deadline=1.5),
    ],
    ids=["deposit", "buy", "get", "list"],
)
def test_a_hanging_engine_is_given_up_at_the_deadline(
    engine: Engine, ledger_on: Callable[..., LedgerKit], call: Callable[[LedgerKit, str], object]
) -> None:
    """By the clock that the call is measured with, it takes its deadline and not a moment more."""
    clock, plan = FrozenClock(datetime.now(UTC)), FaultPlan()
    wire = FaultyWire(engine.wire(), plan, sleep=clock.sleep)
    ledger = ledger_on(wire, monotonic=clock.monotonic, sleep=clock.sleep)
    user, started = ledger.open_account(), clock.monotonic()
    plan.rates = FaultRates(hang=1.0)

    with pytest.raises((Unavailable, OutcomeUnknown)):
        call(ledger, user)
    plan.heal()
    wire.close()

    assert clock.monotonic() - started == pytest.approx(1.5)


def test_a_refusal_and_its_tombstone_share_one_deadline(engine: Engine, ledger_on: Callable[..., LedgerKit]) -> None:
    """When the tombstone hangs, the call ends at its deadline all the same, and a repeat tells the no."""
    clock, plan = FrozenClock(datetime.now(UTC)), FaultPlan()
    wire = FaultyWire(engine.wire(), plan, sleep=clock.sleep)
    ledger = ledger_on(wire, monotonic=clock.monotonic, sleep=clock.sleep)
    user, request_id, started = ledger.open_account(), ledger.new_id(), clock.monotonic()
    plan.script(None, *[Fault.HANG] * 10)

    with pytest.raises(OutcomeUnknown):
        ledger.balances.withdraw(user, 5, request_id=request_id, deadline=1.5)
    took = clock.monotonic() - started
    plan.heal()
    with pytest.raises(InsufficientFunds):
        ledger.balances.withdraw(user, 5, request_id=request_id)
    wire.close()

    assert took == pytest.approx(1.5)


def test_stale_answers_decide_nothing(faulty_ledger: LedgerKit, faults: FaultPlan) -> None:
    """With every eventual read and every index answered stale, balances, orders and steps are those of now."""
    ledger = faulty_ledger
    user, paid = ledger.open_account(cash="100.00"), ledger.new_id()
    ledger.place(user)
    listed = ledger.orders.due("BTC", OrderType.LIMIT_BUY, "100.00").items[0]
    faults.rates = FaultRates(stale=1.0)
    ledger.balances.deposit(user, "5.00", request_id=paid)
    ledger.orders.cancel(listed, request_id=ledger.new_id())

    with pytest.raises(OrderConflict):
        ledger.orders.trigger(listed, request_id=ledger.new_id())
    current = ledger.orders.get(user, listed.id)
    entry = ledger.balances.entry(user, paid)

    assert current is not None
    assert current.status is OrderStatus.CANCELLED
    assert entry is not None
    assert ledger.balances.get(user).available == Decimal("105.00")
    assert ledger.holdings.portfolio(user).balance == ledger.balances.get(user)
    assert ledger.check(user) == ()


def test_a_closed_account_takes_and_gives_nothing(ledger: LedgerKit) -> None:
    """Closed is final: no tombstone is needed, and the holder cannot sign in."""
    wanted = UserCreate(username="alice", email="alice@example.org", password="horse battery")
    ledger.users.create(wanted, request_id=ledger.new_id())
    for entity, status in ((ACCOUNT, "st"), (PROFILE, "status")):
        closing = UpdateItem(
            table=ledger.db.table_of(entity),
            key=entity.item_key("alice"),
            update=Update(set=((Path((status,)), Constant({"S": "closed"})),)),
        )
        ledger.db.execute(closing, Pattern("close an account", "UpdateItem"))
    seen = ledger.users.require("alice")

    for call in (
        lambda: ledger.balances.deposit("alice", 5, request_id=ledger.new_id()),
        lambda: ledger.place("alice"),
        lambda: ledger.orders.sell("alice", "BTC", 1, price=100, request_id=ledger.new_id()),
        lambda: ledger.users.update(seen, {"full_name": "Alice"}, request_id=ledger.new_id()),
        lambda: ledger.users.change_email(seen, "new@example.org", request_id=ledger.new_id()),
    ):
        with pytest.raises(AccountClosed):
            call()
    assert not ledger.users.authenticate("alice", "horse battery")
    assert ledger.balances.get("alice").posted == 0
    assert list(ledger.balances.history("alice").items) == []
