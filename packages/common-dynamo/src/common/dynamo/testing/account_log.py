"""The log of an account: the stream of its item, replayed (ledger R5).

Every change of an account counts it (``seq``) and names the request behind it (``lst``), so the records of the account item
are the whole, ordered log of the account. Here it is replayed against the journal: no change is missing or came twice, each
does exactly what its entry says, the last image is the account as it stands, and what was acknowledged before another
request was made comes before it (real-time order).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from heapq import heappop, heappush
from typing import Any

from common.core.validation import exact_arithmetic
from common.dynamo.dao.ledger_types import ACCOUNT, ENTRY
from common.dynamo.dao.records import Account, JournalEntry
from common.dynamo.streams import StreamChange
from common.dynamo.testing.history import History, Told
from common.dynamo.testing.ledger import LedgerKit

__all__ = ["check_log"]

_CASH = "cash"


def check_log(
    ledger: LedgerKit, records: Iterable[Mapping[str, Any]], history: History, users: Collection[str]
) -> list[str]:
    """Return what is wrong with the logs of *users*, one sentence each; nothing where all of them fit.

    Args:
        ledger: On calls without faults, at rest.
        records: All records of the table's stream, of each item in order.
        history: What was asked and told.
        users: Whose accounts; their streams begin with the accounts.
    """
    changes = (ledger.db.decode_stream(record) for record in records)
    accounts = [typed for change in changes if change is not None and (typed := change.of(ACCOUNT)) is not None]
    return [what for user in users for what in _check_user(ledger, _log_of(user, accounts), history, user)]


def _log_of(user: str, changes: Iterable[StreamChange[Account]]) -> list[StreamChange[Account]]:
    """Return the changes of one account, in order; some engines record a write that changes nothing."""
    key = ACCOUNT.item_key(user)
    own = [change for change in changes if change.key == key and change.old != change.new]
    return sorted(own, key=lambda change: change.sequence)


def _check_user(ledger: LedgerKit, log: Sequence[StreamChange[Account]], history: History, user: str) -> Iterator[str]:
    entries = {entry.id: entry for entry in ledger.db.dao(ENTRY).query(None, consistent=True, user=user).all()}
    before: Account | None = None
    with exact_arithmetic():
        for change in log:
            yield from _check_change(before, change, entries)
            before = change.new
    if before != ledger.db.dao(ACCOUNT).get(user):
        yield "the log of an account does not end with the account as it stands"
    numbers = {change.new.last: change.new.sequence for change in log if change.new is not None}
    yield from _check_order(numbers, history.of(user))


def _check_change(
    before: Account | None, change: StreamChange[Account], entries: Mapping[str, JournalEntry]
) -> Iterator[str]:
    after = change.new
    if after is None:
        yield "an account was deleted"
        return
    if change.old != before:
        yield "the log of an account has a gap"
    if before is None:
        return
    if after.sequence != before.sequence + 1:
        yield "two changes of an account have one number, or a number is missing"
    entry = entries.get(after.last)
    posted = {} if entry is None else {_CASH: entry.cash or Decimal(0), **entry.assets}
    moved = _posted(after)
    for name, amount in _posted(before).items():
        moved[name] = moved.get(name, Decimal(0)) - amount
    if {name: amount for name, amount in moved.items() if amount} != {
        n: amount for n, amount in posted.items() if amount
    }:
        yield "a change of an account is not what its journal entry says"


def _posted(account: Account) -> dict[str, Decimal]:
    """Return what the account has, free and held together."""
    posted = {_CASH: account.cash + account.held, **account.assets}
    for name, amount in account.held_assets.items():
        posted[name] = posted.get(name, Decimal(0)) + amount
    return posted


def _check_order(numbers: Mapping[str, int], told: Iterable[Told]) -> Iterator[str]:
    """What was acknowledged before another request was first made has the lower number."""
    known = sorted((one for one in told if one.request.id in numbers), key=lambda one: one.asked_at)
    acknowledged: list[tuple[int, int]] = []
    highest = -1
    for one in known:
        while acknowledged and acknowledged[0][0] < one.asked_at:
            highest = max(highest, heappop(acknowledged)[1])
        number = numbers[one.request.id]
        if number < highest:
            yield "a request came before one that had been acknowledged when it was made"
        if one.done_at is not None:
            heappush(acknowledged, (one.done_at, number))
