"""Orders: holds, steps, and the status table kept by the database (ledger R1, R5, R13)."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from common.dynamo.dao import Applied
from common.dynamo.dao.ledger_types import BOOK_SHARDS, ORDER
from common.dynamo.exceptions import (
    AccountNotFound,
    InsufficientFunds,
    NotFound,
    OrderConflict,
    RequestIdReused,
)
from common.dynamo.testing import Crash, Engine, Fault, FaultPlan, spend
from common.dynamo.testing.ledger import LedgerKit
from common.entities import Order, OrderCreate, OrderStatus, OrderType
from common.entities.order_states import SOURCES, can_reach
from common.exceptions import InvalidInput

pytestmark = pytest.mark.thorough

S = OrderStatus
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
LIMIT_BUY = OrderCreate(asset="BTC", type=OrderType.LIMIT_BUY, quantity=Decimal("0.5"), limit_price=Decimal(100))

STEPS: dict[OrderStatus, str] = {
    S.CONFIRMED: "confirm",
    S.QUEUED: "queue",
    S.TRIGGERED: "trigger",
    S.PROCESSING: "claim",
    S.COMPLETED: "settle",
    S.CANCELLED: "cancel",
    S.FAILED: "fail",
    S.EXPIRED: "expire",
}
"""The method that takes an order to each status; to PENDING there is none, an order only begins there."""


def step(ledger: LedgerKit, order: Order, target: OrderStatus, request_id: str | None = None) -> Applied[Order]:
    """Take one step of *order*."""
    price: dict[str, Any] = {"price": "99.00"} if target is S.COMPLETED else {}
    take: Callable[..., Applied[Order]] = getattr(ledger.orders, STEPS[target])
    return take(order, request_id=request_id or ledger.new_id(), **price)


def order_in(ledger: LedgerKit, status: OrderStatus, user: str, *, expires_at: datetime | None = None) -> Order:
    """Bring an order of *user* into *status*, step by step."""
    if status in (S.PENDING, S.CONFIRMED):
        wanted = LIMIT_BUY.model_copy(update={"expires_at": expires_at})
        order = ledger.orders.submit(user, wanted, request_id=ledger.new_id()).entry
        return order if status is S.PENDING else step(ledger, order, S.CONFIRMED).entry
    order = ledger.place(user, expires_at=expires_at)
    path = {
        S.QUEUED: [],
        S.TRIGGERED: [S.TRIGGERED],
        S.PROCESSING: [S.TRIGGERED, S.PROCESSING],
        S.COMPLETED: [S.TRIGGERED, S.PROCESSING, S.COMPLETED],
        S.CANCELLED: [S.CANCELLED],
        S.FAILED: [S.TRIGGERED, S.FAILED],
        S.EXPIRED: [S.EXPIRED],
    }[status]
    for target in path:
        order = step(ledger, order, target).entry
    return order


@pytest.mark.parametrize(("source", "target"), list(itertools.product(S, STEPS)), ids=str)
def test_a_step_is_taken_exactly_where_the_table_allows_it(
    ledger: LedgerKit, source: OrderStatus, target: OrderStatus
) -> None:
    """All pairs of statuses: the database takes the allowed step, and refuses every other without a trace.

    To settle a completed order once more, under the same fill, is a repeat.
    """
    user = ledger.open_account(cash="100.00")
    expires_at = PAST if source is S.EXPIRED or (source, target) == (S.QUEUED, S.EXPIRED) else FUTURE
    order = order_in(ledger, source, user, expires_at=expires_at)
    before = (ledger.orders.get(user, order.id), ledger.holdings.portfolio(user))

    if source in SOURCES[target]:
        taken = step(ledger, order, target)
        assert taken.entry.status is target
        assert taken.entry == ledger.orders.get(user, order.id)
    elif source is target is S.COMPLETED:
        assert step(ledger, order, target).replayed
    else:
        with pytest.raises(OrderConflict) as conflict:
            step(ledger, order, target)
        assert conflict.value.current is source
        assert conflict.value.final is not can_reach(source, SOURCES[target])
        assert (ledger.orders.get(user, order.id), ledger.holdings.portfolio(user)) == before
    assert ledger.check(user) == ()


@pytest.mark.parametrize("target", list(STEPS), ids=str)
def test_a_repeated_step_returns_the_order_as_it_is_today(ledger: LedgerKit, target: OrderStatus) -> None:
    """The step is found by its request id, also when the order has moved on; nothing is written."""
    user, request_id = ledger.open_account(cash="100.00"), ledger.new_id()
    source = min(SOURCES[target] - {S.PENDING} or {S.PENDING})
    order = order_in(ledger, source, user, expires_at=PAST if target is S.EXPIRED else FUTURE)
    first = step(ledger, order, target, request_id)
    today = step(ledger, first.entry, S.PROCESSING).entry if target is S.TRIGGERED else first.entry

    with spend(wcu=0):
        again = step(ledger, order, target, request_id)

    assert not first.replayed
    assert again.replayed
    assert again.entry == today


def test_an_unknown_order_takes_no_step(ledger: LedgerKit) -> None:
    """An order of another user, or none at all, is not found; no step makes one."""
    order = ledger.place(ledger.open_account(cash="100.00"))
    stranger = order.model_copy(update={"user": ledger.open_account()})
    for target in STEPS:
        with pytest.raises((NotFound, OrderConflict)) as error:
            step(ledger, stranger, target)
        assert isinstance(error.value, NotFound)
    assert list(ledger.orders.list(stranger.user).items) == []


@pytest.mark.parametrize(
    "forged",
    [
        {"quantity": Decimal("0.1")},
        {"limit_price": Decimal("1000.00")},
        {"asset": "ETH"},
        {"type": OrderType.LIMIT_SELL},
        {"expires_at": FUTURE},
    ],
    ids=lambda forged: next(iter(forged)),
)
def test_an_order_with_other_terms_than_the_stored_one_is_refused(ledger: LedgerKit, forged: dict[str, Any]) -> None:
    """What a caller brings is compared with what is stored, so a changed quantity cannot release another hold."""
    ledger.list_asset("ETH")
    user = ledger.open_account(cash="100.00")
    order = ledger.place(user)

    with pytest.raises(InvalidInput):
        ledger.orders.cancel(order.model_copy(update=forged), request_id=ledger.new_id())

    assert ledger.orders.get(user, order.id) == order
    assert ledger.check(user) == ()


# Holds ----------------------------------------------------------------------------------------------------------------


def test_a_limit_buy_holds_cash_and_pays_from_it(ledger: LedgerKit) -> None:
    """The limit is reserved, rounded up; the fill is paid from it at its own price, and the rest comes back."""
    user = ledger.open_account(cash="100.00")
    order = order_in(ledger, S.PROCESSING, user)
    held = ledger.balances.get(user)
    settled = ledger.orders.settle(order, price="98.765", request_id=ledger.new_id()).entry
    after = ledger.holdings.portfolio(user)

    assert (held.available, held.held) == (Decimal("50.00"), Decimal("50.00"))
    assert (settled.price, settled.total) == (Decimal("98.765"), Decimal("49.39"))
    assert (after.balance.available, after.balance.held) == (Decimal("50.61"), Decimal(0))
    assert after.assets[0].available == Decimal("0.5")


def test_a_limit_sale_holds_the_asset_and_is_paid(ledger: LedgerKit) -> None:
    """The quantity is reserved; the proceeds come in at the price of the fill."""
    user = ledger.open_account(holding={"BTC": "1"})
    order = ledger.place(user, type=OrderType.LIMIT_SELL, quantity="0.4", limit="100.00")
    held = ledger.holdings.get(user, "BTC")
    for target in (S.TRIGGERED, S.PROCESSING):
        order = step(ledger, order, target).entry
    settled = ledger.orders.settle(order, price="101.00", request_id=ledger.new_id()).entry

    assert (held.available, held.held) == (Decimal("0.6"), Decimal("0.4"))
    assert settled.total == Decimal("40.40")
    assert ledger.balances.get(user).available == Decimal("40.40")
    assert ledger.holdings.get(user, "BTC").posted == Decimal("0.6")
    assert ledger.check(user) == ()


@pytest.mark.parametrize("target", [S.CANCELLED, S.FAILED, S.EXPIRED], ids=str)
@pytest.mark.parametrize("type", [OrderType.LIMIT_BUY, OrderType.LIMIT_SELL], ids=str)
def test_an_order_that_ends_unfilled_gives_its_hold_back(
    ledger: LedgerKit, type: OrderType, target: OrderStatus
) -> None:
    """All of it, to where it came from; no entry is posted."""
    user = ledger.open_account(cash="100.00", holding={"BTC": "1"})
    before = ledger.holdings.portfolio(user)
    order = ledger.place(user, type=type, expires_at=PAST if target is S.EXPIRED else FUTURE)
    if target is S.FAILED:
        order = step(ledger, order, S.TRIGGERED).entry
    step(ledger, order, target)
    after = ledger.holdings.portfolio(user)

    assert after.balance == before.balance
    assert [held.available for held in after.assets] == [held.available for held in before.assets]
    assert ledger.check(user) == ()


def test_a_confirmation_without_funds_fails_the_order_for_good(ledger: LedgerKit) -> None:
    """The order is FAILED, so that neither a repeat nor a late copy confirms it when money comes."""
    user, request_id = ledger.open_account(cash="49.99"), ledger.new_id()
    order = order_in(ledger, S.PENDING, user)
    with pytest.raises(InsufficientFunds) as first:
        ledger.orders.confirm(order, request_id=request_id)
    ledger.balances.deposit(user, "100.00", request_id=ledger.new_id())
    with pytest.raises(InsufficientFunds) as again:
        ledger.orders.confirm(order, request_id=request_id)

    stored = ledger.orders.get(user, order.id)
    assert stored is not None
    assert stored.status is S.FAILED
    assert first.value.available == again.value.available == Decimal("49.99")
    with pytest.raises(OrderConflict) as conflict:
        ledger.orders.confirm(order, request_id=ledger.new_id())
    assert conflict.value.final
    assert ledger.check(user) == ()


def test_an_order_for_an_unknown_account_is_not_confirmed(ledger: LedgerKit) -> None:
    """An order may be submitted before anybody looks at the account; its confirmation does look."""
    order = ledger.orders.submit("nobody", LIMIT_BUY, request_id=ledger.new_id()).entry

    with pytest.raises(AccountNotFound):
        ledger.orders.confirm(order, request_id=ledger.new_id())


# Settling -------------------------------------------------------------------------------------------------------------


def test_a_fill_is_settled_once_whoever_settles_it(ledger: LedgerKit) -> None:
    """Another worker repeats the write under the same fill, at another price: it finds the first one's."""
    user = ledger.open_account(cash="100.00")
    claimed = order_in(ledger, S.PROCESSING, user)
    first = ledger.orders.settle(claimed, price="99.00", request_id=ledger.new_id())
    again = ledger.orders.settle(claimed, price="98.00", request_id=ledger.new_id())

    assert again.replayed
    assert again.entry == first.entry
    assert claimed.fill is not None
    entry = ledger.balances.entry(user, claimed.fill)
    assert entry is not None
    assert (entry.amount, entry.order) == (Decimal("-49.50"), claimed.id)
    assert ledger.check(user) == ()


