"""A no stays no: a refusal for lack of funds is written down under the request's id (ledger R3)."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from common.dynamo.dao import ResolutionState
from common.dynamo.exceptions import (
    AccountNotFound,
    DynamoError,
    InsufficientFunds,
    LedgerRefusal,
    OrderTooSmall,
    OutcomeUnknown,
    PriceOutOfBounds,
    RequestFenced,
    TransactionCanceled,
)
from common.dynamo.execution import Pattern
from common.dynamo.requests import Request, TransactWriteItems
from common.dynamo.testing import Engine, Fault, FaultPlan, FaultyWire, spend
from common.dynamo.testing.ledger import LedgerKit
from common.dynamo.wire import Answer
from common.entities import OrderStatus, OrderType, TransactionStatus

pytestmark = pytest.mark.thorough

Send = Callable[[LedgerKit, str, str], object]
"""Sends a request that takes 60.00 of a user's cash, under an id."""

SENDERS: dict[str, Send] = {
    "withdraw": lambda ledger, user, id: ledger.balances.withdraw(user, "60.00", request_id=id),
    "buy": lambda ledger, user, id: ledger.orders.buy(user, "BTC", "0.6", price="100.00", request_id=id),
    "place": lambda ledger, user, id: ledger.place(user, quantity="0.6", limit="100.00", request_id=id),
}
each_sender = pytest.mark.parametrize("send", SENDERS.values(), ids=SENDERS.keys())


@each_sender
def test_a_refusal_is_final_even_when_the_money_has_come(send: Send, ledger: LedgerKit) -> None:
    """After a no for lack of funds, a deposit does not turn a repeat into a yes; the no names the same amount."""
    user, request_id = ledger.open_account(cash="40.00"), ledger.new_id()
    with pytest.raises(InsufficientFunds) as first:
        send(ledger, user, request_id)
    ledger.balances.deposit(user, "100.00", request_id=ledger.new_id())

    with spend(wcu=0), pytest.raises(InsufficientFunds) as again:
        send(ledger, user, request_id)

    assert str(first.value.available) == str(again.value.available) == "40.00"
    assert first.value.asset == again.value.asset == "USD"
    assert ledger.balances.get(user).posted == Decimal("140.00")


class Recorder(FaultyWire):
    """Keeps the transactions that went out, so that a test can deliver one of them late."""

    def __init__(self, engine: Engine, plan: FaultPlan) -> None:
        super().__init__(engine.wire(), plan)
        self.transactions: list[TransactWriteItems] = []

    def send(self, request: Request, timeout: float) -> Answer:
        """Execute *request*, and remember it."""
        if isinstance(request, TransactWriteItems):
            self.transactions.append(request)
        return super().send(request, timeout)


@each_sender
def test_a_late_copy_of_a_refused_request_changes_nothing(
    send: Send, engine: Engine, ledger_on: Callable[..., LedgerKit]
) -> None:
    """The first attempt is lost in the network, the second refused; the money comes, then the first attempt arrives."""
    plan = FaultPlan()
    wire = Recorder(engine, plan)
    ledger = ledger_on(wire)
    user, request_id = ledger.open_account(cash="40.00"), ledger.new_id()
    plan.script(Fault.DROP_BEFORE)
    with pytest.raises(InsufficientFunds):
        send(ledger, user, request_id)
    lost = wire.transactions[-1]
    ledger.balances.deposit(user, "100.00", request_id=ledger.new_id())

    with pytest.raises(TransactionCanceled):
        ledger.db.execute(lost, Pattern("late delivery", "TransactWriteItems"))
    balance, discrepancies = ledger.balances.get(user), ledger.check(user)
    wire.close()

    assert balance.posted == Decimal("140.00")
    assert discrepancies == ()


@each_sender
def test_a_request_that_was_applied_unseen_is_no_refusal(
    send: Send, faulty_ledger: LedgerKit, faults: FaultPlan
) -> None:
    """The first attempt takes the money and its answer is lost; the second finds too little, and the entry: a yes."""
    user, request_id = faulty_ledger.open_account(cash="100.00"), faulty_ledger.new_id()
    faults.script(Fault.DROP_AFTER)
    send(faulty_ledger, user, request_id)

    assert faulty_ledger.balances.get(user).available == Decimal("40.00")
    assert faulty_ledger.check(user) == ()


