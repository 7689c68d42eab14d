"""Corrections: entries never change, so what was wrong is put right by another one (ledger R2, R4, R5, R19)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from common.dynamo.exceptions import (
    AccountClosed,
    DynamoError,
    InsufficientFunds,
    NotFound,
    OrderConflict,
    RefundTooLarge,
    RequestIdReused,
    TransactionCanceled,
    UniqueViolation,
)
from common.dynamo.requests import Request, TransactWriteItems
from common.dynamo.testing import Engine, FaultPlan, FaultyWire, spend
from common.dynamo.testing.ledger import LedgerKit
from common.dynamo.wire import Answer
from common.entities import Order, OrderStatus, TransactionStatus, TransactionType, UserCreate
from common.exceptions import InvalidAmount, InvalidInput

REASON = "deposit of 2 March was booked twice"


def bought(ledger: LedgerKit, *, total: str = "50.00") -> Order:
    """A completed buy that has cost *total*."""
    user = ledger.open_account(cash="100.00")
    return ledger.orders.buy(user, "BTC", "1", price=total, request_id=ledger.new_id()).entry


# Adjustments ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("amount", "after"), [("-4.00", "6.00"), ("2.50", "12.50")])
def test_an_adjustment_is_an_entry_with_its_reason(ledger: LedgerKit, amount: str, after: str) -> None:
    """It gives or takes, and the journal says why."""
    user = ledger.open_account(cash="10.00")
    entry = ledger.balances.adjust(user, amount, reason=REASON, request_id=ledger.new_id()).entry

    assert ledger.balances.get(user).available == Decimal(after)
    assert (entry.type, entry.amount, entry.reason) == (TransactionType.SYSTEM_ADJUSTMENT, Decimal(amount), REASON)
    assert ledger.balances.history(user).items[0] == entry
    assert ledger.check(user) == ()


def test_an_adjustment_is_made_once(ledger: LedgerKit) -> None:
    """A repeat is told the first entry; another amount or another reason is another request."""
    user, request_id = ledger.open_account(cash="10.00"), ledger.new_id()
    first = ledger.balances.adjust(user, "-4.00", reason=REASON, request_id=request_id)
    again = ledger.balances.adjust(user, "-4.00", reason=REASON, request_id=request_id)

    assert (again.entry, again.replayed) == (first.entry, True)
    for amount, reason in (("-4.01", REASON), ("-4.00", "something else")):
        with pytest.raises(RequestIdReused):
            ledger.balances.adjust(user, amount, reason=reason, request_id=request_id)
    assert ledger.balances.get(user).available == Decimal("6.00")


def test_an_adjustment_takes_no_more_than_there_is(ledger: LedgerKit) -> None:
    """A no is final here too: money that comes later does not turn a repeat into a yes."""
    user, request_id = ledger.open_account(cash="3.00"), ledger.new_id()
    with pytest.raises(InsufficientFunds):
        ledger.balances.adjust(user, "-4.00", reason=REASON, request_id=request_id)
    ledger.balances.deposit(user, "10.00", request_id=ledger.new_id())
    with pytest.raises(InsufficientFunds):
        ledger.balances.adjust(user, "-4.00", reason=REASON, request_id=request_id)

    assert ledger.balances.get(user).available == Decimal("13.00")
    refused = ledger.balances.entry(user, request_id)
    assert refused is not None
    assert (refused.status, refused.amount, refused.reason) == (TransactionStatus.FAILED, Decimal("-4.00"), REASON)


@pytest.mark.parametrize(
    ("amount", "reason", "error"),
    [
        ("0", REASON, InvalidAmount),
        ("0.001", REASON, InvalidAmount),
        (1.5, REASON, InvalidAmount),
        ("1.00", "", InvalidInput),
        ("1.00", "   ", InvalidInput),
        ("1.00", "two\nlines", InvalidInput),
        ("1.00", "x" * 201, InvalidInput),
        ("1.00", None, InvalidInput),
    ],
)
def test_an_adjustment_by_nothing_or_without_reason_is_refused_unsent(
    ledger: LedgerKit, amount: object, reason: object, error: type[InvalidInput]
) -> None:
    """Nothing is sent."""
    user = ledger.open_account(cash="10.00")
    with spend(trips=0), pytest.raises(error):
        ledger.balances.adjust(user, amount, reason=reason, request_id=ledger.new_id())  # type: ignore[arg-type]


# Refunds --------------------------------------------------------------------------------------------------------------


def test_a_refund_is_an_entry_that_names_the_order(ledger: LedgerKit) -> None:
    """The money is back, the order counts it, and account, journal and order agree."""
    order = bought(ledger)
    entry = ledger.balances.refund(order, "20.00", request_id=ledger.new_id()).entry
    after = ledger.orders.get(order.user, order.id)

    assert (entry.type, entry.amount, entry.order) == (TransactionType.ORDER_REFUND, Decimal("20.00"), order.id)
    assert ledger.balances.get(order.user).available == Decimal("70.00")
    assert after is not None
    assert (after.status, after.refunded) == (OrderStatus.COMPLETED, Decimal("20.00"))
    assert ledger.check(order.user) == ()


def test_a_refund_is_made_once(ledger: LedgerKit) -> None:
    """A repeat is told the first entry; another amount is another request."""
    order, request_id = bought(ledger), ledger.new_id()
    first = ledger.balances.refund(order, "20.00", request_id=request_id)
    again = ledger.balances.refund(order, "20.00", request_id=request_id)

    assert (again.entry, again.replayed) == (first.entry, True)
    with pytest.raises(RequestIdReused):
        ledger.balances.refund(order, "20.01", request_id=request_id)
    assert ledger.balances.get(order.user).available == Decimal("70.00")


def test_refunds_never_exceed_what_the_order_has_cost(ledger: LedgerKit) -> None:
    """Of eight refunds of 20 that ask at once for an order of 50, two are made."""
    order = bought(ledger)
    ids = [ledger.new_id() for _ in range(8)]

    def ask(request_id: str) -> object:
        try:
            return ledger.balances.refund(order, "20.00", request_id=request_id, deadline=30)
        except RefundTooLarge as refused:
            return refused.refundable

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, ids))

    assert answers.count(Decimal("10.00")) == 6
    assert ledger.balances.get(order.user).available == Decimal("90.00")
    ledger.balances.refund(order, "10.00", request_id=ledger.new_id())
    assert ledger.check(order.user) == ()


def test_only_a_completed_buy_is_refunded(ledger: LedgerKit) -> None:
    """A sale, an order that is not there, and one that stands otherwise than it was seen are refused."""
    order = bought(ledger)
    sale = ledger.orders.sell(order.user, "BTC", "0.5", price="100.00", request_id=ledger.new_id()).entry
    waiting = ledger.place(order.user)
    elsewhere = order.model_copy(update={"id": ledger.new_id()})
    early = waiting.model_copy(update={"total": Decimal("50.00")})
    dearer = order.model_copy(update={"total": Decimal("500.00")})
    wrong: list[tuple[Order, type[Exception]]] = [
        (sale, InvalidInput),
        (waiting, InvalidInput),
        (elsewhere, NotFound),
        (early, OrderConflict),
        (dearer, InvalidInput),
    ]
    for given, error in wrong:
        with pytest.raises(error):
            ledger.balances.refund(given, "5.00", request_id=ledger.new_id())
    with spend(trips=0), pytest.raises(RefundTooLarge):
        ledger.balances.refund(order, "50.01", request_id=ledger.new_id())
    assert ledger.check(order.user) == ()


# Closing --------------------------------------------------------------------------------------------------------------


def test_an_empty_account_is_closed_for_good(ledger: LedgerKit) -> None:
    """Nothing moves any more, nobody signs in, the address is free and the name is not."""
    user = ledger.open_account()
    seen = ledger.users.require(user)
    request_id = ledger.new_id()
    closed = ledger.users.close(seen, request_id=request_id)

    assert closed.entry == ledger.users.require(user)
    assert closed.entry.status == "closed"
    assert ledger.users.close(seen, request_id=request_id).replayed
    assert not ledger.users.authenticate(user, "whatever it was").ok
    for call in (
        lambda: ledger.balances.deposit(user, 1, request_id=ledger.new_id()),
        lambda: ledger.users.close(closed.entry, request_id=ledger.new_id()),
        lambda: ledger.users.update(closed.entry, {"full_name": "A"}, request_id=ledger.new_id()),
    ):
        with pytest.raises(AccountClosed):
            call()
    ledger.users.create(UserCreate(username="successor", email=seen.email), request_id=ledger.new_id())
    with pytest.raises(UniqueViolation):
        ledger.users.create(UserCreate(username=user, email="b@example.org"), request_id=ledger.new_id())


def test_a_closed_account_has_no_password(ledger: LedgerKit) -> None:
    """What is not needed any more is not kept."""
    wanted = UserCreate(username="alice", email="alice@example.org", password="correct horse")
    seen = ledger.users.create(wanted, request_id=ledger.new_id()).entry
    ledger.users.close(seen, request_id=ledger.new_id())

    answer = ledger.users.authenticate("alice", "correct horse")
    assert (answer.ok, answer.user) == (False, None)


FULL: dict[str, Callable[[LedgerKit], str]] = {
    "cash": lambda ledger: ledger.open_account(cash="0.01"),
    "an asset": lambda ledger: ledger.open_account(holding={"BTC": "0.5"}),
    "a hold": lambda ledger: ledger.place(ledger.open_account(cash="50.00")).user,
}


@pytest.mark.parametrize("what", FULL)
def test_an_account_that_holds_something_is_not_closed(ledger: LedgerKit, what: str) -> None:
    """Cash, assets and holds stand in the way; once they are gone, the same request closes it."""
    user = FULL[what](ledger)
    seen, request_id = ledger.users.require(user), ledger.new_id()
    with pytest.raises(DynamoError) as refused:
        ledger.users.close(seen, request_id=request_id)

    assert refused.value.code == "account_not_empty"
    assert ledger.users.require(user) == seen
    assert ledger.check(user) == ()


def test_money_that_comes_meanwhile_keeps_the_account_open(ledger: LedgerKit) -> None:
    """Deposits race with the closing: the account is closed and empty, or open and has the money."""
    for _ in range(10):
        user = ledger.open_account()
        seen = ledger.users.require(user)

        def close(seen: object = seen) -> str:
            try:
                ledger.users.close(seen, request_id=ledger.new_id(), deadline=30)  # type: ignore[arg-type]
            except DynamoError as error:
                return str(error.code)
            return "closed"

        def deposit(user: str = user) -> str:
            try:
                ledger.balances.deposit(user, 1, request_id=ledger.new_id(), deadline=30)
            except AccountClosed:
                return "refused"
            return "paid in"

        with ThreadPoolExecutor(2) as pool:
            closing, paying = pool.submit(close), pool.submit(deposit)
            told = (closing.result(), paying.result())

        assert told in {("closed", "refused"), ("account_not_empty", "paid in")}
        assert ledger.balances.get(user).available == (1 if told[1] == "paid in" else 0)


class Denying(FaultyWire):
    """A wire that may deny transactions: no condition has failed, and asking again is no use."""

    denies = False
    denied = 0

    def send(self, request: Request, timeout: float) -> Answer:
        """Answer a transaction as DynamoDB does where a policy denies its first part."""
        if not (self.denies and isinstance(request, TransactWriteItems)):
            return super().send(request, timeout)
        self.denied += 1
        reasons = [{"Code": "AccessDenied"}, *({"Code": "None"} for _ in request.parts[1:])]
        return Answer(400, {"__type": "TransactionCanceledException", "message": "no", "CancellationReasons": reasons})


def test_a_closing_that_is_denied_is_told_at_once(engine: Engine, ledger_on: Callable[..., LedgerKit]) -> None:
    """Only an account that has changed meanwhile is a reason to read it again and to try once more."""
    wire = Denying(engine.wire(), FaultPlan())
    ledger = ledger_on(wire)
    user = ledger.open_account()
    seen = ledger.users.require(user)
    wire.denies = True
    with pytest.raises(TransactionCanceled) as refused:
        ledger.users.close(seen, request_id=ledger.new_id())

    assert wire.denied == 1
    assert [reason.code for reason in refused.value.reasons] == ["AccessDenied", "None", "None"]
    assert ledger.users.require(user) == seen
    wire.close()
