"""The writes by which orders come into being: account, order and journal entry in one transaction.

Pure: what is built here is sent by :mod:`common.dynamo.dao.submission`.
"""

from common.dynamo.dao.instruction import Instruction
from common.dynamo.dao.ledger import Ledger
from common.dynamo.dao.ledger_types import ENTRY, ORDER
from common.dynamo.dao.order_terms import OrderTerms
from common.dynamo.dao.postings import Posting
from common.dynamo.dao.records import StoredOrder
from common.dynamo.dao.refusals import Refused
from common.dynamo.dao.submission import Submission, claim
from common.dynamo.dao.views import order_of
from common.dynamo.requests import Item, PutItem
from common.entities import Order

__all__ = ["market_order", "pending_order", "queued_order"]


def market_order(ledger: Ledger, terms: OrderTerms, instruction: Instruction) -> Submission[Order]:
    """Return the transaction of a market order: swap cash and asset, put the entry, put the completed order.

    It takes its id in the journal and among the orders; a no is kept in the journal.
    """
    order = terms.completed(instruction)
    posting = terms.trade.swap()

    def tombstone(refused: Refused) -> PutItem:
        return claim(ledger.table, ENTRY.encode(terms.failed_entry(instruction, refused)))

    return Submission(
        instruction=instruction,
        cash=ledger.cash,
        scale=terms.asset.scale,
        account=ledger.account_update(instruction.user, posting, last=instruction.id),
        posting=posting,
        claims=(
            claim(ledger.table, ENTRY.encode(terms.entry(instruction))),
            claim(ledger.table, ORDER.encode(order)),
        ),
        answers=1,
        entry=order_of(order),
        read=_read,
        tombstone=tombstone,
    )


def queued_order(ledger: Ledger, terms: OrderTerms, instruction: Instruction) -> Submission[Order]:
    """Return the transaction of a limit order: take the hold, put the order into the book; a no is a FAILED order."""
    return _limit_order(ledger, terms, instruction, terms.queued(instruction), terms.trade.take_hold())


def pending_order(ledger: Ledger, terms: OrderTerms, instruction: Instruction) -> Submission[Order]:
    """Return the put of a limit order that waits for its confirmation; the account is not touched."""
    return _limit_order(ledger, terms, instruction, terms.pending(instruction), None)


def _limit_order(
    ledger: Ledger, terms: OrderTerms, instruction: Instruction, order: StoredOrder, posting: Posting | None
) -> Submission[Order]:
    account = None if posting is None else ledger.account_update(instruction.user, posting, last=instruction.id)

    def tombstone(refused: Refused) -> PutItem:
        return claim(ledger.table, ORDER.encode(terms.failed(instruction, refused)))

    return Submission(
        instruction=instruction,
        cash=ledger.cash,
        scale=terms.asset.scale,
        account=account,
        posting=posting or Posting.of(()),
        claims=(claim(ledger.table, ORDER.encode(order)),),
        answers=0,
        entry=order_of(order),
        read=_read,
        tombstone=tombstone,
    )


def _read(item: Item) -> Order:
    return order_of(ORDER.decode(item))
