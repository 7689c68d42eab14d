"""New requests: sent once, applied once, answered the same for ever.

A submission is one conditional write that puts an item under the request's id beside its effect on the account. Whoever
finds that item there later, a retry, a restarted caller or a late copy, finds the answer in it. A no for lack of funds is
put there as well, as a tombstone, so that a late copy of the request cannot turn it into a yes (ledger section 6).
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

from common.dynamo.dao.instruction import Instruction, stale_request_id
from common.dynamo.dao.outcomes import Applied
from common.dynamo.dao.postings import Posting
from common.dynamo.dao.reading import read_item, read_items
from common.dynamo.dao.records import Refusal
from common.dynamo.dao.refusals import Refused, check_claim, refused_by_account
from common.dynamo.exceptions import (
    ConditionFailed,
    InvalidItem,
    OutcomeUnknown,
    Reason,
    TransactionCanceled,
    Unavailable,
)
from common.dynamo.execution import Operation
from common.dynamo.layout import PARTITION_PATH
from common.dynamo.requests import (
    Condition,
    Item,
    NotExists,
    PutItem,
    TransactPart,
    TransactWriteItems,
    UpdateItem,
    WriteRequest,
)
from common.dynamo.value_classes import dataclass
from common.entities import QuoteAsset

__all__ = ["CHECK_FAILED", "Submission", "claim", "refuse", "submit", "transaction", "unknown_outcome"]

E = TypeVar("E")

Refusing: TypeAlias = TransactionCanceled | ConditionFailed
"""What the engine answers when a condition does not hold."""

CHECK_FAILED: Final = "ConditionalCheckFailed"
"""The engine's code for a part whose condition did not hold."""
_ABSENT: Final[Condition] = NotExists(PARTITION_PATH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission(Generic[E]):
    """One new request, built once: the same bytes on every attempt."""

    instruction: Instruction
    cash: QuoteAsset
    scale: int
    """Decimal places of the asset in *posting* that is not cash."""
    account: UpdateItem | None
    """The effect on the account; ``None`` where there is none yet."""
    posting: Posting
    claims: tuple[PutItem, ...]
    """The items that take the id; each must be absent. In the order in which a repeat is judged by them."""
    answers: int
    """Which of *claims* is the entry that callers get."""
    entry: E
    """What this call answers where it is the first."""
    read: Callable[[Item], E]
    """Makes the entry of its stored item."""
    tombstone: Callable[[Refused], PutItem]
    """Makes the item that keeps a no."""

    @property
    def request(self) -> WriteRequest:
        """The one write."""
        return transaction(self.account, *self.claims) if self.account is not None else self.claims[0]


def claim(table: str, item: Item) -> PutItem:
    """Return the put of *item* that holds only where nothing has its key."""
    return PutItem(table=table, item=item, condition=_ABSENT)


def transaction(*parts: TransactPart) -> TransactWriteItems:
    """Return *parts* as one transaction, with a token made of its bytes; correctness never rests on the token."""
    token = hashlib.sha256(repr(parts).encode()).hexdigest()[:36]
    return TransactWriteItems(parts=parts, token=token)


def submit(op: Operation, submission: Submission[E]) -> Applied[E]:
    """Carry out *submission*, or find that it has been: 1 round trip, and 1 more where funds are lacking.

    Raises:
        LedgerRefusal: The ledger says no, now or at first.
        InvalidInput: The id is stale and was never used.
    """
    if not submission.instruction.is_fresh:
        return _recall(op, submission)
    try:
        op.execute(submission.request)
    except (TransactionCanceled, ConditionFailed) as refused:
        return _examine(op, submission, refused)
    return Applied(submission.entry, replayed=False)


def refuse(op: Operation, submission: Submission[E], no: Refused, *, after: Refusing | None = None) -> Applied[E]:
    """Write the no, unless the request has been carried out: 1 round trip.

    Args:
        op: The DAO call.
        submission: What is refused.
        no: Why.
        after: The refused attempt to carry it out, where there was one. A copy of that may still be on its way, so as
            long as the no is not written, the outcome is unknown.

    Raises:
        LedgerRefusal: The no; or the one that stood there already.
        InvalidInput: The id is stale and was never used.
        OutcomeUnknown: The no could not be written.
    """
    if not submission.instruction.is_fresh:
        return _recall(op, submission)
    try:
        op.execute(submission.tombstone(no))
    except ConditionFailed as taken:
        return _replay(op, submission, [taken.stored], 0 if after is None else after.unknown_attempts)
    except Unavailable as unavailable:
        if after is None:
            raise
        raise unknown_outcome(unavailable) from unavailable
    raise no.error


def _examine(op: Operation, submission: Submission[E], refused: Refusing) -> Applied[E]:
    """Judge a refused write by what stands there: the id first, then the account."""
    claims = refused.reasons[-len(submission.claims) :]
    if any(reason.code == CHECK_FAILED for reason in claims):
        return _replay(op, submission, [reason.item for reason in claims], refused.unknown_attempts)
    account: Reason = refused.reasons[0]
    if account.code != CHECK_FAILED:
        raise refused
    no = refused_by_account(account.item, submission.posting, cash=submission.cash, scale=submission.scale)
    if no is None:
        raise refused
    if no.reason is Refusal.ACCOUNT and not refused.unknown_attempts:
        raise no.error from None
    return refuse(op, submission, no, after=refused)


def _recall(op: Operation, submission: Submission[E]) -> Applied[E]:
    """Look a stale id up: it is a repeat, or an error of the caller's."""
    first = submission.claims[0]
    found = read_items(op, first.table, [_key_of(part) for part in submission.claims])
    if not any(found):
        raise stale_request_id()
    return _replay(op, submission, found, 0)


def _replay(
    op: Operation, submission: Submission[E], found: Sequence[Item | None], unknown_attempts: int
) -> Applied[E]:
    for item in found:
        if item is not None:
            check_claim(item, submission.instruction.input, submission.cash)
    wanted = submission.claims[submission.answers]
    answer = next((item for item in found if item is not None and _key_in(item) == _key_of(wanted)), None)
    if answer is None:
        answer = _read_answer(op, wanted)
    is_ours = unknown_attempts > 0 and answer == wanted.item
    return Applied(submission.read(answer), replayed=not is_ours)


def _read_answer(op: Operation, wanted: PutItem) -> Item:
    """Read the entry of a request that is known to have been carried out."""
    try:
        answer = read_item(op, wanted.table, _key_of(wanted))
    except Unavailable as unavailable:
        raise unknown_outcome(unavailable) from unavailable
    if answer is None:
        raise InvalidItem("A journal entry stands without its order; run the ledger's check.", entity="order")
    return answer


def unknown_outcome(unavailable: Unavailable) -> OutcomeUnknown:
    """Return what *unavailable* means where an attempt before it may have been applied."""
    return OutcomeUnknown(
        f"{unavailable} An earlier attempt may have been applied, or still may be. Repeat it with the same request id.",
        engine_code=unavailable.engine_code,
    )


def _key_of(part: PutItem) -> Item:
    return _key_in(part.item)


def _key_in(item: Item) -> Item:
    return {"pk": item["pk"], "sk": item["sk"]}
