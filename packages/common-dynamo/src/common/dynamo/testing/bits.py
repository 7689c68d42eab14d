"""Bits: every trade has an amount of its own power of two, so that each read tells exactly which trades it has seen.

An account begins with cash for all of its trades. Trade *k* buys 2^k of the smallest units of the asset for 2^k of the
smallest units of cash, so what was read of the asset is, bit by bit, the set of trades done by then; and cash and asset of
one moment always add up to the same. From that follows, for each read, without any help of the ledger: it was not torn, it
missed nothing that had been acknowledged before it began, it showed nothing that had not been asked for when it ended, and
no later read showed less (linearizability of a set that only grows; ledger R4, R8, R9).
"""

import random
import threading
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from common.dynamo.exceptions import Unavailable
from common.dynamo.testing.business import persist
from common.dynamo.testing.history import History, Outcome, Reading, Request, Told
from common.dynamo.testing.ledger import LedgerKit

__all__ = ["BITS", "Bits", "check_bits", "open_bits"]

_LOWEST: Final = 10
"""2^10 of the smallest units of cash are the first power of two above the least value of an order."""
BITS: Final = 88
"""Trades that one account can take: the largest amount has 30 digits."""
_CASH: Final = 2
_ASSET: Final = 8
"""Decimal places."""
_PRICE: Final = 10 ** (_ASSET - _CASH)
_ALL: Final = sum(1 << bit for bit in range(_LOWEST, _LOWEST + BITS))
_READS: Final = 60
"""Of a hundred operations."""


def open_bits(ledger: LedgerKit, name: str) -> str:
    """Open an account for :data:`BITS` trades; return its name."""
    ledger.list_asset("BTC")
    user = ledger.open_account(name)
    ledger.balances.deposit(user, _amount(_ALL, _CASH), request_id=ledger.new_id())
    return user


class Bits:
    """The traders of one process. Thread-safe; each brings its own chance.

    Args:
        ledger: Where it is done.
        history: What becomes of it.
        users: Accounts by :func:`open_bits`; the next one is taken when one is used up.
        share: Which of the trades are this process's: those whose number leaves this remainder ...
        of: ... when divided by this.
    """

    def __init__(
        self, ledger: LedgerKit, history: History, users: Sequence[str], *, share: int = 0, of: int = 1
    ) -> None:
        self.ledger = ledger
        self.history = history
        self._users = tuple(users)
        self._trades = iter([(user, bit) for user in users for bit in range(share, BITS, of)])
        self._current = self._users[0]
        self._lock = threading.Lock()

    def serve(self, chance: random.Random) -> None:
        """Trade the next bit, or read; where all are traded, read."""
        if chance.randrange(100) < _READS:
            self._read(chance.choice((self._current, self._users[0])))
            return
        with self._lock:
            user, bit = next(self._trades, ("", 0))
        if not user:
            self._read(self._current)
            return
        self._current = user
        self._trade(chance, Request("bit", user, self.ledger.new_id(), _quantity(bit)))

    def take_over(self, requests: Sequence[Request], chance: random.Random) -> None:
        """Repeat the trades that another process had under way when it died."""
        for request in requests:
            if request.kind == "bit":
                self._trade(chance, request)

    def skip(self, asked: Collection[Request]) -> None:
        """Leave out the trades that another process has asked for before."""
        done = {(request.user, request.amount) for request in asked}
        self._trades = iter([(user, bit) for user, bit in self._trades if (user, _quantity(bit)) not in done])

    def _trade(self, chance: random.Random, request: Request) -> None:
        self.history.ask(request)
        buy = self.ledger.orders.buy
        told = persist(
            chance,
            self.ledger,
            lambda deadline: buy(
                request.user, "BTC", request.amount, price=_PRICE, request_id=request.id, deadline=deadline
            ),
        )
        self.history.tell(request, told)

    def _read(self, user: str) -> None:
        asked_at = self.history.now()
        try:
            portfolio = self.ledger.holdings.portfolio(user)
        except Unavailable:
            return
        amounts = {held.asset: held.available for held in portfolio.assets}
        self.history.read(user, asked_at, {"cash": portfolio.balance.available, "BTC": amounts.get("BTC", Decimal(0))})


# The check ------------------------------------------------------------------------------------------------------------


def check_bits(history: History, users: Collection[str]) -> list[str]:
    """Return what is wrong with the readings of *users*, one sentence each; nothing where all of them fit."""
    return [what for user in users for what in _check_user(history, user)]


def _check_user(history: History, user: str) -> Iterator[str]:
    trades = [told for told in history.of(user) if told.request.kind == "bit"]
    readings = sorted((one for one in history.readings if one.user == user), key=lambda one: one.asked_at)
    for reading in readings:
        yield from _check_reading(reading, trades)
    yield from _check_order(readings)


def _check_reading(reading: Reading, trades: Sequence[Told]) -> Iterator[str]:
    seen = _units(reading.amounts["BTC"], _ASSET)
    if seen + _units(reading.amounts["cash"], _CASH) != _ALL:
        yield "a portfolio was torn: cash and asset are not of one moment"
    for told in trades:
        bit = _units(told.request.amount, _ASSET)
        if told.done_at is not None and told.done_at < reading.asked_at and not seen & bit:
            yield "a read missed a trade that had been acknowledged before it began"
        if told.asked_at > reading.done_at and seen & bit:
            yield "a read showed a trade before it was asked for"
        if Outcome.REFUSED in told.outcomes and seen & bit:
            yield "a read showed a trade that was refused"
    known = sum({_units(told.request.amount, _ASSET) for told in trades})
    if seen & ~known:
        yield "a read showed a trade that nobody asked for"


def _check_order(readings: Sequence[Reading]) -> Iterator[str]:
    """Of two reads that follow each other, the later one shows at least what the earlier one did."""
    ended: list[Reading] = sorted(readings, key=lambda one: one.done_at)
    seen, position = 0, 0
    for reading in readings:
        while position < len(ended) and ended[position].done_at < reading.asked_at:
            seen |= _units(ended[position].amounts["BTC"], _ASSET)
            position += 1
        if seen & ~_units(reading.amounts["BTC"], _ASSET):
            yield "a read showed less than an earlier one"


def _quantity(bit: int) -> Decimal:
    return _amount(1 << (bit + _LOWEST), _ASSET)


def _amount(units: int, places: int) -> Decimal:
    return Decimal(f"{units}E-{places}")  # exact, whatever the context


def _units(amount: Decimal, places: int) -> int:
    return int(Fraction(amount) * 10**places)