def test_a_worker_that_dies_in_processing_is_replaced(faulty_ledger: LedgerKit, faults: FaultPlan) -> None:
    """Killed between claim and settle, or after the commit of settle: any worker reads the order and goes on."""
    user = faulty_ledger.open_account(cash="100.00")
    for fault in (Fault.CRASH_BEFORE, Fault.CRASH_AFTER):
        claimed = order_in(faulty_ledger, S.PROCESSING, user).model_copy()
        faults.script(fault)
        with pytest.raises(Crash):
            faulty_ledger.orders.settle(claimed, price="99.00", request_id=faulty_ledger.new_id())
        seen = faulty_ledger.orders.get(user, claimed.id)
        assert seen is not None
        settled = faulty_ledger.orders.settle(seen, price="99.00", request_id=faulty_ledger.new_id()).entry
        assert settled.status is S.COMPLETED
    assert faulty_ledger.holdings.get(user, "BTC").available == Decimal(1)
    assert faulty_ledger.check(user) == ()


def test_a_price_beyond_the_limit_is_not_settled(ledger: LedgerKit) -> None:
    """A buy above its limit is refused, and can still be settled within it."""
    user = ledger.open_account(cash="100.00")
    claimed, request_id = order_in(ledger, S.PROCESSING, user), ledger.new_id()
    with spend(wcu=0), pytest.raises(InvalidInput):
        ledger.orders.settle(claimed, price="100.01", request_id=request_id)
    settled = ledger.orders.settle(claimed, price="100.00", request_id=request_id)

    assert settled.entry.total == Decimal("50.00")
    assert ledger.orders.settle(claimed, price="100.01", request_id=request_id).replayed


