"""One request id, one effect: whoever repeats a request is told what it did at first, and nothing happens (ledger R2)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from common.core.utils import Uuid7Generator, to_ulid
from common.dynamo.dao import Applied
from common.dynamo.exceptions import InsufficientFunds, RequestIdReused
from common.dynamo.requests import Request, TransactWriteItems
from common.dynamo.testing import Engine, FaultPlan, FaultyWire, spend
from common.dynamo.testing.ledger import LedgerKit
from common.dynamo.wire import Answer
from common.entities import Asset, OrderCreate, OrderType, UserCreate
from common.exceptions import InvalidInput


@dataclass(frozen=True)
class Case:
    """A mutation, and another input that may not go under the same id."""

    prepare: Callable[[LedgerKit], Any]
    send: Callable[[LedgerKit, Any, str], Applied[Any]]
    send_other: Callable[[LedgerKit, Any, str], object]


CASES: dict[str, Case] = {
    "create user": Case(
        lambda ledger: UserCreate(username="alice", email="alice@example.org", password="secret horse"),
        lambda ledger, wanted, id: ledger.users.create(wanted, request_id=id),
        lambda ledger, wanted, id: ledger.users.create(wanted.model_copy(update={"full_name": "Alice"}), request_id=id),
    ),
    "update user": Case(
        lambda ledger: ledger.users.require(ledger.open_account()),
        lambda ledger, seen, id: ledger.users.update(seen, {"full_name": "Alice"}, request_id=id),
        lambda ledger, seen, id: ledger.users.update(seen, {"full_name": "Bob"}, request_id=id),
    ),
    "change email": Case(
        lambda ledger: ledger.users.require(ledger.open_account()),
        lambda ledger, seen, id: ledger.users.change_email(seen, "new@example.org", request_id=id),
        lambda ledger, seen, id: ledger.users.change_email(seen, "newer@example.org", request_id=id),
    ),
    "deposit": Case(
        lambda ledger: ledger.open_account(),
        lambda ledger, user, id: ledger.balances.deposit(user, "5.00", request_id=id),
        lambda ledger, user, id: ledger.balances.deposit(user, "5.01", request_id=id),
    ),
    "withdraw": Case(
        lambda ledger: ledger.open_account(cash="100.00"),
        lambda ledger, user, id: ledger.balances.withdraw(user, "5.00", request_id=id),
        lambda ledger, user, id: ledger.balances.deposit(user, "5.00", request_id=id),
    ),
    "buy": Case(
        lambda ledger: ledger.open_account(cash="100.00"),
        lambda ledger, user, id: ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=id),
        lambda ledger, user, id: ledger.orders.buy(user, "BTC", "0.50000001", price="100.00", request_id=id),
    ),
    "sell": Case(
        lambda ledger: ledger.open_account(holding={"BTC": "2"}),
        lambda ledger, user, id: ledger.orders.sell(user, "BTC", "0.5", price="100.00", request_id=id),
        lambda ledger, user, id: ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=id),
    ),
    "place": Case(
        lambda ledger: ledger.open_account(cash="100.00"),
        lambda ledger, user, id: ledger.orders.place(user, _limit_buy("100.00"), request_id=id),
        lambda ledger, user, id: ledger.orders.place(user, _limit_buy("100.01"), request_id=id),
    ),
    "submit": Case(
        lambda ledger: ledger.open_account(),
        lambda ledger, user, id: ledger.orders.submit(user, _limit_buy("100.00"), request_id=id),
        lambda ledger, user, id: ledger.orders.submit(user, _limit_buy("100.01"), request_id=id),
    ),
    "create asset": Case(
        lambda ledger: ledger.list_asset("BTC"),
        lambda ledger, bitcoin, id: ledger.assets.create(_named(bitcoin, "Ether"), request_id=id),
        lambda ledger, bitcoin, id: ledger.assets.create(_named(bitcoin, "Aether"), request_id=id),
    ),
    "set price": Case(
        lambda ledger: None,
        lambda ledger, _, id: ledger.assets.set_price("BTC", "45000.00", request_id=id),
        lambda ledger, _, id: ledger.assets.set_price("BTC", "45001.00", request_id=id),
    ),
}


def _limit_buy(limit: str) -> OrderCreate:
    return OrderCreate(asset="BTC", type=OrderType.LIMIT_BUY, quantity=Decimal("0.5"), limit_price=Decimal(limit))


def _named(asset: Asset, name: str) -> Asset:
    return asset.model_copy(update={"id": "ETH", "name": name})


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_repeat_is_told_the_first_answer_and_writes_nothing(case: Case, ledger: LedgerKit) -> None:
    """The second call returns the same entry as the first, says so, and consumes no write units."""
    given, request_id = case.prepare(ledger), ledger.new_id()
    first = case.send(ledger, given, request_id)

    with spend(wcu=0):
        again = case.send(ledger, given, request_id)

    assert not first.replayed
    assert again.replayed
    assert first.entry == again.entry


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_another_request_under_the_same_id_is_refused(case: Case, ledger: LedgerKit) -> None:
    """An id stands for one input; the first result stays what it was."""
    given, request_id = case.prepare(ledger), ledger.new_id()
    first = case.send(ledger, given, request_id)

    with pytest.raises(RequestIdReused):
        case.send_other(ledger, given, request_id)

    assert case.send(ledger, given, request_id).entry == first.entry


def test_a_repeat_after_a_price_move_is_the_same_order(ledger: LedgerKit) -> None:
    """The price is what the service adds: the repeat returns the order at the first price, and pays once."""
    user, request_id = ledger.open_account(cash="100.00"), ledger.new_id()
    first = ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=request_id)
    again = ledger.orders.buy(user, "BTC", "0.5", price="120.00", request_id=request_id)

    assert again.entry == first.entry
    assert again.entry.price == Decimal("100.00")
    assert ledger.balances.get(user).available == Decimal("50.00")


def test_a_repeat_beyond_the_bound_is_still_the_applied_order(ledger: LedgerKit) -> None:
    """A price that moved past the caller's bound does not turn the yes of before into a no."""
    user, request_id = ledger.open_account(cash="100.00"), ledger.new_id()
    first = ledger.orders.buy(user, "BTC", "0.5", price="100.00", price_bound="101.00", request_id=request_id)
    again = ledger.orders.buy(user, "BTC", "0.5", price="120.00", price_bound="101.00", request_id=request_id)

    assert again.replayed
    assert again.entry == first.entry


