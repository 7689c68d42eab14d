"""Which write takes which step: one function per edge of the status table, each with its effect on the account.

What is built here is sent by :func:`common.dynamo.dao.order_steps.take`. The hold is taken when an order is placed or
confirmed, and is open in CONFIRMED, QUEUED, TRIGGERED and PROCESSING; it ends once, by settling or by release.
"""

from typing import Any

from common.dynamo.dao.instruction import Instruction
from common.dynamo.dao.ledger import Ledger
from common.dynamo.dao.ledger_types import ENTRY
from common.dynamo.dao.order_steps import Step, book_facts, has_fill, is_expired_at, is_open_at
from common.dynamo.dao.order_terms import hashed_terms, trade_entry
from common.dynamo.dao.submission import claim
from common.dynamo.dao.trades import Trade
from common.entities import Asset, Order, OrderStatus

__all__ = [
    "cancel",
    "claim_fill",
    "confirm",
    "expire",
    "fail",
    "queue",
    "settle",
    "settle_unclaimed",
    "trade_of",
    "trigger",
]

_S = OrderStatus


def confirm(ledger: Ledger, order: Order, asset: Asset, request_id: str) -> Step:
    """PENDING to CONFIRMED: take the hold."""
    trade = trade_of(ledger, order)
    return _step(
        ledger,
        order,
        request_id,
        _S.CONFIRMED,
        facts={"hold": trade.hold},
        posting=trade.take_hold(),
        scale=asset.scale,
    )


def queue(ledger: Ledger, order: Order, request_id: str) -> Step:
    """CONFIRMED to QUEUED: enter the book; the hold is there."""
    return _step(ledger, order, request_id, _S.QUEUED, facts=book_facts(order.type.side))


def trigger(ledger: Ledger, order: Order, request_id: str) -> Step:
    """QUEUED to TRIGGERED: leave the book, unless expired."""
    return _step(ledger, order, request_id, _S.TRIGGERED, guards=(is_open_at(ledger.now()),))


def claim_fill(ledger: Ledger, order: Order, request_id: str) -> Step:
    """CONFIRMED or TRIGGERED to PROCESSING: choose the id under which the order will be settled."""
    return _step(ledger, order, request_id, _S.PROCESSING, facts={"fill": ledger.new_id()})


def settle(ledger: Ledger, order: Order, fill: str, trade: Trade, asset: Asset, request_id: str) -> Step:
    """PROCESSING to COMPLETED: use up the hold, return the rest, credit the other side, post the entry under *fill*."""
    instruction = _instruction(ledger, order, request_id)
    entry = trade_entry(trade, asset.scale, instruction, entry_id=fill, order=order.id)
    return _step(
        ledger,
        order,
        request_id,
        _S.COMPLETED,
        facts={"price": trade.price, "total": trade.total},
        guards=(has_fill(fill),),
        posting=trade.settle(trade_of(ledger, order).hold),
        entry=claim(ledger.table, ENTRY.encode(entry)),
    )


def settle_unclaimed(ledger: Ledger, order: Order, request_id: str) -> Step:
    """The step that no write can take: the order was not claimed when the caller saw it. For reviewing only."""
    return _step(ledger, order, request_id, _S.COMPLETED)


def cancel(ledger: Ledger, order: Order, request_id: str) -> Step:
    """PENDING, CONFIRMED or QUEUED to CANCELLED: release the hold where there is one."""
    return _ending(ledger, order, request_id, _S.CANCELLED)


def fail(ledger: Ledger, order: Order, request_id: str) -> Step:
    """PENDING, CONFIRMED, TRIGGERED or PROCESSING to FAILED: release the hold where there is one."""
    return _ending(ledger, order, request_id, _S.FAILED)


def expire(ledger: Ledger, order: Order, request_id: str) -> Step:
    """QUEUED to EXPIRED, once the stored time is over: release the hold."""
    return _ending(ledger, order, request_id, _S.EXPIRED, guards=(is_expired_at(ledger.now()),))


def trade_of(ledger: Ledger, order: Order) -> Trade:
    """Return the trade that *order* reserves for: at its limit."""
    price = order.limit_price or order.price
    if price is None:
        raise AssertionError("An order has a limit, or the price at which it was filled.")
    return Trade(
        side=order.type.side,
        asset=order.asset,
        quantity=order.quantity,
        price=price,
        cash_scale=ledger.cash.scale,
    )


def _ending(ledger: Ledger, order: Order, request_id: str, target: OrderStatus, **more: Any) -> Step:
    """A PENDING order holds nothing; from any other status the hold goes back in the same transaction."""
    if order.status is _S.PENDING and _S.PENDING in target.sources:
        return _step(ledger, order, request_id, target, sources=frozenset({_S.PENDING}), **more)
    trade = trade_of(ledger, order)
    sources = target.sources - {_S.PENDING}
    return _step(ledger, order, request_id, target, sources=sources, posting=trade.release(trade.hold), **more)


def _step(
    ledger: Ledger,
    order: Order,
    request_id: str,
    target: OrderStatus,
    *,
    sources: frozenset[OrderStatus] | None = None,
    **more: Any,
) -> Step:
    instruction = _instruction(ledger, order, request_id)
    return Step(
        table=ledger.table,
        order=order,
        instruction=instruction,
        target=target,
        sources=target.sources if sources is None else sources,
        **more,
    )


def _instruction(ledger: Ledger, order: Order, request_id: str) -> Instruction:
    """Return the instruction of a step on *order*; its hash is that of the order's terms."""
    return ledger.instruct(order.user, request_id, *hashed_terms(order))