def test_an_unseen_application_is_not_called_a_replay(faulty_ledger: LedgerKit, faults: FaultPlan) -> None:
    """*replayed* tells of an earlier call; a retry within one call is its own."""
    user, request_id = faulty_ledger.open_account(), faulty_ledger.new_id()
    faults.script(Fault.DROP_AFTER)

    assert not faulty_ledger.balances.deposit(user, 5, request_id=request_id).replayed
    assert faulty_ledger.balances.deposit(user, 5, request_id=request_id).replayed


def test_a_tombstone_whose_answer_is_lost_is_still_the_no(faulty_ledger: LedgerKit, faults: FaultPlan) -> None:
    """The retry of the tombstone finds the tombstone, and tells the same refusal."""
    user, request_id = faulty_ledger.open_account(cash="1.00"), faulty_ledger.new_id()
    faults.script(None, Fault.DROP_AFTER)

    with pytest.raises(InsufficientFunds) as refusal:
        faulty_ledger.balances.withdraw(user, 5, request_id=request_id)

    assert refusal.value.available == Decimal("1.00")


@pytest.mark.parametrize("first", [None, Fault.DROP_BEFORE], ids=["refused at once", "refused after a lost attempt"])
def test_a_no_that_cannot_be_written_is_not_told(
    faulty_ledger: LedgerKit, faults: FaultPlan, first: Fault | None
) -> None:
    """Until the tombstone is put a copy of the request may be applied, so the outcome is unknown, not refused."""
    user, request_id = faulty_ledger.open_account(cash="1.00"), faulty_ledger.new_id()
    faults.script(*([first] if first else []), None, *[Fault.THROTTLE] * 200)

    with pytest.raises(OutcomeUnknown) as unknown:
        faulty_ledger.balances.withdraw(user, 5, request_id=request_id, deadline=1)
    faults.heal()

    assert unknown.value.request_id == request_id
    with pytest.raises(InsufficientFunds):
        faulty_ledger.balances.withdraw(user, 5, request_id=request_id)


def test_an_unknown_account_is_written_down_only_after_an_unknown_attempt(
    faulty_ledger: LedgerKit, faults: FaultPlan
) -> None:
    """A plain no to a name without an account leaves nothing; with a copy of the request on its way, it leaves a tombstone."""
    plain, unsure = faulty_ledger.new_id(), faulty_ledger.new_id()
    with spend(wcu=0), pytest.raises(AccountNotFound):
        faulty_ledger.balances.deposit("nobody", 5, request_id=plain)
    faults.script(Fault.DROP_BEFORE)
    with pytest.raises(AccountNotFound):
        faulty_ledger.balances.deposit("nobody", 5, request_id=unsure)

    faulty_ledger.open_account("nobody")
    with pytest.raises(AccountNotFound):
        faulty_ledger.balances.deposit("nobody", 5, request_id=unsure)
    assert not faulty_ledger.balances.deposit("nobody", 5, request_id=plain).replayed


@pytest.mark.parametrize(
    ("quantity", "price", "refusal"),
    [("0.1", "99.99", OrderTooSmall), ("0.5", "102.00", PriceOutOfBounds)],
    ids=["too small", "beyond the bound"],
)
def test_a_market_order_refused_for_its_terms_is_refused_for_good(
    ledger: LedgerKit, quantity: str, price: str, refusal: type[LedgerRefusal]
) -> None:
    """A price that moves back does not revive an order that was refused for its price or its size."""
    user, request_id = ledger.open_account(cash="100.00"), ledger.new_id()
    for quoted in (price, "100.50"):
        with pytest.raises(refusal):
            ledger.orders.buy(user, "BTC", quantity, price=quoted, price_bound="101.00", request_id=request_id)

    assert ledger.balances.get(user).available == Decimal("100.00")


def test_a_refused_request_shows_in_the_history(ledger: LedgerKit) -> None:
    """A tombstone is listed as FAILED, with what was asked; a refused limit order is a FAILED order."""
    user = ledger.open_account(cash="10.00")
    withdrawn, placed = ledger.new_id(), ledger.new_id()
    with pytest.raises(InsufficientFunds):
        ledger.balances.withdraw(user, "60.00", request_id=withdrawn)
    with pytest.raises(InsufficientFunds):
        ledger.place(user, request_id=placed)

    newest = ledger.balances.history(user).items[0]
    order = ledger.orders.get(user, placed)

    assert (newest.id, newest.status, newest.amount) == (withdrawn, TransactionStatus.FAILED, Decimal("-60.00"))
    assert order is not None
    assert order.status is OrderStatus.FAILED
    assert ledger.check(user) == ()


