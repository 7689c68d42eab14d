"""The bank: random business from several threads on a bad day, and the invariants that must hold whatever happens.

Users deposit, withdraw, trade and order; calls are lost, doubled, late, throttled and answered stale; requests are
repeated, and some are sent again with another amount. When the faults are over, the accounts, the journal and what each
caller was told are compared. A run is repeated by its seed, up to the scheduling of threads.

    >>> from common.dynamo import Database
    >>> from common.dynamo.testing import FaultPlan
    >>> from common.dynamo.testing.ledger import LedgerKit
    >>> plan = FaultPlan(seed=1)
    >>> with Database.embedded(faults=plan) as db:
    ...     Bank(LedgerKit(db), plan, seed=1, threads=2, operations=10).run()
    []
"""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from common.dynamo.dao import Applied
from common.dynamo.dao.ledger_types import ENTRY
from common.dynamo.exceptions import (
    DynamoError,
    InsufficientFunds,
    InvalidItem,
    LedgerRefusal,
    OrderConflict,
    OutcomeUnknown,
    RequestIdReused,
    Unavailable,
)
from common.dynamo.execution import Deadline
from common.dynamo.testing.ledger import LedgerKit
from common.dynamo.wire.faults import CHECKER_RATES, FaultPlan, FaultRates
from common.entities import Order, OrderStatus, OrderType, TransactionStatus

__all__ = ["Bank", "Outcome", "Told"]

_DUPLICATES: Final = 8
_POISONED: Final = 2
"""In a hundred operations."""
_RETRIES_OF_UNKNOWNS: Final = 60
_HASTY: Final = 20
"""Calls in a hundred that have no time for a second attempt, so that outcomes stay unknown."""
_PRICE: Final = "100.00"
_NEXT: Final = {
    OrderStatus.QUEUED: ("trigger", "cancel"),
    OrderStatus.TRIGGERED: ("claim", "claim", "fail"),
    OrderStatus.PROCESSING: ("settle", "settle", "fail"),
}
_STEPS: Final = ("trigger", "claim", "settle", "cancel", "fail")
_RECENT: Final = 16
"""Orders that threads work on at a time."""


class Outcome(Enum):
    """What a caller was told."""

    OK = "ok"
    REFUSED = "refused"
    """Final: not applied, and never will be."""
    NOT_APPLIED = "not applied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Request:
    """One request for cash or a market order, as its caller keeps it."""

    kind: str
    user: str
    id: str
    amount: Decimal
    """Cash, or a quantity at a price of 100."""


@dataclass(slots=True)
class Told:
    """What the callers of one request were told so far."""

    request: Request
    outcomes: list[Outcome] = field(default_factory=list)


