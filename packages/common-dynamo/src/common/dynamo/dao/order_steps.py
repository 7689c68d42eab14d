"""One step of one order: the write that takes it, and what it means when the database refuses.

The status table (:mod:`common.entities.order_states`) says from where a step may come; here it becomes the condition
``#st IN (sources)``, so the database refuses every other step. What a step does to the account is in the same
transaction as the status. A step that was taken is found again by its request id in the order's history.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Final

from common.dynamo.dao.instruction import Instruction, stale_request_id
from common.dynamo.dao.ledger_types import ACCOUNT, ORDER, ORDER_BOOK, ORDERS_BY_STATUS
from common.dynamo.dao.order_terms import steps
from common.dynamo.dao.outcomes import Applied
from common.dynamo.dao.postings import Posting, account_update
from common.dynamo.dao.reading import read_item
from common.dynamo.dao.records import Refusal, StoredOrder
from common.dynamo.dao.refusals import Refused, is_fence, refused_by_account, refused_of
from common.dynamo.dao.submission import CHECK_FAILED, transaction, unknown_outcome
from common.dynamo.dao.views import order_of
from common.dynamo.exceptions import (
    ConditionFailed,
    NotFound,
    OrderConflict,
    RequestIdReused,
    TransactionCanceled,
    Unavailable,
)
from common.dynamo.execution import Operation
from common.dynamo.requests import (
    And,
    Compare,
    Condition,
    Constant,
    In,
    Item,
    ListAppend,
    NotExists,
    Or,
    Path,
    PutItem,
    SetValue,
    Update,
    UpdateItem,
    WriteRequest,
)
from common.dynamo.value_classes import dataclass
from common.entities import Order, OrderSide, OrderStatus, OrderStep, QuoteAsset
from common.entities.order_states import can_reach
from common.exceptions import FieldError, InvalidInput

__all__ = ["Step", "book_facts", "has_fill", "is_expired_at", "is_open_at", "recall", "review", "take"]

_STATUS: Final = Path(("st",))
_HASH: Final = Path(("h",))
_HISTORY: Final = Path(("hist",))
_EXPIRY: Final = Path(("exp",))
_FILL: Final = Path(("fill",))
_ADD_VERSION: Final = ((Path(("ver",)), Constant({"N": "1"})),)
_OUT_OF_BOOK: Final = tuple(Path((name,)) for name in ("g2pk", "g2sk", "side"))


def is_open_at(now: datetime) -> Condition:
    """Return the condition that an order has not expired."""
    return Or((NotExists(_EXPIRY), Compare(">", _EXPIRY, ORDER.constant("expires_at", now))))


def is_expired_at(now: datetime) -> Condition:
    """Return the condition that an order has expired."""
    return Compare("<=", _EXPIRY, ORDER.constant("expires_at", now))


def has_fill(fill: str) -> Condition:
    """Return the condition that an order settles under *fill*."""
    return Compare("=", _FILL, Constant({"S": fill}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of one order, built once: the same bytes on every attempt."""

    table: str
    order: Order
    """As the caller saw it."""
    instruction: Instruction
    """Who takes the step, and the hash of the order's terms."""
    target: OrderStatus
    sources: frozenset[OrderStatus]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the stored order that the step sets."""
    guards: tuple[Condition, ...] = ()
    posting: Posting | None = None
    entry: PutItem | None = None
    """The journal entry that the step posts."""
    scale: int = 0
    """Decimal places of the order's asset, where the step may find it lacking."""

    @property
    def taken(self) -> OrderStep:
        """What the order's history will say."""
        [taken] = steps([self.target], self.instruction.at, self.instruction.id)
        return taken

    @property
    def request(self) -> WriteRequest:
        """The one write: an update of the order, or a transaction with the account and the journal."""
        update = UpdateItem(
            table=self.table,
            key=ORDER.item_key(self.order.user, self.order.id),
            update=self._update(),
            condition=And((self._comes_from_source, self._has_these_terms, *self.guards)),
            returns="ALL_NEW" if self.posting is None else "NONE",
        )
        if self.posting is None:
            return update
        last = self.instruction.id if self.entry is None else self.entry.item["id"]["S"]
        account = account_update(self.table, ACCOUNT.item_key(self.order.user), self.posting, last=last)
        return transaction(account, update) if self.entry is None else transaction(account, update, self.entry)

    @property
    def after(self) -> Order:
        """The order as the caller saw it, with this step taken."""
        taken = self.taken
        changes = {name: value for name, value in self.facts.items() if name in Order.model_fields}
        changes |= {"status": self.target, "history": (*self.order.history, taken), "updated_at": taken.at}
        return self.order.model_copy(update=changes)

    def _update(self) -> Update:
        status: list[tuple[Path, SetValue]] = [
            (_STATUS, ORDER.constant("status", self.target)),
            (_HISTORY, ListAppend(_HISTORY, ORDER.constant("history", (self.taken,)))),
        ]
        facts = [(ORDER.path(name), ORDER.constant(name, value)) for name, value in self.facts.items()]
        keys = [(Path((name,)), Constant(value)) for name, value in self._index_keys().items()]
        is_queued = self.target is OrderStatus.QUEUED
        return Update(set=(*status, *facts, *keys), remove=() if is_queued else _OUT_OF_BOOK, add=_ADD_VERSION)

    def _index_keys(self) -> Item:
        row = {**vars(self.order), **self.facts, "status": self.target}
        indexes = ORDER.mapped.indexes
        keys = {"g1pk": indexes[ORDERS_BY_STATUS.name].attributes(row)["g1pk"]}
        return keys | indexes[ORDER_BOOK.name].attributes(row) if self.target is OrderStatus.QUEUED else keys

    @property
    def _comes_from_source(self) -> Condition:
        return In(_STATUS, tuple(ORDER.constant("status", source) for source in sorted(self.sources)))

    @property
    def _has_these_terms(self) -> Condition:
        return Compare("=", _HASH, Constant({"S": self.instruction.input}))