# Resolving ------------------------------------------------------------------------------------------------------------


def test_resolve_tells_applied_absent_and_fenced(ledger: LedgerKit) -> None:
    """A deposit that was done, one that was never seen, and a withdrawal that was refused."""
    user = ledger.open_account(cash="10.00")
    done, unseen, refused = ledger.new_id(), ledger.new_id(), ledger.new_id()
    entry = ledger.balances.deposit(user, 5, request_id=done).entry
    with pytest.raises(InsufficientFunds):
        ledger.balances.withdraw(user, "60.00", request_id=refused)

    applied = ledger.balances.resolve(user, done)

    assert (applied.state, applied.entry) == (ResolutionState.APPLIED, entry)
    assert ledger.balances.resolve(user, unseen).state is ResolutionState.ABSENT
    assert ledger.balances.resolve(user, refused).state is ResolutionState.FENCED


def test_a_fence_keeps_a_cash_request_out_for_ever(ledger: LedgerKit) -> None:
    """Once its id is fenced, a deposit is refused; what has been applied before is not fenced any more."""
    user, given_up, done = ledger.open_account(), ledger.new_id(), ledger.new_id()
    ledger.balances.deposit(user, 5, request_id=done)

    assert ledger.balances.resolve(user, given_up, fence=True).state is ResolutionState.FENCED
    assert ledger.balances.resolve(user, given_up).state is ResolutionState.FENCED
    assert ledger.balances.resolve(user, done, fence=True).state is ResolutionState.APPLIED
    with pytest.raises(RequestFenced):
        ledger.balances.deposit(user, 5, request_id=given_up)
    assert ledger.balances.entry(user, given_up) is None
    assert ledger.balances.get(user).available == Decimal("5.00")


def test_a_fence_keeps_market_and_limit_orders_out(ledger: LedgerKit) -> None:
    """One fence among the orders stops a market order and a limit order alike; neither shows in any list."""
    user = ledger.open_account(cash="500.00")
    market, limit, placed = ledger.new_id(), ledger.new_id(), ledger.new_id()
    order = ledger.place(user, request_id=placed)
    for given_up in (market, limit):
        assert ledger.orders.resolve(user, given_up, fence=True).state is ResolutionState.FENCED

    with pytest.raises(RequestFenced):
        ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=market)
    with pytest.raises(RequestFenced):
        ledger.place(user, request_id=limit)
    assert ledger.orders.resolve(user, limit).state is ResolutionState.FENCED
    assert ledger.orders.resolve(user, placed, fence=True).entry == order
    assert ledger.orders.get(user, limit) is None
    assert [each.id for each in ledger.orders.list(user).items] == [placed]
    assert ledger.check(user) == ()


def test_a_refused_market_order_resolves_as_fenced(ledger: LedgerKit) -> None:
    """Its tombstone lies in the journal, and the orders' resolve looks there too."""
    user, request_id = ledger.open_account(cash="1.00"), ledger.new_id()
    assert ledger.orders.resolve(user, request_id).state is ResolutionState.ABSENT
    with pytest.raises(InsufficientFunds):
        ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=request_id)

    assert ledger.orders.resolve(user, request_id).state is ResolutionState.FENCED


def test_every_refusal_is_one_family(ledger: LedgerKit) -> None:
    """``except LedgerRefusal`` catches each no of the ledger, and no outcome that may still change."""
    user = ledger.open_account(cash="1.00")
    for call in (
        lambda: ledger.balances.withdraw(user, 5, request_id=ledger.new_id()),
        lambda: ledger.balances.deposit("nobody", 5, request_id=ledger.new_id()),
        lambda: ledger.place(user, type=OrderType.LIMIT_SELL),
    ):
        with pytest.raises(LedgerRefusal) as refusal:
            call()
        assert not refusal.value.retryable
    assert not issubclass(OutcomeUnknown, LedgerRefusal)
    assert issubclass(OutcomeUnknown, DynamoError)
