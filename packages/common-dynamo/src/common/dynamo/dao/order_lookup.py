"""Looking up one order, and what became of a request for one."""

from common.core.validation import normalise_user_name, sortable_request_id
from common.dynamo.dao.journal import fence_at
from common.dynamo.dao.ledger import Ledger
from common.dynamo.dao.ledger_types import ENTRY, ORDER
from common.dynamo.dao.outcomes import Resolution, ResolutionState
from common.dynamo.dao.reading import read_item, read_items
from common.dynamo.dao.refusals import is_fence
from common.dynamo.dao.views import order_of
from common.dynamo.exceptions import ConditionFailed
from common.dynamo.execution import Operation
from common.dynamo.requests import Item
from common.entities import Order, OrderStatus

__all__ = ["find_order", "resolve_order"]

_ABSENT: Resolution[Order] = Resolution(ResolutionState.ABSENT)
_FENCED: Resolution[Order] = Resolution(ResolutionState.FENCED)


def find_order(op: Operation, ledger: Ledger, user: str, order_id: str) -> Order | None:
    """Return the order, ``None`` where there is none: 1 read unit, 1 round trip, consistent."""
    key = ledger.order_key(
        normalise_user_name(user, pointer="/user"), sortable_request_id(order_id, pointer="/order_id")
    )
    item = read_item(op, ledger.table, key)
    return None if item is None or is_fence(item) else order_of(ORDER.decode(item))


def resolve_order(op: Operation, ledger: Ledger, user: str, request_id: str, *, fence: bool) -> Resolution[Order]:
    """Say what became of an order. A market order and a limit order both take the order's key, so one fence stops both."""
    name = normalise_user_name(user, pointer="/user")
    id = sortable_request_id(request_id, pointer="/request_id")
    order_key = ledger.order_key(name, id)
    if not fence:
        order, entry = read_items(op, ledger.table, [order_key, ledger.entry_key(name, id)])
        return _resolution(order) if order is not None else _by_entry(entry)
    try:
        op.execute(fence_at(ledger, order_key))
    except ConditionFailed as taken:
        return _resolution(taken.stored)
    return _FENCED


def _by_entry(entry: Item | None) -> Resolution[Order]:
    """Without an order: a tombstone in the journal ends a market order; what else stands there is another request's."""
    if entry is None:
        return _ABSENT
    return _FENCED if is_fence(entry) or ENTRY.decode(entry).refusal is not None else _ABSENT


def _resolution(item: Item) -> Resolution[Order]:
    if is_fence(item):
        return _FENCED
    order = ORDER.decode(item)
    is_tombstone = order.history[0].status is OrderStatus.FAILED
    return _FENCED if is_tombstone else Resolution(ResolutionState.APPLIED, order_of(order))
