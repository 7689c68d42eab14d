"""Business on a bad day: what tellers ask of the ledger, at random, and how they repeat what they were not told.

Users deposit, withdraw, trade and order; requests are repeated, and some are sent again with another amount, which must be
refused. Everything is noted in a :class:`~common.dynamo.testing.history.History`; :mod:`common.dynamo.testing.audit`
compares that with the accounts once the day is over.
"""

import contextlib
import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from common.dynamo.dao import Applied
from common.dynamo.exceptions import (
    LedgerRefusal,
    OrderConflict,
    OutcomeUnknown,
    RequestIdReused,
    Unavailable,
)
from common.dynamo.execution import Deadline
from common.dynamo.testing.history import History, Outcome, Request
from common.dynamo.testing.ledger import LedgerKit
from common.entities import Order, OrderCreate, OrderStatus, OrderType
from common.exceptions import CommonError

__all__ = ["PRICE", "Business", "persist"]

PRICE: Final = Decimal("100.00")
"""Of one BTC, in all of this business."""
_DUPLICATES: Final = 8
_POISONED: Final = 2
"""In a hundred operations."""
_RETRIES_OF_UNKNOWNS: Final = 60
_HASTY: Final = 20
"""Calls in a hundred that have no time for a second attempt, so that outcomes stay unknown."""
_EXPIRING: Final = 20
"""Limit orders in a hundred whose time is over at once."""
_NEXT: Final = {
    OrderStatus.QUEUED: ("trigger", "cancel", "expire"),
    OrderStatus.TRIGGERED: ("claim", "claim", "fail"),
    OrderStatus.PROCESSING: ("settle", "settle", "fail"),
}
_STEPS: Final = ("trigger", "claim", "settle", "cancel", "fail", "expire")
_EXPIRED: Final = datetime(2026, 1, 1, tzinfo=UTC)
_RECENT: Final = 16
"""Orders that tellers work on at a time."""
_REPEATABLE: Final = frozenset({"deposit", "withdraw", "buy", "sell", "place"})
"""Kinds of requests that can be repeated from what is noted of them."""
_KINDS: Final = ("deposit", "withdraw", "withdraw", "buy", "sell", "place", "step", "step", "step", "refund", "read")


