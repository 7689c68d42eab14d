"""Whatever happens at whatever call of whatever operation, it is done once or not at all (ledger R1, R6).

Every operation is run with a fault at each of its calls: the process dies before it or after it, the call is lost, doubled,
late, throttled, in conflict, or answered by an error. Then the same request is sent again, twice. In the end everything
stands as if it had been sent once, without faults.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from common.dynamo.cost import metered
from common.dynamo.dao.ledger_types import ACCOUNT
from common.dynamo.exceptions import LedgerRefusal, OutcomeUnknown, Unavailable
from common.dynamo.testing import Crash, Engine, Fault, FaultPlan
from common.dynamo.testing.ledger import LedgerKit
from common.entities import Asset, Order, OrderCreate, OrderType, UserCreate

pytestmark = pytest.mark.thorough

FAULTS_ANYWHERE = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.DROP_AFTER)
"""On a network engine: enough to see that it commits as the engine in process does; faults come before either."""
FAULTS = (
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
    Fault.DROP_BEFORE,
    Fault.DROP_AFTER,
    Fault.ERROR_BEFORE,
    Fault.ERROR_AFTER,
    Fault.REFUSE,
    Fault.THROTTLE,
    Fault.CONFLICT,
    Fault.DUPLICATE,
    Fault.LATE,
)
LIMIT_BUY = OrderCreate(asset="BTC", type=OrderType.LIMIT_BUY, quantity=Decimal("0.5"), limit_price=Decimal(100))

Given = Any
"""What an operation works on: a user's name, a profile, an order."""


@dataclass(frozen=True)
class Operation:
    """A mutation that may meet faults."""

    prepare: Callable[[LedgerKit], Given]
    """Without faults."""
    send: Callable[[LedgerKit, Given, str], object]


def _queued(ledger: LedgerKit) -> Order:
    return ledger.place(ledger.open_account(cash="100.00"), expires_at=datetime(2020, 1, 1, tzinfo=UTC))


def _pending(ledger: LedgerKit) -> Order:
    user = ledger.open_account(cash="100.00")
    return ledger.orders.submit(user, LIMIT_BUY, request_id=ledger.new_id()).entry


def _pending_without_funds(ledger: LedgerKit) -> Order:
    return ledger.orders.submit(ledger.open_account(cash="1.00"), LIMIT_BUY, request_id=ledger.new_id()).entry


def _confirmed(ledger: LedgerKit) -> Order:
    return ledger.orders.confirm(_pending(ledger), request_id=ledger.new_id()).entry


def _triggered(ledger: LedgerKit) -> Order:
    order = ledger.place(ledger.open_account(cash="100.00"))
    return ledger.orders.trigger(order, request_id=ledger.new_id()).entry


def _claimed(ledger: LedgerKit) -> Order:
    return ledger.orders.claim(_triggered(ledger), request_id=ledger.new_id()).entry


def _rich(ledger: LedgerKit) -> str:
    return ledger.open_account(cash="100.00", holding={"BTC": "1"})


def _poor(ledger: LedgerKit) -> str:
    return ledger.open_account(cash="1.00")


def _bought(ledger: LedgerKit) -> Order:
    user = ledger.open_account(cash="100.00")
    return ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=ledger.new_id()).entry


def _newcomer(name: str) -> UserCreate:
    return UserCreate(username=name, email=f"{name}@example.org", password="horse battery")


def _seen(ledger: LedgerKit) -> Any:
    return ledger.users.require(ledger.open_account())


