"""The audit: accounts, journals and orders as they stand, against what every caller was told.

What must hold whatever happened (ledger R1 to R6): an account equals its journal, holds equal open orders, completed orders
equal their entries; a yes has left exactly one entry, a no has left none, what nobody knows has left one or none; and there
is no entry that nobody asked for.
"""

from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import Final

from common.dynamo.dao.ledger_types import ENTRY, ORDER
from common.dynamo.dao.records import JournalEntry, StoredOrder
from common.dynamo.exceptions import InvalidItem
from common.dynamo.testing.history import History, Outcome, Told
from common.dynamo.testing.ledger import LedgerKit
from common.entities import OrderStatus, TransactionStatus

__all__ = ["audit", "entry_ids"]

_ORDERS: Final = frozenset({"place"})
"""Kinds of requests that leave an order; the others leave a journal entry."""


def entry_ids(ledger: LedgerKit, user: str) -> frozenset[str]:
    """Return the ids of the journal entries of *user*; of those that opened the account, for :func:`audit`."""
    return frozenset(entry.id for entry in _entries(ledger, user))


def audit(ledger: LedgerKit, history: History, users: Collection[str], opening: Collection[str] = ()) -> list[str]:
    """Return everything that is wrong, one sentence each; nothing where the ledger is right.

    Args:
        ledger: On calls without faults, at rest.
        history: What was asked and told.
        users: Whose accounts to look at.
        opening: Ids of entries that were there before.
    """
    found = list(history.violations)
    for user in users:
        try:
            found += _audit_user(ledger, history, user, opening)
        except InvalidItem as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


def _audit_user(ledger: LedgerKit, history: History, user: str, opening: Collection[str]) -> Iterator[str]:
    for discrepancy in ledger.check(user):
        yield discrepancy.what
    entries = {entry.id: entry for entry in _entries(ledger, user)}
    orders = {order.id: order for order in ledger.db.dao(ORDER).query(None, consistent=True, user=user).all()}
    for told in history.of(user):
        yield from _audit_answer(told, entries, orders)
    yield from _audit_orders(history, orders, opening)
    fills = {order.fill for order in orders.values()}
    for id in entries.keys() - fills - set(opening):
        if (user, id) not in history.told:
            yield "there is a journal entry that nobody asked for"


def _entries(ledger: LedgerKit, user: str) -> list[JournalEntry]:
    return ledger.db.dao(ENTRY).query(None, consistent=True, user=user).all()


def _audit_answer(told: Told, entries: dict[str, JournalEntry], orders: dict[str, StoredOrder]) -> Iterator[str]:
    """Told yes: one effect. Told no: none. Not known: one or none."""
    kind = told.request.kind
    is_applied = _is_applied(told, entries, orders)
    known = set(told.outcomes) - {Outcome.UNKNOWN, Outcome.NOT_APPLIED}
    if len(known) > 1:
        yield f"{kind} was told both yes and no"
    elif known == {Outcome.OK} and not is_applied:
        yield f"{kind} was told yes and has no entry"
    elif known == {Outcome.REFUSED} and is_applied:
        yield f"{kind} was told no and has been applied"
    elif told.outcomes == [Outcome.NOT_APPLIED] and told.asks == 1 and is_applied:
        yield f"{kind} was told that it was not applied, and it was"


def _is_applied(told: Told, entries: dict[str, JournalEntry], orders: dict[str, StoredOrder]) -> bool:
    if told.request.kind in _ORDERS:
        order = orders.get(told.request.id)
        return order is not None and order.history[0].status is not OrderStatus.FAILED
    entry = entries.get(told.request.id)
    return entry is not None and entry.status is TransactionStatus.COMPLETED


def _audit_orders(history: History, orders: dict[str, StoredOrder], opening: Collection[str]) -> Iterator[str]:
    """Every order was asked for, and has gone from status to status as the table allows."""
    for order in orders.values():
        if (order.user, order.id) not in history.told and order.id not in opening:
            yield "there is an order that nobody asked for"
        statuses = [step.status for step in order.history]
        for before, after in pairwise(statuses):
            if not before.allows(after):
                yield f"an order went from {before} to {after}"