class Business:
    """What the tellers of one process share. Thread-safe; each teller brings its own chance.

    Args:
        ledger: Where it is done.
        history: What becomes of it.
        users: Whose accounts; half of the load is on the first.
    """

    def __init__(self, ledger: LedgerKit, history: History, users: Sequence[str]) -> None:
        self.ledger = ledger
        self.history = history
        self.users = tuple(users)
        self._orders: deque[Order] = deque(maxlen=_RECENT)
        self._bought: deque[Order] = deque(maxlen=_RECENT)
        self._lock = threading.Lock()

    def serve(self, chance: random.Random) -> None:
        """Do one thing, whatever comes of it; an answer that business cannot get is a violation."""
        try:
            lot = chance.randrange(100)
            if lot < _DUPLICATES + _POISONED:
                self._send_again(chance, poisoned=lot < _POISONED)
            else:
                self._do_something(chance)
        except CommonError as error:
            self.history.violated(f"{type(error).__name__}: {error}")

    def take_over(self, requests: Sequence[Request], chance: random.Random) -> None:
        """Repeat what another process had under way when it died, as its successor would."""
        for request in requests:
            if request.kind in _REPEATABLE:
                self._send(chance, request)

    def _do_something(self, chance: random.Random) -> None:
        user = self.users[0] if chance.random() < 0.5 else chance.choice(self.users[1:])
        kind = chance.choice(_KINDS)
        if kind == "read":
            self._read(user) if chance.random() < 0.5 else self._list(user)
        elif kind == "step":
            self._step(chance)
        elif kind == "refund":
            self._refund(chance)
        else:
            amount = Decimal(chance.randrange(1000, 12000)).scaleb(-2)
            if kind in ("buy", "sell", "place"):
                amount = Decimal(chance.randrange(10, 120)).scaleb(-2)
            detail = self._order_detail(chance) if kind == "place" else ""
            self._send(chance, Request(kind, user, self.ledger.new_id(), amount, detail))

    def _order_detail(self, chance: random.Random) -> str:
        expiring = "expiring" if chance.randrange(100) < _EXPIRING else ""
        return f"{chance.choice((OrderType.LIMIT_BUY, OrderType.LIMIT_SELL)).value} {expiring}".strip()

    # Requests

    def _send(self, chance: random.Random, request: Request) -> None:
        self.history.ask(request)
        self.history.tell(request, persist(chance, self.ledger, lambda deadline: self._call(request, deadline)))

    def _send_again(self, chance: random.Random, *, poisoned: bool) -> None:
        """Repeat an earlier request; poisoned, with another amount, which must be refused."""
        told = chance.choice([each for each in self.history.answered() if each.request.kind in _REPEATABLE] or [None])
        if told is None:
            return
        if not poisoned:
            self._send(chance, told.request)
        elif told.outcomes[0] is Outcome.OK:
            self._poison(told.request)

    def _poison(self, request: Request) -> None:
        amount = request.amount + Decimal("0.01")
        other = Request(request.kind, request.user, request.id, amount, request.detail)
        try:
            self._call(other, None)
        except (RequestIdReused, Unavailable, OutcomeUnknown):
            return
        except LedgerRefusal as refusal:
            self.history.violated(f"{request.kind} with another amount was refused as {type(refusal).__name__}")
            return
        self.history.violated(f"{request.kind} with another amount was accepted under the same id")

    def _call(self, request: Request, deadline: Deadline | None) -> Applied[Any]:
        if request.kind in ("deposit", "withdraw"):
            return self._move(request, deadline)
        return self._place(request, deadline) if request.kind == "place" else self._trade(request, deadline)

    def _move(self, request: Request, deadline: Deadline | None) -> Applied[Any]:
        move = getattr(self.ledger.balances, request.kind)
        applied: Applied[Any] = move(request.user, request.amount, request_id=request.id, deadline=deadline)
        return applied

    def _trade(self, request: Request, deadline: Deadline | None) -> Applied[Any]:
        trade = getattr(self.ledger.orders, request.kind)
        applied: Applied[Order] = trade(
            request.user, "BTC", request.amount, price=PRICE, request_id=request.id, deadline=deadline
        )
        if request.kind == "buy":
            with self._lock:
                self._bought.append(applied.entry)
        return applied

    def _place(self, request: Request, deadline: Deadline | None) -> Applied[Any]:
        type, _, expiring = request.detail.partition(" ")
        wanted = OrderCreate(
            asset="BTC",
            type=OrderType(type),
            quantity=request.amount,
            limit_price=PRICE,
            expires_at=_EXPIRED if expiring else None,
        )
        applied = self.ledger.orders.place(request.user, wanted, request_id=request.id, deadline=deadline)
        with self._lock:
            self._orders.append(applied.entry)
        return applied

    # Work on what is there

    def _step(self, chance: random.Random) -> None:
        """Take some order one step further, perhaps one that another teller is at, perhaps one it cannot take."""
        with self._lock:
            order = chance.choice(list(self._orders) or [None])
        if order is None:
            return
        name = chance.choice(_NEXT.get(order.status, _STEPS) if chance.random() < 0.8 else _STEPS)
        given = {"price": PRICE} if name == "settle" else {}
        try:
            after = getattr(self.ledger.orders, name)(order, request_id=self.ledger.new_id(), **given).entry
        except (OrderConflict, Unavailable, OutcomeUnknown):
            return
        with self._lock:
            self._orders.append(after)

    def _refund(self, chance: random.Random) -> None:
        with self._lock:
            order = chance.choice(list(self._bought) or [None])
        if order is None:
            return
        # Up to what it has cost, so that few refunds of one order are too many.
        cents = chance.randrange(100, int(100 * (order.total or 10)))
        request = Request("refund", order.user, self.ledger.new_id(), Decimal(cents).scaleb(-2))
        self.history.ask(request)

        def call(deadline: Deadline | None) -> object:
            refund = self.ledger.balances.refund
            return refund(order, request.amount, request_id=request.id, deadline=deadline)

        self.history.tell(request, persist(chance, self.ledger, call))

    def _read(self, user: str) -> None:
        asked_at = self.history.now()
        try:
            portfolio = self.ledger.holdings.portfolio(user)
        except Unavailable:
            return
        amounts = {"cash": portfolio.balance.available, "held": portfolio.balance.held}
        for held in portfolio.assets:
            amounts |= {held.asset: held.available, f"held {held.asset}": held.held}
        self.history.read(user, asked_at, amounts)
        if min(amounts.values()) < 0:
            self.history.violated("a portfolio shows less than nothing")

    def _list(self, user: str) -> None:
        """Read lists, which may be stale; nothing is decided by them."""
        with contextlib.suppress(Unavailable):
            self.ledger.balances.history(user, limit=5)
            self.ledger.orders.by_status(user, OrderStatus.QUEUED, limit=5)


def persist(chance: random.Random, ledger: LedgerKit, call: Callable[[Deadline | None], object]) -> Outcome:
    """Call, and repeat most calls whose outcome is unknown; return what the caller knows in the end.

    Args:
        chance: How patient the caller is.
        ledger: Whose time the deadlines are in.
        call: Is given the deadline of one call.
    """
    is_unknown = False
    for _ in range(4):
        deadline = ledger.db.deadline(0.01 if chance.randrange(100) < _HASTY else 5.0)
        try:
            call(deadline)
        except LedgerRefusal:
            return Outcome.REFUSED
        except Unavailable:
            # This call did nothing; what an earlier one did is as unknown as before.
            if not is_unknown:
                return Outcome.NOT_APPLIED
        except OutcomeUnknown:
            is_unknown = True
            if chance.randrange(100) >= _RETRIES_OF_UNKNOWNS:
                break
        else:
            return Outcome.OK
    return Outcome.UNKNOWN