OPERATIONS: dict[str, Operation] = {
    "create user": Operation(
        lambda ledger: _newcomer(ledger.new_id()[-12:].lower()),
        lambda ledger, wanted, id: ledger.users.create(wanted, request_id=id),
    ),
    "update user": Operation(
        _seen, lambda ledger, seen, id: ledger.users.update(seen, {"full_name": "Alice"}, request_id=id)
    ),
    "change email": Operation(
        _seen,
        lambda ledger, seen, id: ledger.users.change_email(seen, f"new-{seen.username}@example.org", request_id=id),
    ),
    "set password": Operation(
        _seen, lambda ledger, seen, id: ledger.users.set_password(seen, "battery", request_id=id)
    ),
    "deposit": Operation(_rich, lambda ledger, user, id: ledger.balances.deposit(user, "5.00", request_id=id)),
    "withdraw": Operation(_rich, lambda ledger, user, id: ledger.balances.withdraw(user, "5.00", request_id=id)),
    "withdraw too much": Operation(
        _poor, lambda ledger, user, id: ledger.balances.withdraw(user, "5.00", request_id=id)
    ),
    "adjust": Operation(
        _rich, lambda ledger, user, id: ledger.balances.adjust(user, "-5.00", reason="a fee", request_id=id)
    ),
    "adjust by too much": Operation(
        _poor, lambda ledger, user, id: ledger.balances.adjust(user, "-5.00", reason="a fee", request_id=id)
    ),
    "refund": Operation(_bought, lambda ledger, order, id: ledger.balances.refund(order, "5.00", request_id=id)),
    "close": Operation(_seen, lambda ledger, seen, id: ledger.users.close(seen, request_id=id)),
    "close too early": Operation(
        lambda ledger: ledger.users.require(_rich(ledger)),
        lambda ledger, seen, id: ledger.users.close(seen, request_id=id),
    ),
    "fence": Operation(_rich, lambda ledger, user, id: ledger.balances.resolve(user, id, fence=True)),
    "buy": Operation(
        _rich, lambda ledger, user, id: ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=id)
    ),
    "buy too much": Operation(
        _poor, lambda ledger, user, id: ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=id)
    ),
    "buy too dear": Operation(
        _rich,
        lambda ledger, user, id: ledger.orders.buy(
            user, "BTC", "0.5", price="100.00", price_bound="99.00", request_id=id
        ),
    ),
    "sell": Operation(
        _rich, lambda ledger, user, id: ledger.orders.sell(user, "BTC", "0.5", price="100.00", request_id=id)
    ),
    "place": Operation(_rich, lambda ledger, user, id: ledger.orders.place(user, LIMIT_BUY, request_id=id)),
    "place too much": Operation(_poor, lambda ledger, user, id: ledger.orders.place(user, LIMIT_BUY, request_id=id)),
    "submit": Operation(_rich, lambda ledger, user, id: ledger.orders.submit(user, LIMIT_BUY, request_id=id)),
    "confirm": Operation(_pending, lambda ledger, order, id: ledger.orders.confirm(order, request_id=id)),
    "confirm without funds": Operation(
        _pending_without_funds, lambda ledger, order, id: ledger.orders.confirm(order, request_id=id)
    ),
    "queue": Operation(_confirmed, lambda ledger, order, id: ledger.orders.queue(order, request_id=id)),
    "trigger": Operation(
        lambda ledger: ledger.place(ledger.open_account(cash="100.00")),
        lambda ledger, order, id: ledger.orders.trigger(order, request_id=id),
    ),
    "claim": Operation(_triggered, lambda ledger, order, id: ledger.orders.claim(order, request_id=id)),
    "settle": Operation(_claimed, lambda ledger, order, id: ledger.orders.settle(order, price="99", request_id=id)),
    "cancel": Operation(_queued, lambda ledger, order, id: ledger.orders.cancel(order, request_id=id)),
    "expire": Operation(_queued, lambda ledger, order, id: ledger.orders.expire(order, request_id=id)),
    "fail": Operation(_claimed, lambda ledger, order, id: ledger.orders.fail(order, request_id=id)),
    "create asset": Operation(
        lambda ledger: Asset(
            id=f"A{ledger.new_id()[-8:]}",
            name="Ether",
            category="crypto",
            scale=18,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        ),
        lambda ledger, asset, id: ledger.assets.create(asset, request_id=id),
    ),
    "set price": Operation(
        lambda ledger: "BTC", lambda ledger, asset, id: ledger.assets.set_price(asset, "45000.00", request_id=id)
    ),
}


def _told(call: Callable[[], object]) -> str:
    """What a caller is told: the name of the refusal, or that it was done."""
    try:
        call()
    except LedgerRefusal as refusal:
        return type(refusal).__name__
    return "done"


def _state(ledger: LedgerKit, given: Given) -> object:
    """How the world stands for the one that *given* is about: without ids and times, so that two runs compare."""
    name = str(getattr(given, "username", None) or getattr(given, "user", given))
    if isinstance(given, Asset):
        return ledger.assets.get(given.id) is not None
    if name == "BTC":
        price = ledger.assets.price("BTC")
        return price and price.price
    account = ledger.db.dao(ACCOUNT).get(name)
    profile = ledger.users.get(name)
    assert account is not None
    assert profile is not None
    assert ledger.check(name) == ()
    entries = [(entry.type, entry.status, entry.amount) for entry in ledger.balances.history(name, limit=50).items]
    orders = [(each.status, each.total, len(each.history)) for each in ledger.orders.list(name, limit=50).items]
    numbers = (account.cash, account.held, account.assets, account.held_assets, account.sequence)
    return numbers, entries, orders, profile.version, profile.full_name


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_fault_at_any_call_leaves_a_trace(
    name: str, engine: Engine, faulty_ledger: LedgerKit, faults: FaultPlan
) -> None:
    """After the fault, a retry and a duplicate, the answers and the state are those of a single run without faults."""
    operation = OPERATIONS[name]
    given, request_id = operation.prepare(faulty_ledger), faulty_ledger.new_id()
    with metered() as meter:
        told = _told(lambda: operation.send(faulty_ledger, given, request_id))
    wanted = _state(faulty_ledger, given)

    for position in range(meter.cost.trips):
        for fault in FAULTS if engine.is_embedded else FAULTS_ANYWHERE:
            found = _after(operation, faulty_ledger, faults, [*[None] * position, fault])
            assert found == (told, told, wanted), f"{fault} at call {position + 1} of {meter.cost.trips}"


def _after(
    operation: Operation, ledger: LedgerKit, faults: FaultPlan, script: list[Fault | None]
) -> tuple[str, str, object]:
    """Send a request into *script*, then twice without faults; return both answers and the state."""
    given, request_id = operation.prepare(ledger), ledger.new_id()
    faults.script(*script)
    with suppress(Crash, LedgerRefusal, OutcomeUnknown, Unavailable):
        operation.send(ledger, given, request_id)
    faults.heal()
    faults.settle()
    again = [_told(lambda: operation.send(ledger, given, request_id)) for _ in range(2)]
    return again[0], again[1], _state(ledger, given)
