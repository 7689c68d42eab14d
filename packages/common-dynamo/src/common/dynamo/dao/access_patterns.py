"""What every call of the ledger's DAOs sends and costs: one row per course that a call can take.

The DAOs take the names of their spans from here, ``common dynamo explain`` and the guides print it, IAM policies are made
of it, and a test measures every row on an engine (ledger R14). Items stay within 1 KB.
"""

from typing import Final

from common.dynamo.access import (
    AccessPattern,
    Trip,
    batch_get,
    delete,
    get,
    put,
    queries,
    query,
    transact,
    update,
)
from common.dynamo.dao.ledger_types import (
    ACCOUNT,
    ASSET,
    BOOK_SHARDS,
    EMAIL,
    ENTRY,
    ORDER,
    ORDER_BOOK,
    ORDERS_BY_STATUS,
    PRICE,
    PROFILE,
    TRADES,
)
from common.dynamo.execution import Pattern

__all__ = ["LEDGER_PATTERNS", "named"]

_row: Final = AccessPattern.of

# What is looked up now and then: an asset that the database object has not seen, and what became of a request id that is
# over a day old.
_ASSET: Final = get(ASSET)
_BOTH: Final = batch_get(ENTRY, ORDER)

_PAGE: Final = "a page of 20 items of 1 KB"
_CATALOGUE: Final = "up to 4 KB of assets"
_BOOK: Final = "up to 4 KB of each shard of the book"

_SWAP: Final = transact(update(ACCOUNT), put(ENTRY), put(ORDER))
_PLACE: Final = transact(update(ACCOUNT), put(ORDER))
_STEP: Final = transact(update(ACCOUNT), update(ORDER))

_USERS: Final = (
    _row("UserDAO.create", transact(put(PROFILE), put(EMAIL), put(ACCOUNT)), also=[get(PROFILE)], wcu=6),
    _row("UserDAO.authenticate", get(PROFILE), rcu=1),
    _row("UserDAO.get", get(PROFILE), rcu=1),
    _row("UserDAO.update", update(PROFILE), also=[get(PROFILE)], wcu=1),
    _row("UserDAO.set_password", update(PROFILE), also=[get(PROFILE)], wcu=1),
    _row("UserDAO.stored_password", get(PROFILE), rcu=1),
    _row("UserDAO.rehash", update(PROFILE), wcu=1),
    _row(
        "UserDAO.change_email",
        transact(put(EMAIL), delete(EMAIL), update(PROFILE)),
        also=[get(PROFILE)],
        wcu=6,
    ),
    _row(
        "UserDAO.close",
        get(ACCOUNT),
        transact(update(ACCOUNT), delete(EMAIL), update(PROFILE)),
        also=[get(PROFILE)],
        rcu=1,
        wcu=6,
    ),
)

_CASH: Final = (
    _row("BalanceDAO.deposit", transact(update(ACCOUNT), put(ENTRY)), also=[put(ENTRY), get(ENTRY)], wcu=4),
    _row("BalanceDAO.withdraw", transact(update(ACCOUNT), put(ENTRY)), also=[get(ENTRY)], wcu=4),
    _row("BalanceDAO.withdraw", transact(update(ACCOUNT), put(ENTRY)), put(ENTRY), case="refused", wcu=1),
    _row("BalanceDAO.adjust", transact(update(ACCOUNT), put(ENTRY)), also=[put(ENTRY), get(ENTRY)], wcu=4),
    _row(
        "BalanceDAO.refund",
        transact(update(ACCOUNT), update(ORDER), put(ENTRY)),
        also=[get(ENTRY)],
        wcu=6,
        indexes=1,
    ),
    _row("BalanceDAO.get", get(ACCOUNT), rcu=1),
    _row("BalanceDAO.entry", get(ENTRY), rcu=1),
    _row("BalanceDAO.resolve", get(ENTRY), rcu=1),
    _row("BalanceDAO.resolve", put(ENTRY), case="fence", wcu=1),
    _row("BalanceDAO.history", query(ENTRY), rcu=2.5, is_exact=False, note=_PAGE),
    _row("BalanceDAO.history", query(ENTRY), case="consistent", rcu=5, is_exact=False, note=_PAGE),
)