def test_an_order_that_was_not_claimed_is_not_settled(ledger: LedgerKit) -> None:
    """Without a fill there is no id to post the entry under; another fill than the stored one is refused too."""
    user = ledger.open_account(cash="100.00")
    triggered = order_in(ledger, S.TRIGGERED, user)
    claimed = step(ledger, triggered, S.PROCESSING).entry

    for seen in (triggered, claimed.model_copy(update={"fill": ledger.new_id()})):
        with pytest.raises(OrderConflict) as conflict:
            ledger.orders.settle(seen, price="99.00", request_id=ledger.new_id())
        assert (conflict.value.current, conflict.value.final) == (S.PROCESSING, False)
    assert ledger.check(user) == ()


def test_a_fill_never_overwrites_another_entry(ledger: LedgerKit) -> None:
    """Should a deposit stand under the id of a fill, settling is refused and nothing moves."""
    user = ledger.open_account(cash="100.00")
    claimed = order_in(ledger, S.PROCESSING, user)
    assert claimed.fill is not None
    ledger.balances.deposit(user, 5, request_id=claimed.fill)

    with pytest.raises(RequestIdReused):
        ledger.orders.settle(claimed, price="99.00", request_id=ledger.new_id())

    assert ledger.orders.get(user, claimed.id) == claimed
    assert ledger.check(user) == ()