class Bank:
    """One run on one ledger. Build it, :meth:`run` it once, look at what it returns.

    What :meth:`prepare` does is done by :meth:`run` too, unless it has been done.
    """

    def __init__(
        self,
        ledger: LedgerKit,
        faults: FaultPlan,
        *,
        seed: int,
        threads: int = 8,
        operations: int = 300,
        rates: FaultRates = CHECKER_RATES,
    ) -> None:
        """Prepare a run.

        Args:
            ledger: On calls that follow *faults*.
            faults: Healed while the accounts are opened and when the invariants are checked.
            seed: Decides what every thread asks for.
            threads: How many ask at once.
            operations: How many requests in all.
            rates: How often which fault strikes.
        """
        self.ledger = ledger
        self.faults = faults
        self.rates = rates
        self.seed = seed
        self.threads = threads
        self.operations = operations
        self.violations: list[str] = []
        self._told: dict[tuple[str, str], Told] = {}
        self._orders: list[Order] = []
        self._users: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Open the accounts, without faults."""
        if not self._users:
            self._users = tuple(self.ledger.open_account(cash="300.00", holding={"BTC": "3"}) for _ in range(3))

    def run(self) -> list[str]:
        """Do business, let the faults end, check; return the violations, none where the ledger is right."""
        self.prepare()
        self.faults.rates = self.rates
        share = self.operations // self.threads
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(lambda number: self._teller(number, share), range(self.threads)))
        self.faults.heal()
        self.faults.settle()
        try:
            self._check_accounts()
            self._check_answers()
        except InvalidItem as error:
            self._violated(f"{type(error).__name__}: {error}")
        return self.violations

    # Business

    def _teller(self, number: int, operations: int) -> None:
        chance = random.Random(f"{self.seed}-{number}")  # noqa: S311 - chance for tests, no secret
        for _ in range(operations):
            try:
                self._serve(chance)
            except DynamoError as error:
                # Every answer that business may get is handled where it is asked for; no other one may come.
                self._violated(f"{type(error).__name__}: {error}")

    def _serve(self, chance: random.Random) -> None:
        lot = chance.randrange(100)
        if lot < _DUPLICATES + _POISONED and self._told:
            self._send_again(chance, poisoned=lot < _POISONED)
        else:
            self._do_something(chance)

    def _do_something(self, chance: random.Random) -> None:
        # Half of the load is on the first user.
        user = self._users[0] if chance.random() < 0.5 else chance.choice(self._users[1:])
        kind = chance.choice(
            ("deposit", "withdraw", "withdraw", "buy", "sell", "place", "step", "step", "step", "read")
        )
        if kind == "read":
            self._read(user)
        elif kind == "place":
            self._place(chance, user)
        elif kind == "step":
            self._step(chance)
        else:
            amount = Decimal(chance.randrange(1000, 12000)).scaleb(-2)
            if kind in ("buy", "sell"):
                amount = Decimal(chance.randrange(10, 120)).scaleb(-2)
            self._send(chance, Request(kind, user, self.ledger.new_id(), amount))

    def _send(self, chance: random.Random, request: Request) -> None:
        told = Told(request)
        with self._lock:
            self._told[request.user, request.id] = told
        told.outcomes.append(self._ask(chance, request))

    def _send_again(self, chance: random.Random, *, poisoned: bool) -> None:
        """Repeat an earlier request; poisoned, with another amount, which must be refused."""
        with self._lock:
            told = chance.choice([each for each in self._told.values() if each.outcomes] or [None])
        if told is None:
            return
        if not poisoned:
            told.outcomes.append(self._ask(chance, told.request))
            return
        if told.outcomes[0] is not Outcome.OK:
            return
        request = told.request
        other = Request(request.kind, request.user, request.id, request.amount + Decimal("0.01"))
        try:
            self._call(other)
        except RequestIdReused:
            return
        except (Unavailable, OutcomeUnknown):
            return
        except LedgerRefusal as refusal:
            self._violated(f"{request.kind} with another amount was refused as {type(refusal).__name__}")
            return
        self._violated(f"{request.kind} with another amount was accepted under the same id")

    def _ask(self, chance: random.Random, request: Request) -> Outcome:
        """Call, and repeat most calls whose outcome is unknown; return what the caller knows in the end."""
        is_unknown = False
        for _ in range(4):
            deadline = Deadline.after(0.01 if chance.randrange(100) < _HASTY else 5.0)
            try:
                self._call(request, deadline)
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

    def _call(self, request: Request, deadline: Deadline | None = None) -> Applied[Any]:
        user, amount = request.user, request.amount
        if request.kind in ("deposit", "withdraw"):
            move = self.ledger.balances.deposit if request.kind == "deposit" else self.ledger.balances.withdraw
            return move(user, amount, request_id=request.id, deadline=deadline)
        trade = self.ledger.orders.buy if request.kind == "buy" else self.ledger.orders.sell
        return trade(user, "BTC", amount, price=_PRICE, request_id=request.id, deadline=deadline)

    def _place(self, chance: random.Random, user: str) -> None:
        type = chance.choice((OrderType.LIMIT_BUY, OrderType.LIMIT_SELL))
        quantity = Decimal(chance.randrange(10, 80)).scaleb(-2)
        try:
            order = self.ledger.place(user, type=type, quantity=quantity, limit=_PRICE)
        except (InsufficientFunds, Unavailable, OutcomeUnknown):
            return
        with self._lock:
            self._orders.append(order)

    def _step(self, chance: random.Random) -> None:
        """Take some order one step further, perhaps one that another thread is at, perhaps one it cannot take."""
        with self._lock:
            order = chance.choice(self._orders[-_RECENT:] or [None])
        if order is None:
            return
        name = chance.choice(_NEXT.get(order.status, _STEPS) if chance.random() < 0.8 else _STEPS)
        given = {"price": _PRICE} if name == "settle" else {}
        try:
            after = getattr(self.ledger.orders, name)(order, request_id=self.ledger.new_id(), **given).entry
        except (OrderConflict, Unavailable, OutcomeUnknown):
            return
        with self._lock:
            self._orders.append(after)

    def _read(self, user: str) -> None:
        try:
            portfolio = self.ledger.holdings.portfolio(user)
        except Unavailable:
            return
        amounts = [portfolio.balance.available, portfolio.balance.held]
        amounts += [amount for held in portfolio.assets for amount in (held.available, held.held)]
        if min(amounts) < 0:
            self._violated("a portfolio shows less than nothing")

    # Invariants

    def _check_accounts(self) -> None:
        for user in self._users:
            for discrepancy in self.ledger.check(user):
                self._violated(discrepancy.what)

    def _check_answers(self) -> None:
        """Told yes: one entry with the amount. Told no: none. Not known: one or none. And no entry nobody asked for."""
        for told in self._told.values():
            if told.outcomes:
                self._check_answer(told)
        fills = {order.fill for order in self._orders}
        for user in self._users:
            entries = self.ledger.db.dao(ENTRY).query(None, consistent=True, user=user).all()
            asked = {entry.id for entry in entries if (user, entry.id) in self._told or entry.id in fills}
            opening = 5
            if len(entries) - len(asked) > opening:
                self._violated("there are journal entries that nobody asked for")

    def _check_answer(self, told: Told) -> None:
        request = told.request
        entry = self.ledger.balances.entry(request.user, request.id)
        is_applied = entry is not None and entry.status is TransactionStatus.COMPLETED
        known = set(told.outcomes) - {Outcome.UNKNOWN, Outcome.NOT_APPLIED}
        if len(known) > 1:
            self._violated(f"{request.kind} was told both yes and no")
        elif known == {Outcome.OK} and not is_applied:
            self._violated(f"{request.kind} was told yes and has no entry")
        elif known == {Outcome.REFUSED} and is_applied:
            self._violated(f"{request.kind} was told no and has been applied")
        elif told.outcomes == [Outcome.NOT_APPLIED] and is_applied:
            self._violated(f"{request.kind} was told that it was not applied, and it was")

    def _violated(self, what: str) -> None:
        with self._lock:
            self.violations.append(what)
