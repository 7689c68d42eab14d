"""The checks that nothing was lost or doubled, read straight from the database, behind the services' back."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from common.core.validation import exact_arithmetic
from common.dynamo import Database, Page
from common.dynamo.dao import AssetBalanceDAO, AssetTransactionDAO, BalanceDAO, OrderDAO
from common.entities.asset import AssetTransaction, AssetTransactionStatus, Portfolio
from common.entities.order import Order, OrderSide, OrderStatus
from common.entities.user import BalanceTransaction, TransactionStatus, TransactionType

PAGE = 100
HOLDING = frozenset({OrderStatus.QUEUED, OrderStatus.TRIGGERED, OrderStatus.PROCESSING})
FROM_OUTSIDE = frozenset({TransactionType.DEPOSIT, TransactionType.WITHDRAW})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Check:
    """One property, and what was found."""

    title: str
    holds: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Account:
    """Everything the database knows of one user."""

    portfolio: Portfolio
    entries: tuple[BalanceTransaction, ...]
    """The completed cash entries."""
    trades: tuple[AssetTransaction, ...]
    orders: tuple[Order, ...]

    def holdings(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Return available and held, by asset; cash under its own name."""
        balance = self.portfolio.balance
        held = {holding.asset: (holding.available, holding.held) for holding in self.portfolio.assets}
        return {balance.asset: (balance.available, balance.held), **held}


def every(read: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """Yield the items of all pages."""
    cursor: str | None = None
    while True:
        page = read(cursor)
        yield from page.items
        if (cursor := page.next) is None:
            return


def read_account(database: Database, user: str, assets: Sequence[str]) -> Account:
    """Read all that is stored of *user*; consistent where the engine allows it."""
    balances, orders, trades = BalanceDAO(database), OrderDAO(database), AssetTransactionDAO(database)
    entries = every(lambda cursor: balances.history(user, limit=PAGE, after=cursor, consistent=True))
    placed = every(lambda cursor: orders.list(user, limit=PAGE, after=cursor, consistent=True))
    return Account(
        AssetBalanceDAO(database).portfolio(user),
        tuple(entry for entry in entries if entry.status is TransactionStatus.COMPLETED),
        tuple(trade for asset in assets for trade in read_trades(trades, user, asset)),
        tuple(placed),
    )


def read_trades(trades: AssetTransactionDAO, user: str, asset: str) -> Iterator[AssetTransaction]:
    """Yield a user's completed trades in one asset."""
    for trade in every(lambda cursor: trades.history(user, asset, limit=PAGE, after=cursor)):
        if trade.status is AssetTransactionStatus.COMPLETED:
            yield trade


def run_checks(accounts: Sequence[Account], acknowledged: Sequence[str]) -> list[Check]:
    """Check every account and the whole; *acknowledged* are the request ids that a client was told are done."""
    with exact_arithmetic():
        return [
            money_is_conserved(accounts),
            history_sums_to_balance(accounts),
            trades_sum_to_holdings(accounts),
            holds_match_open_orders(accounts),
            nothing_is_negative(accounts),
            orders_match_entries(accounts),
            acknowledged_exactly_once(accounts, acknowledged),
        ]


def money_is_conserved(accounts: Sequence[Account]) -> Check:
    """What came in from outside, plus what trading brought, is what is there."""
    outside = sum((e.amount for a in accounts for e in a.entries if e.type in FROM_OUTSIDE), Decimal(0))
    traded = sum((e.amount for a in accounts for e in a.entries if e.type not in FROM_OUTSIDE), Decimal(0))
    there = sum((account.portfolio.balance.posted for account in accounts), Decimal(0))
    detail = f"{outside:,.2f} paid in, {-traded:,.2f} net spent on assets, {there:,.2f} there"
    return Check("Money in = money out + money there", outside + traded == there, detail)


def history_sums_to_balance(accounts: Sequence[Account]) -> Check:
    """Each account's cash entries sum to its balance."""
    wrong = [
        account.portfolio.user
        for account in accounts
        if sum((entry.amount for entry in account.entries), Decimal(0)) != account.portfolio.balance.posted
    ]
    count = sum(len(account.entries) for account in accounts)
    return Check(
        "Every history sums to its balance", not wrong, f"{count} entries of {len(accounts)} accounts" + named(wrong)
    )


def trades_sum_to_holdings(accounts: Sequence[Account]) -> Check:
    """Each account's trades sum to what it holds of each asset."""
    wrong = []
    for account in accounts:
        traded: dict[str, Decimal] = defaultdict(Decimal)
        for trade in account.trades:
            traded[trade.asset] += trade.change
        held = {holding.asset: holding.posted for holding in account.portfolio.assets}
        if any(traded.get(asset, Decimal(0)) != held.get(asset, Decimal(0)) for asset in traded.keys() | held.keys()):
            wrong.append(account.portfolio.user)
    count = sum(len(account.trades) for account in accounts)
    return Check("Every trade is in a holding", not wrong, f"{count} trades" + named(wrong))


def holds_match_open_orders(accounts: Sequence[Account]) -> Check:
    """What is held is what the open orders reserved."""
    wrong, open_orders = [], 0
    for account in accounts:
        reserved: dict[str, Decimal] = defaultdict(Decimal)
        for order in account.orders:
            if order.status in HOLDING and order.hold is not None:
                open_orders += 1
                reserved[order.quote if order.type.side is OrderSide.BUY else order.asset] += order.hold
        held = {asset: amounts[1] for asset, amounts in account.holdings().items() if amounts[1]}
        if held != dict(reserved):
            wrong.append(account.portfolio.user)
    return Check("Held = reserved by open orders", not wrong, f"{open_orders} open orders" + named(wrong))


def nothing_is_negative(accounts: Sequence[Account]) -> Check:
    """No amount is below zero."""
    wrong = [a.portfolio.user for a in accounts if any(min(amounts) < 0 for amounts in a.holdings().values())]
    return Check(
        "Nothing is below zero", not wrong, f"{sum(len(a.holdings()) for a in accounts)} amounts" + named(wrong)
    )


def orders_match_entries(accounts: Sequence[Account]) -> Check:
    """Each completed order has its trade, and each trade its completed order."""
    wrong = []
    for account in accounts:
        completed = {order.fill or order.id for order in account.orders if order.status is OrderStatus.COMPLETED}
        if completed != {trade.id for trade in account.trades}:
            wrong.append(account.portfolio.user)
    count = sum(len(account.orders) for account in accounts)
    return Check("Completed orders = trades", not wrong, f"{count} orders" + named(wrong))


def acknowledged_exactly_once(accounts: Sequence[Account], acknowledged: Sequence[str]) -> Check:
    """What a client was told is done is there, once."""
    entries = [entry.id for account in accounts for entry in account.entries]
    orders = [order.id for account in accounts for order in account.orders]
    missing = set(acknowledged) - set(entries) - set(orders)
    doubled = len(entries) - len(set(entries)) + len(orders) - len(set(orders))
    detail = f"{len(acknowledged)} acknowledged requests, {len(missing)} missing, {doubled} doubled"
    return Check("What was acknowledged is there once", not missing and not doubled, detail)


def named(users: Sequence[str]) -> str:
    """Return the end of a detail that names the users with a fault."""
    return f"; wrong: {', '.join(users)}" if users else ""
