"""Refunds: what a completed buy has cost is given back, in part or in whole, and never more than that.

Pure but for the sending. The order item counts what was given back, and the condition compares that count with what the
order's total leaves; totals of completed orders never change, so the one the caller saw is the one that is stored.
"""

from decimal import Decimal
from typing import Final, Self

from common.core.validation import add_exactly
from common.dynamo.dao.input_hash import input_hash
from common.dynamo.dao.instruction import Instruction, stale_request_id
from common.dynamo.dao.ledger import Ledger
from common.dynamo.dao.ledger_types import ENTRY, ORDER
from common.dynamo.dao.order_terms import hashed_terms
from common.dynamo.dao.outcomes import Applied
from common.dynamo.dao.postings import CASH, Posting, amount_constant
from common.dynamo.dao.reading import read_item
from common.dynamo.dao.records import JournalEntry
from common.dynamo.dao.refusals import check_claim, is_fence, refused_by_account
from common.dynamo.dao.submission import CHECK_FAILED, claim, transaction
from common.dynamo.dao.views import balance_transaction
from common.dynamo.exceptions import NotFound, OrderConflict, RefundTooLarge, TransactionCanceled
from common.dynamo.execution import Operation
from common.dynamo.requests import (
    And,
    Compare,
    Condition,
    Constant,
    Item,
    NotExists,
    Or,
    Path,
    TransactWriteItems,
    Update,
    UpdateItem,
)
from common.dynamo.value_classes import dataclass
from common.entities import BalanceTransaction, Order, OrderSide, OrderStatus, QuoteAsset, TransactionType
from common.entities.order_states import can_reach
from common.exceptions import CommonError, FieldError, InvalidInput

__all__ = ["Refund", "submit_refund"]

_HASH: Final = Path(("h",))
_VERSION: Final = Path(("ver",))
_ONE: Final = Constant({"N": "1"})
_STATUS: Final = Path(("st",))
_TOTAL: Final = Path(("total",))
_REFUNDED: Final = Path(("refunded",))
_KIND: Final = TransactionType.ORDER_REFUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """One refund of one order, built once: the same bytes on every attempt."""

    ledger: Ledger
    order: Order
    """As the caller saw it: a completed buy."""
    total: Decimal
    """What it has cost."""
    amount: Decimal
    instruction: Instruction
    terms: str
    """Hash of the order's terms, as it is stored with the order."""

    @classmethod
    def of(cls, ledger: Ledger, order: Order, amount: Decimal, request_id: str) -> Self:
        """Check and normalise a request.

        Raises:
            InvalidInput: *order* is no completed buy, or *request_id* is malformed.
            RefundTooLarge: *amount* is more than the order's total.
        """
        if not isinstance(order, Order) or order.type.side is not OrderSide.BUY or order.total is None:
            message = "Only a completed buy can be refunded. Give the order as it is read once it is COMPLETED."
            raise InvalidInput(errors=(FieldError("/order", "order_not_refundable", message),))
        if amount > order.total:
            raise RefundTooLarge(refundable=_rest(order.total, order.refunded))
        terms = input_hash(*hashed_terms(order))
        instruction = ledger.instruct(order.user, request_id, _KIND.value, order.id, amount)
        return cls(ledger=ledger, order=order, total=order.total, amount=amount, instruction=instruction, terms=terms)

    @property
    def posting(self) -> Posting:
        """What it does to the account."""
        return Posting.of([(CASH, self.amount)])

    @property
    def entry(self) -> JournalEntry:
        """What it leaves in the journal."""
        instruction = self.instruction
        return JournalEntry(
            user=instruction.user,
            id=instruction.id,
            kind=_KIND,
            input=instruction.input,
            posted_at=instruction.at,
            cash=self.amount,
            order=self.order.id,
        )

    @property
    def request(self) -> TransactWriteItems:
        """The one write."""
        ledger, user = self.ledger, self.instruction.user
        counted = UpdateItem(
            table=ledger.table,
            key=ledger.order_key(user, self.order.id),
            update=Update(add=((_REFUNDED, amount_constant(self.amount)), (_VERSION, _ONE))),
            condition=And((self._is_this_order, Or((NotExists(_REFUNDED), self._leaves_enough)))),
        )
        account = ledger.account_update(user, self.posting, last=self.instruction.id)
        return transaction(account, counted, claim(ledger.table, ENTRY.encode(self.entry)))

    @property
    def _is_this_order(self) -> Condition:
        return And(
            (
                Compare("=", _STATUS, ORDER.constant("status", OrderStatus.COMPLETED)),
                Compare("=", _HASH, Constant({"S": self.terms})),
                Compare("=", _TOTAL, amount_constant(self.total)),
            )
        )

    @property
    def _leaves_enough(self) -> Condition:
        return Compare("<=", _REFUNDED, amount_constant(_rest(self.total, self.amount)))


