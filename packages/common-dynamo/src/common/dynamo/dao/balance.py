"""Cash: deposits, withdrawals, balances and their history."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from common.core.utils import first_ulid, last_ulid
from common.core.validation import normalise_user_name, require_reason, require_scale
from common.dynamo.arguments import require_flag
from common.dynamo.dao.access_patterns import named
from common.dynamo.dao.accounts import read_account
from common.dynamo.dao.instruction import Instruction
from common.dynamo.dao.journal import find_entry, resolve_entry
from common.dynamo.dao.ledger import Ledger
from common.dynamo.dao.ledger_types import ENTRY
from common.dynamo.dao.outcomes import Applied, Resolution
from common.dynamo.dao.postings import CASH, Posting
from common.dynamo.dao.records import JournalEntry
from common.dynamo.dao.refunds import Refund, submit_refund
from common.dynamo.dao.refusals import Refused, tombstone_of
from common.dynamo.dao.submission import Submission, claim, submit
from common.dynamo.dao.timing import DeadlineLike, require_moment
from common.dynamo.dao.views import balance, balance_transaction
from common.dynamo.execution import Pattern
from common.dynamo.paging import Page
from common.dynamo.requests import Item, PutItem
from common.entities import USD, Balance, BalanceTransaction, Order, QuoteAsset, TransactionType
from common.exceptions import FieldError, InvalidAmount

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["BalanceDAO"]

_DEPOSIT: Final = named("BalanceDAO.deposit")
_WITHDRAW: Final = named("BalanceDAO.withdraw")
_ADJUST: Final = named("BalanceDAO.adjust")
_REFUND: Final = named("BalanceDAO.refund")
_GET: Final = named("BalanceDAO.get")
_ENTRY: Final = named("BalanceDAO.entry")
_RESOLVE: Final = named("BalanceDAO.resolve")
_HISTORY: Final = named("BalanceDAO.history")

_ADJUSTED: Final = TransactionType.SYSTEM_ADJUSTMENT


class BalanceDAO:
    """The cash of users. Safe to use from any thread.

    Every change is one conditional transaction on the account and the journal; the journal entry's key is the caller's
    request id, so a repeat finds it, however late it comes.
    """

    def __init__(self, db: "Database", *, cash: QuoteAsset = USD) -> None:
        """Work on *db*, with *cash* as the asset of every account."""
        self._ledger = Ledger(db, cash)
        self._cash = cash
        self._entries = db.dao(ENTRY)

    def deposit(
        self, user: str, amount: Decimal | int | str, *, request_id: str, deadline: DeadlineLike | None = None
    ) -> Applied[BalanceTransaction]:
        """Add *amount* to the user's balance, once per *request_id*.

        One ``TransactWriteItems`` call on two items: 1 round trip, 4 write units while both stay within 1 KB (Amazon
        DynamoDB Developer Guide, "Transactions: how it works": two underlying writes per item).

        Args:
            user: Owner of the balance.
            amount: In units of cash, above zero, with no more decimal places than its scale.
            request_id: The caller's idempotency key. A repeat returns the first result and writes nothing.
            deadline: Seconds for all attempts together, 2 by default.

        Returns:
            The journal entry, and whether it had been written by an earlier call.

        Raises:
            InvalidAmount: *amount* is not exact, not positive or too fine. Nothing was written.
            InvalidInput: *user* or *request_id* is malformed, or the id is more than 24 hours off and was never used.
            AccountNotFound: No account has this name. Nothing was written.
            AccountClosed: The account is closed. Nothing was written.
            RequestIdReused: *request_id* belongs to a different request. Nothing was written.
            RequestFenced: *request_id* was given up by :meth:`resolve`. Nothing was written.
            Unavailable: Nothing was written; repeat it with the same *request_id*.
            OutcomeUnknown: The answer was lost. Repeat it with the same *request_id*, or :meth:`resolve` it.
        """
        return self._move(_DEPOSIT, TransactionType.DEPOSIT, user, amount, request_id, deadline)

    def withdraw(
        self, user: str, amount: Decimal | int | str, *, request_id: str, deadline: DeadlineLike | None = None
    ) -> Applied[BalanceTransaction]:
        """Take *amount* from the user's balance, once per *request_id*, if it is there.

        Same as :meth:`deposit`, but 5 write units and 2 round trips where the balance does not suffice: the refusal is
        written down, so that a late copy of the request cannot be applied once there is more.

        Raises:
            InsufficientFunds: The balance is lower than *amount*. A repeat is told the same, whatever the balance then.
        """
        return self._move(_WITHDRAW, TransactionType.WITHDRAW, user, amount, request_id, deadline)

    def adjust(
        self,
        user: str,
        amount: Decimal | int | str,
        *,
        reason: str,
        request_id: str,
        deadline: DeadlineLike | None = None,
    ) -> Applied[BalanceTransaction]:
        """Correct the user's balance by *amount*, once per *request_id*: an entry of its own, SYSTEM_ADJUSTMENT.

        Entries never change, so a mistake is put right by another one. Same units, round trips and errors as
        :meth:`deposit`; taking away more than there is is refused as by :meth:`withdraw`.

        Args:
            user: Owner of the balance.
            amount: In units of cash, not zero: above zero gives, below zero takes.
            reason: Why, 1 to 200 characters; it is kept in the entry, for the next reader of the journal.
            request_id: The idempotency key.
            deadline: Seconds for all attempts together, 2 by default.

        Raises:
            InvalidInput: *amount* is zero, or *reason* is missing or too long.
            InsufficientFunds: The balance is lower than what is taken.
        """
        change = require_scale(amount, self._cash.scale, positive=False, pointer="/amount")
        if not change:
            message = "An adjustment by nothing is none. Give what to add, or below zero what to take."
            raise InvalidAmount(errors=(FieldError("/amount", "amount_zero", message),))
        why = require_reason(reason)
        instruction = self._ledger.instruct(user, request_id, _ADJUSTED.value, change, why)
        with self._ledger.operation(_ADJUST, request_id, deadline) as op:
            return submit(op, self._submission(instruction, _ADJUSTED, change, reason=why))

    def refund(
        self,
        order: Order,
        amount: Decimal | int | str,
        *,
        request_id: str,
        deadline: DeadlineLike | None = None,
    ) -> Applied[BalanceTransaction]:
        """Give back part, or all, of what a completed buy has cost, once per *request_id*: an entry ORDER_REFUND.

        One ``TransactWriteItems`` call on the account, the order and the journal: 1 round trip, 6 write units and 1 on
        an index. The order counts what was given back (``Order.refunded``), so all refunds together never exceed its
        total, however many ask at once.

        Args:
            order: Completed, as any read returned it.
            amount: In units of the order's quote asset, above zero.
            request_id: The idempotency key.
            deadline: Seconds for all attempts together, 2 by default.

        Raises:
            InvalidInput: *order* is no completed buy, or differs from the stored one.
            RefundTooLarge: Less than *amount* is left of the order's total. Nothing was written.
            NotFound: There is no such order. Nothing was written.
            AccountNotFound, AccountClosed, RequestIdReused, RequestFenced: Nothing was written.
        """
        back = require_scale(amount, self._cash.scale, pointer="/amount")
        refund = Refund.of(self._ledger, order, back, request_id)
        with self._ledger.operation(_REFUND, request_id, deadline) as op:
            return submit_refund(op, refund, self._cash)

    def get(self, user: str, *, deadline: DeadlineLike | None = None) -> Balance:
        """Return the user's balance: 1 read unit, 1 round trip, consistent.

        Raises:
            AccountNotFound: No account has this name.
            InvalidItem: What is stored does not fit the scale of cash.
        """
        name = normalise_user_name(user, pointer="/user")
        with self._ledger.operation(_GET, deadline=deadline) as op:
            return balance(read_account(op, self._ledger, name), self._cash)

    def entry(self, user: str, request_id: str, *, deadline: DeadlineLike | None = None) -> BalanceTransaction | None:
        """Return what *request_id* has posted, COMPLETED or FAILED; ``None`` where it has posted nothing.

        1 read unit, 1 round trip, consistent.
        """
        with self._ledger.operation(_ENTRY, deadline=deadline) as op:
            found = find_entry(op, self._ledger, user, request_id)
        return None if found is None else balance_transaction(found, self._cash)

    def resolve(
        self, user: str, request_id: str, *, fence: bool = False, deadline: DeadlineLike | None = None
    ) -> Resolution[BalanceTransaction]:
        """Find out what became of a request whose answer was lost: 1 read unit, 1 round trip, consistent.

        Args:
            user: Owner of the balance.
            request_id: The id of the deposit, withdrawal or market order.
            fence: Give the request up where it has not been applied: a tombstone takes its id, so that it never will
                be. 1 write unit instead of the read.
            deadline: Seconds for all attempts together, 2 by default.

        Returns:
            APPLIED with the entry; ABSENT, where a copy of the request may still land; FENCED, where none can: the
            request was refused or given up.
        """
        require_flag("fence", fence)
        with self._ledger.operation(_RESOLVE, request_id, deadline) as op:
            resolution = resolve_entry(op, self._ledger, user, request_id, fence=fence)
        entry = resolution.entry
        return Resolution(resolution.state, None if entry is None else balance_transaction(entry, self._cash))

    def history(
        self,
        user: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 20,
        after: str | None = None,
        consistent: bool = False,
        deadline: DeadlineLike | None = None,
    ) -> Page[BalanceTransaction]:
        """Return one page of the user's journal, newest first: 1 round trip, half a read unit per 4 KB.

        The order is that of the request ids, so of the time at which each request was made; every entry is on one page
        exactly, also while new ones arrive. Refused requests are listed as FAILED.

        Args:
            user: Owner of the balance.
            since: Only requests made at this time or later, to the millisecond.
            until: Only requests made at this time or earlier, to the millisecond.
            limit: Entries on the page, at most.
            after: ``next`` of the page before.
            consistent: Whether every acknowledged write is seen; twice the read units.
            deadline: Seconds for all attempts together, 2 by default.

        Raises:
            InvalidCursor: *after* is not a cursor of this query.
        """
        low = None if since is None else first_ulid(require_moment(since, pointer="/since"))
        high = None if until is None else last_ulid(require_moment(until, pointer="/until"))
        query = self._entries.query(None, consistent=consistent, user=normalise_user_name(user, pointer="/user"))
        page = (
            replace(query, pattern=_HISTORY)
            .between(low, high)
            .newest_first()
            .page(limit, after=after, deadline=deadline)
        )
        return page.map(self._read_entry)

    def _move(
        self,
        pattern: Pattern,
        kind: TransactionType,
        user: str,
        amount: Decimal | int | str,
        request_id: str,
        deadline: DeadlineLike | None,
    ) -> Applied[BalanceTransaction]:
        exact = require_scale(amount, self._cash.scale, pointer="/amount")
        change = exact if kind.is_credit else exact.copy_negate()
        instruction = self._ledger.instruct(user, request_id, kind.value, exact)
        with self._ledger.operation(pattern, request_id, deadline) as op:
            return submit(op, self._submission(instruction, kind, change))

    def _submission(
        self, instruction: Instruction, kind: TransactionType, change: Decimal, *, reason: str | None = None
    ) -> Submission[BalanceTransaction]:
        ledger, posting = self._ledger, Posting.of([(CASH, change)])
        entry = JournalEntry(
            user=instruction.user,
            id=instruction.id,
            kind=kind,
            input=instruction.input,
            posted_at=instruction.at,
            cash=change,
            reason=reason,
        )

        def tombstone(refused: Refused) -> PutItem:
            return claim(ledger.table, ENTRY.encode(tombstone_of(entry, refused)))

        return Submission(
            instruction=instruction,
            cash=self._cash,
            scale=self._cash.scale,
            account=ledger.account_update(instruction.user, posting, last=instruction.id),
            posting=posting,
            claims=(claim(ledger.table, ENTRY.encode(entry)),),
            answers=0,
            entry=balance_transaction(entry, self._cash),
            read=self._read,
            tombstone=tombstone,
        )

    def _read(self, item: Item) -> BalanceTransaction:
        return self._read_entry(ENTRY.decode(item))

    def _read_entry(self, entry: JournalEntry) -> BalanceTransaction:
        return balance_transaction(entry, self._cash)