_ASSETS: Final = (
    _row("AssetBalanceDAO.portfolio", get(ACCOUNT), rcu=1),
    _row("AssetBalanceDAO.portfolio", get(ACCOUNT), query(ASSET), case="new assets", rcu=2, note=_CATALOGUE),
    _row("AssetBalanceDAO.get", get(ACCOUNT), also=[_ASSET], rcu=1),
    _row("AssetTransactionDAO.history", query(ENTRY, TRADES), rcu=2.5, is_exact=False, note=_PAGE),
    _row("AssetDAO.create", put(ASSET), also=[_ASSET], wcu=1),
    _row("AssetDAO.set_price", update(PRICE), also=[_ASSET, get(PRICE)], wcu=1),
    _row("AssetDAO.get", get(ASSET), rcu=1),
    _row("AssetDAO.price", get(PRICE), rcu=1),
    _row("AssetDAO.list", query(ASSET), rcu=0.5, note=_CATALOGUE),
    _row("AssetDAO.by_category", query(ASSET), rcu=0.5, note=_CATALOGUE),
)


def _market(name: str) -> tuple[AccessPattern, ...]:
    """The courses of a market order; the last one is that of terms that the order is refused by."""
    return (
        _row(name, _SWAP, also=[_ASSET, _BOTH, get(ORDER)], wcu=6, indexes=2),
        _row(name, _SWAP, put(ENTRY), case="refused", wcu=1),
        _row(name, put(ENTRY), case="refused by its terms", wcu=1),
    )


def _step(name: str, trip: Trip, *, indexes: float, wcu: float = 1, case: str = "") -> AccessPattern:
    """A step of an order; that of a request id over a day old is looked up."""
    return _row(name, trip, case=case, also=[get(ORDER)], wcu=wcu, indexes=indexes)


_ORDERS: Final = (
    *_market("OrderDAO.buy"),
    *_market("OrderDAO.sell"),
    _row("OrderDAO.place", _PLACE, also=[_ASSET, get(ORDER)], wcu=4, indexes=2),
    _row("OrderDAO.place", _PLACE, put(ORDER), case="refused", wcu=1, indexes=1),
    _row("OrderDAO.place", put(ORDER), case="refused by its terms", wcu=1, indexes=1),
    _row("OrderDAO.submit", put(ORDER), also=[_ASSET, get(ORDER)], wcu=1, indexes=1),
    _row("OrderDAO.confirm", _STEP, also=[_ASSET, get(ORDER)], wcu=4, indexes=2),
    _row("OrderDAO.confirm", _STEP, update(ORDER), case="refused", wcu=1, indexes=2),
    _step("OrderDAO.queue", update(ORDER), indexes=3),
    _step("OrderDAO.trigger", update(ORDER), indexes=3),
    _step("OrderDAO.claim", update(ORDER), indexes=2),
    _row(
        "OrderDAO.settle",
        transact(update(ACCOUNT), update(ORDER), put(ENTRY)),
        also=[_ASSET, get(ORDER)],
        wcu=6,
        indexes=3,
    ),
    _step("OrderDAO.cancel", _STEP, wcu=4, indexes=3),
    _step("OrderDAO.cancel", update(ORDER), case="pending", indexes=2),
    _step("OrderDAO.fail", _STEP, wcu=4, indexes=2),
    _step("OrderDAO.fail", update(ORDER), case="pending", indexes=2),
    _step("OrderDAO.expire", _STEP, wcu=4, indexes=3),
    _row("OrderDAO.get", get(ORDER), rcu=1),
    _row("OrderDAO.resolve", batch_get(ORDER, ENTRY), rcu=2),
    _row("OrderDAO.resolve", put(ORDER), case="fence", wcu=1),
    _row("OrderDAO.list", query(ORDER), rcu=2.5, is_exact=False, note=_PAGE),
    _row("OrderDAO.list", query(ORDER), case="consistent", rcu=5, is_exact=False, note=_PAGE),
    _row("OrderDAO.by_status", query(ORDER, ORDERS_BY_STATUS), rcu=2.5, is_exact=False, note=_PAGE),
    _row("OrderDAO.due", *queries(ORDER, ORDER_BOOK), rcu=0.5 * BOOK_SHARDS, note=_BOOK),
    _row("OrderDAO.overdue", *queries(ORDER, ORDER_BOOK), rcu=0.5 * BOOK_SHARDS, note=_BOOK),
)

LEDGER_PATTERNS: Final[tuple[AccessPattern, ...]] = (*_USERS, *_CASH, *_ASSETS, *_ORDERS)
"""All of them; the first row of a name is its usual course."""

_USUAL: Final = {row.name: row for row in reversed(LEDGER_PATTERNS)}


def named(name: str) -> Pattern:
    """Return the name and API operation for the spans and metrics of a DAO's method.

    Raises:
        KeyError: The ledger has no such access pattern; every one stands in the table above.
    """
    return _USUAL[name].pattern