def submit_refund(op: Operation, refund: Refund, cash: QuoteAsset) -> Applied[BalanceTransaction]:
    """Carry out *refund*, or find that it has been: 1 round trip.

    Raises:
        RefundTooLarge: Less than its amount is left. That is final: what was refunded only grows.
        OrderConflict: The order is not completed.
        NotFound: There is no such order.
        InvalidInput: The order differs from the stored one, or the id is stale and was never used.
        LedgerRefusal: The account does not allow it, or the id belongs to another request.
    """
    if not refund.instruction.is_fresh:
        return _recall(op, refund, cash)
    try:
        op.execute(refund.request)
    except TransactionCanceled as refused:
        return _examine(refund, refused, cash)
    return Applied(balance_transaction(refund.entry, cash), replayed=False)


def _recall(op: Operation, refund: Refund, cash: QuoteAsset) -> Applied[BalanceTransaction]:
    ledger, instruction = refund.ledger, refund.instruction
    item = read_item(op, ledger.table, ledger.entry_key(instruction.user, instruction.id))
    if item is None:
        raise stale_request_id()
    return _repeat(refund, item, cash, 0)


def _examine(refund: Refund, refused: TransactionCanceled, cash: QuoteAsset) -> Applied[BalanceTransaction]:
    """Judge a refused transaction: by the journal first, then the order, then the account."""
    account, order, entry = refused.reasons
    if entry.code == CHECK_FAILED and entry.item is not None:
        return _repeat(refund, entry.item, cash, refused.unknown_attempts)
    if order.code == CHECK_FAILED:
        raise _refused_by_order(refund, order.item)
    no = refused_by_account(account.item, refund.posting, cash=cash, scale=cash.scale)
    raise refused if no is None else no.error


def _repeat(refund: Refund, item: Item, cash: QuoteAsset, unknown_attempts: int) -> Applied[BalanceTransaction]:
    check_claim(item, refund.instruction.input, cash)
    stored = ENTRY.decode(item)
    is_ours = unknown_attempts > 0 and stored == refund.entry
    return Applied(balance_transaction(stored, cash), replayed=not is_ours)


def _refused_by_order(refund: Refund, item: Item | None) -> CommonError:
    if item is None or is_fence(item):
        return NotFound("The order does not exist.")
    stored = ORDER.decode(item)
    if stored.status is not OrderStatus.COMPLETED:
        is_final = not can_reach(stored.status, frozenset({OrderStatus.COMPLETED}))
        return OrderConflict("Only a completed order can be refunded.", current=stored.status, final=is_final)
    if stored.input != refund.terms or stored.total != refund.total:
        message = "The order is not the one that is stored under its id. Read it again and repeat the refund with that."
        return InvalidInput(errors=(FieldError("/order", "order_differs", message),))
    return RefundTooLarge(refundable=_rest(refund.total, stored.refunded))


def _rest(total: Decimal, taken: Decimal | None) -> Decimal:
    return total if taken is None else add_exactly(total, taken.copy_negate())