def book_facts(side: OrderSide) -> Mapping[str, Any]:
    """Return the fields that put an order into the book."""
    return {"book_side": side}


def take(op: Operation, step: Step, cash: QuoteAsset) -> Applied[Order]:
    """Take *step*, or find that it has been taken: 1 round trip, and 1 more where a hold finds no funds.

    Args:
        op: The DAO call.
        step: What to do.
        cash: The asset of the account's cash.

    Raises:
        NotFound: There is no such order.
        OrderConflict: Its status, expiry or fill does not allow the step.
        LedgerRefusal: The account does not allow it.
        InvalidInput: The order differs from the stored one, or the id is stale and was never used.
    """
    if not step.instruction.is_fresh:
        return recall(op, step, cash, stale_request_id())
    try:
        result = op.execute(step.request)
    except ConditionFailed as refused:
        return _judge(step, refused.stored, cash, refused.unknown_attempts)
    except TransactionCanceled as refused:
        return _examine(op, step, refused, cash)
    if step.posting is None:
        return Applied(order_of(ORDER.decode(result.body["Attributes"])), replayed=False)
    return Applied(step.after, replayed=False)


def recall(op: Operation, step: Step, cash: QuoteAsset, otherwise: InvalidInput) -> Applied[Order]:
    """Return the order where *step* has been taken before: 1 read unit, 1 round trip, nothing written.

    Raises:
        NotFound: There is no such order.
        LedgerRefusal: This very step was refused, and failed the order; the same error as at first.
        InvalidInput: *otherwise*, where the step has not been tried.
    """
    stored = _stored(_read(op, step))
    if _taken_at(step, stored) is not None:
        return Applied(order_of(stored), replayed=True)
    _repeat_refusal(step, stored, cash)
    raise otherwise


def review(op: Operation, step: Step, cash: QuoteAsset) -> Applied[Order]:
    """Judge *step* as if it had been refused: 1 read unit, 1 round trip, nothing written. Same errors as :func:`take`."""
    return _judge(step, _read(op, step), cash, 0)


def _read(op: Operation, step: Step) -> Item | None:
    return read_item(op, step.table, ORDER.item_key(step.order.user, step.order.id))


def _examine(op: Operation, step: Step, refused: TransactionCanceled, cash: QuoteAsset) -> Applied[Order]:
    """Judge a refused transaction: by the order first, then the journal, then the account."""
    account, order, *entry = refused.reasons
    if order.code == CHECK_FAILED:
        return _judge(step, order.item, cash, refused.unknown_attempts)
    if any(reason.code == CHECK_FAILED for reason in entry):
        raise RequestIdReused
    if account.code != CHECK_FAILED or step.posting is None:
        raise refused
    no = refused_by_account(account.item, step.posting, cash=cash, scale=step.scale)
    if no is None:
        raise refused
    if step.target is OrderStatus.CONFIRMED and (no.reason is Refusal.FUNDS or refused.unknown_attempts):
        return _fail(op, step, no, cash, refused.unknown_attempts)
    raise no.error


def _fail(op: Operation, step: Step, no: Refused, cash: QuoteAsset, unknown_attempts: int) -> Applied[Order]:
    """Fail the order that found no funds for its hold, so that a late copy of the step cannot confirm it."""
    facts = {"refusal": no.reason, "figure": no.figure, "short": no.short}
    failed = Step(
        table=step.table,
        order=step.order,
        instruction=step.instruction,
        target=OrderStatus.FAILED,
        sources=step.sources,
        facts={name: value for name, value in facts.items() if value is not None},
    )
    try:
        op.execute(failed.request)
    except ConditionFailed as refused:
        return _judge(step, refused.stored, cash, unknown_attempts)
    except Unavailable as unavailable:
        raise unknown_outcome(unavailable) from unavailable
    raise no.error


def _judge(step: Step, item: Item | None, cash: QuoteAsset, unknown_attempts: int) -> Applied[Order]:
    """Say what a refused step means by the order that stands there."""
    stored = _stored(item)
    taken_at = _taken_at(step, stored)
    if taken_at is not None:
        is_ours = unknown_attempts > 0 and taken_at == step.instruction.at
        return Applied(order_of(stored), replayed=not is_ours)
    _repeat_refusal(step, stored, cash)
    if stored.input != step.instruction.input:
        message = "The order is not the one that is stored under its id. Read it again and repeat the step with that."
        raise InvalidInput(errors=(FieldError("/order", "order_differs", message),))
    raise OrderConflict(
        f"The order as it stands cannot become {step.target}; `current` tells its status, read it again for the rest.",
        current=stored.status,
        final=not can_reach(stored.status, step.target.sources),
    )


def _repeat_refusal(step: Step, stored: StoredOrder, cash: QuoteAsset) -> None:
    """Raise the refusal again that *step* met when it failed the order."""
    no = refused_of(stored, cash)
    if no is not None and stored.history[-1].by == step.instruction.id:
        raise no.error


def _stored(item: Item | None) -> StoredOrder:
    if item is None or is_fence(item):
        raise NotFound("The order does not exist.")
    return ORDER.decode(item)


def _taken_at(step: Step, stored: StoredOrder) -> datetime | None:
    """Return when *step* was taken by this request; whoever settles a fill settles the same one."""
    is_same_fill = step.entry is not None and stored.fill == step.order.fill
    for taken in stored.history:
        if taken.status is step.target and (is_same_fill or taken.by == step.instruction.id):
            return taken.at
    return None
