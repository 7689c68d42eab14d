"""The ledger's check: does an account say what its journal and its orders say? For tests, operators and restores."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from common.core.validation import exact_arithmetic, normalise_user_name
from common.dynamo.dao.ledger import require_database
from common.dynamo.dao.ledger_types import ACCOUNT, ENTRY, ORDER
from common.dynamo.dao.records import Account, JournalEntry, StoredOrder
from common.dynamo.exceptions import AccountNotFound, Unavailable
from common.dynamo.value_classes import dataclass
from common.entities import OrderSide, OrderStatus, TransactionType
from common.entities.order_states import HOLDING

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["Discrepancy", "check_account"]

_CASH: Final = "cash"
"""Stands for the account's cash among asset ids, which are upper-case."""
_READINGS: Final = 5

Amounts = Mapping[str, Decimal]
"""Asset id, or ``cash``, to an amount."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that does not agree."""

    what: str
    """A sentence with assets and ids, without amounts."""
    found: Decimal | None = None
    """What the account says; ``None`` where it is not about an amount. Not for logs."""
    expected: Decimal | None = None
    """What the journal or the orders say."""


def check_account(db: "Database", user: str) -> tuple[Discrepancy, ...]:
    """Compare the account of *user* with its whole journal and all its orders; empty where they agree.

    For cash and every asset: free and held together are the sum of the posted entries; what is held is the sum of the
    holds of open orders; nothing is negative. Every completed order has its one entry, every traded entry its order.

    Consistent reads of all that the user has, 1 read unit per 4 KB; read again where the account changes meanwhile, so
    check an account that is at rest.

    Raises:
        AccountNotFound: No account has this name.
        Unavailable: The account changed during each of five readings.
    """
    require_database(db)
    name = normalise_user_name(user, pointer="/user")
    for _ in range(_READINGS):
        account = _account(db, name)
        entries = db.dao(ENTRY).query(None, consistent=True, user=name).all()
        orders = db.dao(ORDER).query(None, consistent=True, user=name).all()
        if _account(db, name).sequence == account.sequence:
            with exact_arithmetic():
                return tuple(_discrepancies(account, entries, orders))
    raise Unavailable("The account kept changing while it was checked. Check it again when it is at rest.")


def _account(db: "Database", name: str) -> Account:
    account = db.dao(ACCOUNT).get(name)
    if account is None:
        raise AccountNotFound
    return account


def _discrepancies(
    account: Account, entries: Sequence[JournalEntry], orders: Sequence[StoredOrder]
) -> Iterator[Discrepancy]:
    free = {_CASH: account.cash, **account.assets}
    held = {_CASH: account.held, **account.held_assets}
    for what, amounts in (("free", free), ("held", held)):
        negative = (asset for asset, amount in amounts.items() if amount < 0)
        yield from (Discrepancy(f"{what} {asset} is below zero", amounts[asset]) for asset in negative)
    posted = _sum([*free.items(), *held.items()])
    yield from _differences("what the account has", posted, "its journal", _sum(_postings(entries)))
    yield from _differences("what the account holds", held, "its open orders", _sum(_holds(orders)))
    yield from _unmatched(entries, orders)


def _sum(amounts: Iterable[tuple[str, Decimal]]) -> Amounts:
    sums: dict[str, Decimal] = {}
    for asset, amount in amounts:
        sums[asset] = sums.get(asset, Decimal(0)) + amount
    return sums


def _postings(entries: Iterable[JournalEntry]) -> Iterator[tuple[str, Decimal]]:
    for entry in entries:
        if entry.cash is not None:
            yield _CASH, entry.cash
        yield from entry.assets.items()


def _holds(orders: Iterable[StoredOrder]) -> Iterator[tuple[str, Decimal]]:
    for order in orders:
        if order.hold is not None and (order.status in HOLDING or order.status is OrderStatus.CONFIRMED):
            yield (_CASH if order.type.side is OrderSide.BUY else order.asset), order.hold


def _differences(what: str, found: Amounts, where: str, expected: Amounts) -> Iterator[Discrepancy]:
    zero = Decimal(0)
    for asset in sorted(found.keys() | expected.keys()):
        one, other = found.get(asset, zero), expected.get(asset, zero)
        if one != other:
            yield Discrepancy(f"{what} of {asset} differs from {where}", one, other)


def _is_refund(entry: JournalEntry) -> bool:
    return entry.kind is TransactionType.ORDER_REFUND


def _unmatched(entries: Iterable[JournalEntry], orders: Iterable[StoredOrder]) -> Iterator[Discrepancy]:
    """Match completed orders with traded entries, one to one, by order id."""
    filled = {order.id: order for order in orders if order.status is OrderStatus.COMPLETED}
    traded = {entry.order: entry for entry in entries if entry.asset is not None}
    refunds = _sum((entry.order, entry.cash) for entry in entries if entry.order and entry.cash and _is_refund(entry))
    for order_id in sorted(filled.keys() - traded.keys()):
        yield Discrepancy(f"completed order {order_id} has no journal entry")
    for entry_id in sorted(traded[order].id for order in traded.keys() - filled.keys()):
        yield Discrepancy(f"journal entry {entry_id} has no completed order")
    for order_id in sorted(filled.keys() & traded.keys()):
        yield from _compared(filled[order_id], traded[order_id], refunds.get(order_id))


def _compared(order: StoredOrder, entry: JournalEntry, refunds: Decimal | None) -> Iterator[Discrepancy]:
    if entry.id != (order.fill or order.id) or (entry.cash or Decimal(0)).copy_abs() != order.total:
        yield Discrepancy(f"order {order.id} and its journal entry differ", order.total, entry.cash)
    if order.refunded != refunds:
        yield Discrepancy(f"order {order.id} and its refunds differ", order.refunded, refunds)
    if order.refunded is not None and order.total is not None and order.refunded > order.total:
        yield Discrepancy(f"order {order.id} has cost less than was refunded", order.total, order.refunded)
