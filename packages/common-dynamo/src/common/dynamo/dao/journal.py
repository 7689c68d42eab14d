"""Looking up what a request has left under its id, and giving an id up."""

from common.core.validation import normalise_user_name, sortable_request_id
from common.dynamo.dao.ledger import Ledger
from common.dynamo.dao.ledger_types import ENTRY
from common.dynamo.dao.outcomes import Resolution, ResolutionState
from common.dynamo.dao.reading import read_item
from common.dynamo.dao.records import JournalEntry
from common.dynamo.dao.refusals import FENCE, is_fence
from common.dynamo.dao.submission import claim
from common.dynamo.exceptions import ConditionFailed
from common.dynamo.execution import Operation
from common.dynamo.key_components import datetime_text
from common.dynamo.requests import Item, ItemKey, PutItem

__all__ = ["fence_at", "find_entry", "resolve_entry"]


def find_entry(op: Operation, ledger: Ledger, user: str, request_id: str) -> JournalEntry | None:
    """Return the entry of *request_id*, ``None`` where there is none: 1 read unit, 1 round trip, consistent."""
    item = read_item(op, ledger.table, _key(ledger, user, request_id))
    return None if item is None or is_fence(item) else ENTRY.decode(item)


def resolve_entry(
    op: Operation, ledger: Ledger, user: str, request_id: str, *, fence: bool
) -> Resolution[JournalEntry]:
    """Say what became of a request for cash or a market order; with *fence*, end it where it has not been applied."""
    key = _key(ledger, user, request_id)
    if not fence:
        item = read_item(op, ledger.table, key)
        return Resolution(ResolutionState.ABSENT) if item is None else _resolution(item)
    try:
        op.execute(fence_at(ledger, key))
    except ConditionFailed as taken:
        return _resolution(taken.stored)
    return Resolution(ResolutionState.FENCED)


def fence_at(ledger: Ledger, key: ItemKey) -> PutItem:
    """Return the put of a tombstone at *key* for a request of which nothing is known but its id."""
    at = {"S": datetime_text(ledger.now())}
    return claim(ledger.table, {**key, "_t": {"S": FENCE}, "_s": {"N": "1"}, "at": at})


def _resolution(item: Item) -> Resolution[JournalEntry]:
    if is_fence(item):
        return Resolution(ResolutionState.FENCED)
    entry = ENTRY.decode(item)
    if entry.refusal is not None:
        return Resolution(ResolutionState.FENCED)
    return Resolution(ResolutionState.APPLIED, entry)


def _key(ledger: Ledger, user: str, request_id: str) -> ItemKey:
    name = normalise_user_name(user, pointer="/user")
    return ledger.entry_key(name, sortable_request_id(request_id, pointer="/request_id"))