@pytest.mark.parametrize("round_", range(4))
def test_settle_fail_and_late_copies_race_and_one_wins(ledger: LedgerKit, round_: int) -> None:
    """Eight threads end one order in PROCESSING: whoever is first decides, the account shows that one ending."""
    user = ledger.open_account(cash="100.00")
    claimed = order_in(ledger, S.PROCESSING, user)
    endings = _race(ledger, claimed, [S.COMPLETED, S.FAILED])

    stored = ledger.orders.get(user, claimed.id)
    assert stored is not None
    assert endings == {stored.status}
    bought = ledger.holdings.portfolio(user).assets
    assert (len(bought) == 1) is (stored.status is S.COMPLETED)
    assert ledger.check(user) == ()


@pytest.mark.parametrize("round_", range(4))
def test_cancel_expire_and_fail_race_and_one_wins(ledger: LedgerKit, round_: int) -> None:
    """Eight threads at a queued order: one step is taken, once, and the hold is released once. It cannot be failed."""
    user = ledger.open_account(cash="100.00")
    queued = ledger.place(user, expires_at=PAST)
    endings = _race(ledger, queued, [S.CANCELLED, S.EXPIRED, S.FAILED])

    stored = ledger.orders.get(user, queued.id)
    assert stored is not None
    assert endings == {stored.status}
    assert len(stored.history) == len(queued.history) + 1
    assert ledger.balances.get(user).available == Decimal("100.00")
    assert ledger.check(user) == ()