def test_amounts_are_compared_as_numbers(ledger: LedgerKit) -> None:
    """``5``, ``"5.0"`` and ``Decimal("5.00")`` are one input."""
    user, request_id = ledger.open_account(), ledger.new_id()
    ledger.balances.deposit(user, 5, request_id=request_id)

    assert ledger.balances.deposit(user, "5.0", request_id=request_id).replayed
    assert ledger.balances.deposit(user, Decimal("5.00"), request_id=request_id).replayed


def test_a_uuid_and_the_ulid_of_the_same_bits_are_one_id(ledger: LedgerKit) -> None:
    """A caller may hold UUIDv7: the entry is found under either text, and its own id is the ULID."""
    user, request_id = ledger.open_account(), Uuid7Generator()()
    first = ledger.balances.deposit(user, 5, request_id=request_id)
    again = ledger.balances.deposit(user, 5, request_id=to_ulid(request_id))

    assert again.replayed
    assert first.entry.id == to_ulid(request_id)
    assert ledger.balances.entry(user, str(UUID(request_id))) == first.entry


def test_an_id_is_the_users_own(ledger: LedgerKit) -> None:
    """Two users may use one id; each has an entry of its own."""
    request_id = ledger.new_id()
    users = [ledger.open_account(), ledger.open_account()]
    for user in users:
        assert not ledger.balances.deposit(user, 5, request_id=request_id).replayed

    assert [ledger.balances.get(user).available for user in users] == [Decimal("5.00"), Decimal("5.00")]


def test_a_market_order_takes_its_id_in_the_journal_and_among_the_orders(ledger: LedgerKit) -> None:
    """Neither a deposit nor a limit order can go under the id of a market order, nor the other way round."""
    user = ledger.open_account(cash="500.00")
    bought, paid, placed = ledger.new_id(), ledger.new_id(), ledger.new_id()
    ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=bought)
    ledger.balances.deposit(user, 5, request_id=paid)
    ledger.place(user, request_id=placed)

    with pytest.raises(RequestIdReused):
        ledger.balances.deposit(user, 5, request_id=bought)
    with pytest.raises(RequestIdReused):
        ledger.place(user, request_id=bought)
    for taken in (paid, placed):
        with pytest.raises(RequestIdReused):
            ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=taken)


