"""Orders: market orders in one write, limit orders by way of the book, and every step between."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from common.core.validation import normalise_user_name, require_asset_id, require_request_id
from common.dynamo.arguments import require_flag
from common.dynamo.dao import order_workflow as workflow
from common.dynamo.dao.access_patterns import named
from common.dynamo.dao.arguments import require_given
from common.dynamo.dao.instruction import Instruction
from common.dynamo.dao.ledger import Ledger
from common.dynamo.dao.ledger_types import ORDER, ORDER_BOOK, ORDERS_BY_STATUS
from common.dynamo.dao.order_lookup import find_order, resolve_order
from common.dynamo.dao.order_steps import Step, is_expired_at, recall, review, take
from common.dynamo.dao.order_submissions import market_order, pending_order, queued_order
from common.dynamo.dao.order_terms import OrderTerms, hashed_terms, limit_of, market_terms, price_from
from common.dynamo.dao.outcomes import Applied, Resolution
from common.dynamo.dao.records import StoredOrder
from common.dynamo.dao.submission import Submission, refuse, submit
from common.dynamo.dao.timing import DeadlineLike, require_moment
from common.dynamo.dao.trades import Trade
from common.dynamo.dao.views import order_of, price_at
from common.dynamo.execution import Operation, Pattern
from common.dynamo.paging import Page
from common.dynamo.queries import EntityQuery
from common.entities import USD, Order, OrderCreate, OrderStatus, OrderType, QuoteAsset
from common.exceptions import FieldError, InvalidInput

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["OrderDAO"]

_BUY: Final = named("OrderDAO.buy")
_SELL: Final = named("OrderDAO.sell")
_PLACE: Final = named("OrderDAO.place")
_SUBMIT: Final = named("OrderDAO.submit")
_CONFIRM: Final = named("OrderDAO.confirm")
_QUEUE: Final = named("OrderDAO.queue")
_TRIGGER: Final = named("OrderDAO.trigger")
_CLAIM: Final = named("OrderDAO.claim")
_SETTLE: Final = named("OrderDAO.settle")
_CANCEL: Final = named("OrderDAO.cancel")
_FAIL: Final = named("OrderDAO.fail")
_EXPIRE: Final = named("OrderDAO.expire")
_GET: Final = named("OrderDAO.get")
_RESOLVE: Final = named("OrderDAO.resolve")
_LIST: Final = named("OrderDAO.list")
_BY_STATUS: Final = named("OrderDAO.by_status")
_DUE: Final = named("OrderDAO.due")
_OVERDUE: Final = named("OrderDAO.overdue")


class OrderDAO:
    """Orders and what they do to accounts. Safe to use from any thread.

    The request id of an order becomes its id. A step takes the order as the caller saw it last; the database compares
    its terms and its status, and refuses a step that the status table does not allow, whatever the caller saw.

    Every mutation takes *request_id*, the caller's idempotency key (ULID or UUIDv7, made and stored before the call),
    and *deadline*, seconds for all attempts together, 2 by default. Every mutation may raise ``InvalidInput`` (a
    malformed argument, or an id more than 24 hours off that was never used), ``Unavailable`` (nothing was written;
    repeat it with the same id) and ``OutcomeUnknown`` (the answer was lost; repeat it with the same id, or
    :meth:`resolve` it). The first use of an asset by a database object costs 1 read unit and 1 round trip more.
    """

    def __init__(self, db: "Database", *, cash: QuoteAsset = USD) -> None:
        """Work on *db*, with *cash* as what orders are paid in."""
        self._ledger = Ledger(db, cash)
        self._orders = db.dao(ORDER)

    # New orders

    def buy(
        self,
        user: str,
        asset: str,
        quantity: Decimal | int | str,
        *,
        price: Decimal | int | str,
        request_id: str,
        price_bound: Decimal | int | str | None = None,
        deadline: DeadlineLike | None = None,
    ) -> Applied[Order]:
        """Buy *quantity* of *asset* at *price*, at once.

        One ``TransactWriteItems`` call on account, order and journal entry: 1 round trip, 6 write units and 2 for the
        indexes while all stay within 1 KB. A refusal by the ledger costs 1 write unit and 1 round trip more.

        Args:
            user: Who buys.
            asset: Id of the asset.
            quantity: In units of the asset, above zero, with no more decimal places than its scale.
            price: In cash for one unit, as quoted to the caller; recorded, not part of the request's identity: a repeat
                at another price is the same request.
            request_id: The idempotency key, and the id of the order and of its journal entry.
            price_bound: Refuse the order where *price* is higher. Part of the request's identity.
            deadline: See the class.

        Returns:
            The completed order. Its ``total`` is price times quantity, rounded up to the scale of cash.

        Raises:
            InvalidAmount: A number is not exact, not positive or too fine. Nothing was written.
            NotFound: There is no such asset.
            InsufficientFunds: The account holds less cash than the total. A repeat is told the same.
            PriceOutOfBounds: *price* is worse than *price_bound*. A repeat is told the same.
            OrderTooSmall: Price times quantity is below the asset's minimum order value. A repeat is told the same.
            AssetInactive: The asset takes no new orders. A repeat is told the same.
            AccountNotFound, AccountClosed, RequestIdReused, RequestFenced: Nothing was written.
        """
        return self._market(_BUY, OrderType.MARKET_BUY, user, asset, quantity, price, request_id, price_bound, deadline)

    def sell(
        self,
        user: str,
        asset: str,
        quantity: Decimal | int | str,
        *,
        price: Decimal | int | str,
        request_id: str,
        price_bound: Decimal | int | str | None = None,
        deadline: DeadlineLike | None = None,
    ) -> Applied[Order]:
        """Sell *quantity* of *asset* at *price*, at once.

        Same as :meth:`buy`, the other way round: the account must hold the asset, the proceeds are rounded down, and
        *price_bound* is the lowest price to accept.
        """
        return self._market(
            _SELL, OrderType.MARKET_SELL, user, asset, quantity, price, request_id, price_bound, deadline
        )

    def place(
        self, user: str, wanted: OrderCreate, *, request_id: str, deadline: DeadlineLike | None = None
    ) -> Applied[Order]:
        """Put a limit order into the book and reserve what it needs.

        One ``TransactWriteItems`` call on account and order: 1 round trip, 4 write units and 2 for the indexes. A buy
        reserves limit times quantity, rounded up; a sale reserves the quantity. A refusal for lack of funds is kept as
        a FAILED order under the id: 1 write unit, 1 for the index and 1 round trip more.

        Returns:
            The order, QUEUED; of a repeat, in its present state.

        Raises:
            InvalidAmount: A number is too fine, the value has more than 30 digits, or the limit more than 12 integer
                digits or 18 decimal places.
            NotFound: There is no such asset.
            InsufficientFunds: The account holds less than the hold. A repeat is told the same.
            OrderTooSmall: Limit times quantity is below the asset's minimum order value.
            AssetInactive: The asset takes no new orders.
            AccountNotFound, AccountClosed, RequestIdReused, RequestFenced: Nothing was written.
        """
        return self._limit(_PLACE, queued_order, user, wanted, request_id, deadline)

    def submit(
        self, user: str, wanted: OrderCreate, *, request_id: str, deadline: DeadlineLike | None = None
    ) -> Applied[Order]:
        """Store a limit order as PENDING, for a service that confirms orders by a step of its own.

        One ``PutItem`` call: 1 round trip, 1 write unit and 1 for the index. Nothing is reserved, and nobody looks at
        the account, until :meth:`confirm`. Otherwise the same as :meth:`place`.
        """
        return self._limit(_SUBMIT, pending_order, user, wanted, request_id, deadline)

    # Steps

    def confirm(self, order: Order, *, request_id: str, deadline: DeadlineLike | None = None) -> Applied[Order]:
        """Take a PENDING order to CONFIRMED and reserve what it needs: 1 round trip, 4 write units and 2 for the index.

        Raises:
            InsufficientFunds: The account holds less than the hold. The order is FAILED, so that a late copy of this
                step cannot confirm it; 1 round trip, 1 write unit and 2 for the index more.
            OrderConflict, NotFound, AccountNotFound, AccountClosed: Nothing was written.
        """
        require_given(order, Order, pointer="/order")
        require_request_id(request_id, pointer="/request_id")
        with self._ledger.operation(_CONFIRM, request_id, deadline) as op:
            asset = self._ledger.catalogue.asset(op, order.asset)
            return take(op, workflow.confirm(self._ledger, order, asset, request_id), self._ledger.cash)

    def queue(self, order: Order, *, request_id: str, deadline: DeadlineLike | None = None) -> Applied[Order]:
        """Take a CONFIRMED order to QUEUED, into the book: 1 round trip, 1 write unit and 3 for the indexes.

        Raises:
            OrderConflict, NotFound: Nothing was written.
        """
        return self._take(_QUEUE, workflow.queue, order, request_id, deadline)

    def trigger(self, order: Order, *, request_id: str, deadline: DeadlineLike | None = None) -> Applied[Order]:
        """Take a QUEUED order to TRIGGERED, out of the book: 1 round trip, 1 write unit and 3 for the indexes.

        Raises:
            OrderConflict: It is not QUEUED, or has expired (then *current* is QUEUED: :meth:`expire` it).
            NotFound: There is no such order.
        """
        return self._take(_TRIGGER, workflow.trigger, order, request_id, deadline)

    def claim(self, order: Order, *, request_id: str, deadline: DeadlineLike | None = None) -> Applied[Order]:
        """Take a TRIGGERED or CONFIRMED order to PROCESSING: 1 round trip, 1 write unit and 2 for the index.

        The order returned has a ``fill``, the id under which it will be settled. Whoever settles that order, this
        worker or another after a crash, repeats the same write.

        Raises:
            OrderConflict, NotFound: Nothing was written.
        """
        return self._take(_CLAIM, workflow.claim_fill, order, request_id, deadline)

    def settle(
        self,
        order: Order,
        *,
        price: Decimal | int | str,
        request_id: str,
        deadline: DeadlineLike | None = None,
    ) -> Applied[Order]:
        """Take a PROCESSING order to COMPLETED: pay from the hold, return the rest, credit the other side.

        One ``TransactWriteItems`` call on account, order and journal entry: 1 round trip, 6 write units and 3 for the
        indexes. A repeat is recognised by the order's ``fill``, whoever sends it and at whatever price.

        Args:
            order: As :meth:`claim` returned it.
            price: In cash for one unit, no worse than the order's limit.
            request_id: The idempotency key of this step.
            deadline: See the class.

        Raises:
            InvalidInput: *price* is worse than the limit. Nothing was written.
            OrderConflict: The order is not PROCESSING, or not under this ``fill``. Nothing was written.
            NotFound: There is no such order.
        """
        ledger = self._ledger
        require_given(order, Order, pointer="/order")
        require_request_id(request_id, pointer="/request_id")
        exact = price_at(price_from(price, pointer="/price"), ledger.cash.scale)
        with ledger.operation(_SETTLE, request_id, deadline) as op:
            if order.fill is None:
                return review(op, workflow.settle_unclaimed(ledger, order, request_id), ledger.cash)
            asset = ledger.catalogue.asset(op, order.asset)
            trade = Trade(
                side=order.type.side,
                asset=order.asset,
                quantity=order.quantity,
                price=exact,
                cash_scale=ledger.cash.scale,
            )
            if order.limit_price is not None and trade.is_worse_than(order.limit_price):
                unclaimed = workflow.settle_unclaimed(ledger, order, request_id)
                return recall(op, unclaimed, ledger.cash, _worse_than_limit())
            return take(op, workflow.settle(ledger, order, order.fill, trade, asset, request_id), ledger.cash)

    def cancel(self, order: Order, *, request_id: str, deadline: DeadlineLike | None = None) -> Applied[Order]:
        """Cancel a PENDING, CONFIRMED or QUEUED order and release its hold.

        1 round trip; 4 write units and up to 3 for the indexes. A PENDING order holds nothing: 1 write unit and 2.

        Raises:
            OrderConflict: The order is past cancelling, or has moved since it was seen (then *final* is false: read it
                again). Nothing was written.
            NotFound: There is no such order.
        """
        return self._take(_CANCEL, workflow.cancel, order, request_id, deadline)

    def fail(self, order: Order, *, request_id: str, deadline: DeadlineLike | None = None) -> Applied[Order]:
        """Give up a PENDING, CONFIRMED, TRIGGERED or PROCESSING order and release its hold. Same as :meth:`cancel`."""
        return self._take(_FAIL, workflow.fail, order, request_id, deadline)

    def expire(self, order: Order, *, request_id: str, deadline: DeadlineLike | None = None) -> Applied[Order]:
        """Take a QUEUED order whose time is over to EXPIRED and release its hold. Same cost as :meth:`cancel`.

        The time is the one stored in the order, compared by the database with this process's clock.

        Raises:
            OrderConflict: It is not QUEUED, or its time is not over (then *current* is QUEUED). Nothing was written.
            NotFound: There is no such order.
        """
        return self._take(_EXPIRE, workflow.expire, order, request_id, deadline)

    # Reads

    def get(self, user: str, order_id: str, *, deadline: DeadlineLike | None = None) -> Order | None:
        """Return the order, ``None`` where there is none: 1 read unit, 1 round trip, consistent."""
        with self._ledger.operation(_GET, deadline=deadline) as op:
            return find_order(op, self._ledger, user, order_id)

    def resolve(
        self, user: str, request_id: str, *, fence: bool = False, deadline: DeadlineLike | None = None
    ) -> Resolution[Order]:
        """Find out what became of an order whose answer was lost: 2 read units, 1 round trip, consistent.

        Args:
            user: Who ordered.
            request_id: The id of the order.
            fence: Give the request up where it has not been applied: a tombstone takes its id, so that it never will
                be. 1 write unit instead of the reads.
            deadline: See the class.

        Returns:
            APPLIED with the order in its present state; ABSENT, where a copy of the request may still land; FENCED,
            where none can: the request was refused or given up.
        """
        require_flag("fence", fence)
        with self._ledger.operation(_RESOLVE, request_id, deadline) as op:
            return resolve_order(op, self._ledger, user, request_id, fence=fence)

    def list(
        self,
        user: str,
        *,
        limit: int = 20,
        after: str | None = None,
        consistent: bool = False,
        deadline: DeadlineLike | None = None,
    ) -> Page[Order]:
        """Return one page of the user's orders, newest first: 1 round trip, half a read unit per 4 KB.

        Args:
            user: Whose orders.
            limit: Orders on the page, at most.
            after: ``next`` of the page before.
            consistent: Whether every acknowledged write is seen; twice the read units.
            deadline: See the class.

        Raises:
            InvalidCursor: *after* is not a cursor of this query.
        """
        query = self._orders.query(None, consistent=consistent, user=normalise_user_name(user, pointer="/user"))
        query = replace(query, pattern=_LIST)
        return query.newest_first().page(limit, after=after, deadline=deadline).map(order_of)

    def by_status(
        self,
        user: str,
        status: OrderStatus,
        *,
        limit: int = 20,
        after: str | None = None,
        deadline: DeadlineLike | None = None,
    ) -> Page[Order]:
        """Return one page of the user's orders in *status*, newest first: 1 round trip, half a read unit per 4 KB.

        Read from an index, so a step may show a moment later than it was taken. Same arguments and errors as
        :meth:`list`.
        """
        name = normalise_user_name(user, pointer="/user")
        query = replace(self._orders.query(ORDERS_BY_STATUS, user=name, status=status), pattern=_BY_STATUS)
        return query.newest_first().page(limit, after=after, deadline=deadline).map(order_of)

    def due(
        self,
        asset: str,
        type: OrderType,
        price: Decimal | int | str,
        *,
        limit: int = 100,
        after: str | None = None,
        deadline: DeadlineLike | None = None,
    ) -> Page[Order]:
        """Return queued limit orders whose limit *price* has reached, the best limit first.

        A round trip and half a read unit per 4 KB for each of the book's four shards, which are asked at the same time. Read
        from an index: each order is checked by its next step, which is :meth:`trigger`, or :meth:`expire` where its time is over (``Order.is_expired``).

        Args:
            asset: Id of the asset.
            type: LIMIT_BUY, for limits at or above *price*, or LIMIT_SELL, for limits at or below it.
            price: In cash for one unit, with 12 integer digits and 18 decimal places at most.
            limit: Orders on the page, at most.
            after: ``next`` of the page before.
            deadline: See the class.

        Raises:
            InvalidInput: *type* is that of a market order.
            InvalidCursor: *after* is not a cursor of this query.
        """
        exact = price_from(price, pointer="/price")
        is_buy = type is OrderType.LIMIT_BUY
        book = self._book(_DUE, asset, type)
        reached = book.between(exact, None).newest_first() if is_buy else book.between(None, exact)
        return reached.page(limit, after=after, deadline=deadline).map(order_of)

    def overdue(
        self,
        asset: str,
        type: OrderType,
        as_of: datetime,
        *,
        limit: int = 100,
        after: str | None = None,
        deadline: DeadlineLike | None = None,
    ) -> Page[Order]:
        """Return queued limit orders whose time is over at *as_of*, for :meth:`expire`; reads that side of the book.

        Half a read unit per 4 KB of the book, a round trip per shard and MB. *as_of* is aware, and the same on every page.
        Otherwise the same as :meth:`due`.
        """
        moment = require_moment(as_of, pointer="/as_of")
        query = self._book(_OVERDUE, asset, type).where(is_expired_at(moment))
        return query.page(limit, after=after, deadline=deadline).map(order_of)

    # Inside

    def _market(
        self,
        pattern: Pattern,
        type: OrderType,
        user: str,
        asset: str,
        quantity: Decimal | int | str,
        price: Decimal | int | str,
        request_id: str,
        price_bound: Decimal | int | str | None,
        deadline: DeadlineLike | None,
    ) -> Applied[Order]:
        quoted = price_at(price_from(price, pointer="/price"), self._ledger.cash.scale)
        wanted = market_terms(type, asset, quantity, price_bound)
        instruction = self._ledger.instruct(user, request_id, *hashed_terms(wanted))
        with self._ledger.operation(pattern, request_id, deadline) as op:
            terms = OrderTerms.of(wanted, self._ledger.catalogue.asset(op, wanted.asset), self._ledger.cash, quoted)
            return self._send(op, terms, market_order(self._ledger, terms, instruction))

    def _limit(
        self,
        pattern: Pattern,
        build: Callable[[Ledger, OrderTerms, Instruction], Submission[Order]],
        user: str,
        wanted: OrderCreate,
        request_id: str,
        deadline: DeadlineLike | None,
    ) -> Applied[Order]:
        limit = limit_of(require_given(wanted, OrderCreate, pointer="/wanted"))
        instruction = self._ledger.instruct(user, request_id, *hashed_terms(wanted))
        with self._ledger.operation(pattern, request_id, deadline) as op:
            terms = OrderTerms.of(wanted, self._ledger.catalogue.asset(op, wanted.asset), self._ledger.cash, limit)
            return self._send(op, terms, build(self._ledger, terms, instruction))

    def _send(self, op: Operation, terms: OrderTerms, submission: Submission[Order]) -> Applied[Order]:
        refused = terms.refused
        return submit(op, submission) if refused is None else refuse(op, submission, refused)

    def _take(
        self,
        pattern: Pattern,
        build: Callable[[Ledger, Order, str], Step],
        order: Order,
        request_id: str,
        deadline: DeadlineLike | None,
    ) -> Applied[Order]:
        step = build(self._ledger, require_given(order, Order, pointer="/order"), request_id)
        with self._ledger.operation(pattern, request_id, deadline) as op:
            return take(op, step, self._ledger.cash)

    def _book(self, pattern: Pattern, asset: str, type: OrderType) -> EntityQuery[StoredOrder]:
        if not require_given(type, OrderType, pointer="/type").is_limit:
            raise InvalidInput(errors=(FieldError("/type", "order_terms", "Only limit orders wait for a price."),))
        name = require_asset_id(asset, pointer="/asset")
        query = self._orders.query(ORDER_BOOK, asset=name, book_side=type.side)
        return replace(query, pattern=pattern)


def _worse_than_limit() -> InvalidInput:
    message = "The price is worse than the order's limit: settle at the limit or better."
    return InvalidInput(errors=(FieldError("/price", "price_beyond_limit", message),))