def _race(ledger: LedgerKit, order: Order, targets: list[OrderStatus]) -> set[OrderStatus]:
    """Take each of *targets* from eight threads at once; return the statuses that a first taker was told."""

    def end(number: int) -> OrderStatus | None:
        target = targets[number % len(targets)]
        try:
            taken = step(ledger, order, target)
        except OrderConflict:
            return None
        return None if taken.replayed else taken.entry.status

    with ThreadPoolExecutor(8) as pool:
        told = [status for status in pool.map(end, range(24)) if status is not None]
    assert len(told) == 1
    return set(told)


# Time -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wrong_clock_moves_no_money(engine: Engine, ledger_on: Callable[..., LedgerKit], hours: int) -> None:
    """A worker whose clock is an hour off may trigger or expire an order early or late; the account stays exact."""
    wire = engine.wire()
    now = datetime.now(UTC).timestamp()
    right = ledger_on(wire, clock=lambda: now)
    wrong = ledger_on(wire, clock=lambda: now + hours * 3600)
    user = right.open_account(cash="100.00")
    order = right.place(user, expires_at=datetime.fromtimestamp(now, UTC) + timedelta(minutes=30))
    ledgers = (wrong, right) if hours > 0 else (right, wrong)

    expired = step(ledgers[0], order, S.EXPIRED) if hours > 0 else None
    with pytest.raises(OrderConflict) as conflict:
        step(ledgers[1], order, S.TRIGGERED if hours > 0 else S.EXPIRED)
    balance, discrepancies = right.balances.get(user), right.check(user)
    wire.close()

    assert (expired is not None) is conflict.value.final
    assert balance.posted == Decimal("100.00")
    assert discrepancies == ()


def test_an_expired_order_is_not_triggered_and_a_living_one_not_expired(ledger: LedgerKit) -> None:
    """The stored time decides, in the database's condition; the conflict is not final, the status is the right one."""
    user = ledger.open_account(cash="200.00")
    over, open_ = ledger.place(user, expires_at=PAST), ledger.place(user, expires_at=FUTURE)
    endless = ledger.place(user)
    for order, target in ((over, S.TRIGGERED), (open_, S.EXPIRED), (endless, S.EXPIRED)):
        with pytest.raises(OrderConflict) as conflict:
            step(ledger, order, target)
        assert (conflict.value.current, conflict.value.final) == (S.QUEUED, False)
    assert step(ledger, endless, S.TRIGGERED).entry.status is S.TRIGGERED


def test_the_book_is_one_order_over_its_shards(ledger: LedgerKit) -> None:
    """Orders lie in four partitions, so that none is hot, and are read as one book: best limit first, each once."""
    user = ledger.open_account(cash="5000.00")
    limits = [Decimal(100 + number * 7 % 24) for number in range(24)]
    placed = [ledger.place(user, quantity="0.2", limit=limit) for limit in limits]

    first = ledger.orders.due("BTC", OrderType.LIMIT_BUY, "100.00", limit=7)
    pages = [first]
    while pages[-1].next is not None:
        pages.append(ledger.orders.due("BTC", OrderType.LIMIT_BUY, "100.00", limit=7, after=pages[-1].next))
    read = [order for page in pages for order in page.items]
    keys = {ORDER.index_keys(ledger.db.dao(ORDER).require((user, order.id)))["g2pk"]["S"] for order in placed}

    assert [len(page.items) for page in pages] == [7, 7, 7, 3]
    assert [order.limit_price for order in read] == sorted(limits, reverse=True)
    assert {order.id for order in read} == {order.id for order in placed}
    assert keys == {f"LO#BTC#BUY#{shard:02}" for shard in range(BOOK_SHARDS)}