@pytest.mark.parametrize("request_id", ["", "r-1", "01J0B3V1MMEEDTX9CPDGKFHBC", "0190163D-8694-739B-AEA5-966C26F8AD91"])
def test_an_id_that_is_none_is_refused(ledger: LedgerKit, request_id: str) -> None:
    """Ids have one canonical text; nothing is sent for another."""
    user = ledger.open_account()

    with spend(trips=0), pytest.raises(InvalidInput):
        ledger.balances.deposit(user, 5, request_id=request_id)


# Stale ids ------------------------------------------------------------------------------------------------------------


class Days:
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_an_old_id_finds_what_it_did_and_starts_nothing(engine: Engine, ledger_on: Callable[..., LedgerKit]) -> None:
    """Two days later a repeat is answered by a read; an old id that was never used is an argument error, unwritten."""
    clock, wire = Days(), engine.wire()
    ledger = ledger_on(wire, clock=clock)
    user, used, unused = ledger.open_account(cash="100.00"), ledger.new_id(), ledger.new_id()
    first = ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=used)
    clock.now += timedelta(days=2).total_seconds()

    with spend(wcu=0, trips=1):
        again = ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=used)
    with spend(wcu=0, trips=1), pytest.raises(InvalidInput) as refusal:
        ledger.balances.deposit(user, 5, request_id=unused)
    entry = ledger.balances.entry(user, unused)
    wire.close()

    assert again.replayed
    assert again.entry == first.entry
    assert [error.code for error in refusal.value.errors] == ["request_id_stale"]
    assert entry is None


def test_a_refused_step_is_refused_the_same_days_later(engine: Engine, ledger_on: Callable[..., LedgerKit]) -> None:
    """The confirmation that failed the order for lack of funds says so again by a read; no other old id does."""
    clock, wire = Days(), engine.wire()
    ledger = ledger_on(wire, clock=clock)
    user, refused, unused = ledger.open_account(cash="49.99"), ledger.new_id(), ledger.new_id()
    wanted = OrderCreate(asset="BTC", type=OrderType.LIMIT_BUY, quantity=Decimal("0.5"), limit_price=Decimal(100))
    order = ledger.orders.submit(user, wanted, request_id=ledger.new_id()).entry
    with pytest.raises(InsufficientFunds) as first:
        ledger.orders.confirm(order, request_id=refused)
    ledger.balances.deposit(user, "100.00", request_id=ledger.new_id())
    clock.now += timedelta(days=2).total_seconds()

    with spend(wcu=0, rcu=1, trips=1), pytest.raises(InsufficientFunds) as again:
        ledger.orders.confirm(order, request_id=refused)
    with pytest.raises(InvalidInput) as stale:
        ledger.orders.confirm(order, request_id=unused)
    wire.close()

    assert (first.value.available, first.value.asset) == (again.value.available, again.value.asset)
    assert [error.code for error in stale.value.errors] == ["request_id_stale"]


# Without the engine's own idempotency ---------------------------------------------------------------------------------


class WithoutTokens(FaultyWire):
    """A wire that drops the ClientRequestToken, as an engine does that has forgotten it."""

    transactions = 0

    def send(self, request: Request, timeout: float) -> Answer:
        """Execute *request* without its token."""
        if isinstance(request, TransactWriteItems):
            self.transactions += 1
            request = replace(request, token=None)
        return super().send(request, timeout)


def test_nothing_rests_on_the_engines_token(engine: Engine, ledger_on: Callable[..., LedgerKit]) -> None:
    """With the token disabled, as after its ten minutes or in a copy of the table, a repeat is recognised all the same."""
    wire = WithoutTokens(engine.wire(), FaultPlan())
    ledger = ledger_on(wire)
    user, ids = ledger.open_account(cash="100.00"), [ledger.new_id() for _ in range(3)]
    for _ in range(3):
        ledger.balances.deposit(user, 5, request_id=ids[0])
        ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=ids[1])
        ledger.place(user, quantity="0.3", request_id=ids[2])
    balance = ledger.balances.get(user)
    wire.close()

    assert wire.transactions > 9
    assert (balance.available, balance.held) == (Decimal("25.00"), Decimal("30.00"))
