"""What the ledger stores, item by item: the domain's facts and what the storage needs beside them.

Pure. These models never leave the DAOs; :mod:`common.dynamo.dao.views` turns them into the entities of
:mod:`common.entities`, which know no keys, versions or hashes. :class:`Profile` is the exception: it is a user and the
version that an update has to name.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from common.entities import (
    OrderSide,
    OrderStatus,
    OrderStep,
    OrderType,
    TransactionStatus,
    TransactionType,
    User,
    UserStatus,
)

__all__ = ["Account", "EmailLock", "JournalEntry", "Profile", "Refusal", "StoredOrder"]


class Record(BaseModel):
    """A frozen value whose errors do not quote what was stored."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Profile(User):
    """A user as stored. Hand it back to change it: a change applies only to the version that was seen."""

    version: int = 0
    """Counts the changes; 1 when the user has just been created."""


class EmailLock(Record):
    """Makes a canonical email address belong to one user."""

    email: str
    user: str
    request: str
    """The request that took the address."""


class Account(Record):
    """All that a user holds, in one item: so one transaction touches one item, and one read is never torn.

    Amounts are exact and of no fixed scale here; the views give them the scale of their asset.
    """

    user: str
    status: UserStatus = UserStatus.ACTIVE
    cash: Decimal = Decimal(0)
    """Free cash."""
    held: Decimal = Decimal(0)
    """Cash that open buy orders hold."""
    assets: dict[str, Decimal] = {}
    """Free quantity by asset id."""
    held_assets: dict[str, Decimal] = {}
    """Quantity that open sell orders hold, by asset id."""
    sequence: int = 0
    """Counts the changes of the account."""
    last: str
    """The request, or the journal entry, behind the last change."""


class Refusal(StrEnum):
    """Why a request was refused, as its tombstone says."""

    FUNDS = "funds"
    PRICE = "price"
    MINIMUM = "minimum"
    INACTIVE = "inactive"
    ACCOUNT = "account"


class JournalEntry(Record):
    """One line of a user's journal, under the request id that made it. Entries do not change.

    A refused request leaves an entry too, its tombstone: FAILED, without changes, and no copy of the request that comes
    late can be applied.
    """

    user: str
    id: str
    kind: TransactionType
    status: TransactionStatus = TransactionStatus.COMPLETED
    input: str
    """Hash of what the caller asked for (:mod:`common.dynamo.dao.input_hash`)."""
    posted_at: datetime
    cash: Decimal | None = None
    """Signed change of the posted cash."""
    assets: dict[str, Decimal] = {}
    """Signed change of each asset."""
    asset: str | None = None
    """The traded asset; ``None`` where the entry is no trade or was refused."""
    scale: int | None = None
    """Decimal places of *asset*."""
    price: Decimal | None = None
    order: str | None = None
    asked: Decimal | None = None
    """Of a tombstone: the signed change of cash that was asked for."""
    refusal: Refusal | None = None
    figure: Decimal | None = None
    """Of a tombstone: what there was, or the least value of an order."""
    short: str | None = None
    """Of a tombstone for lack of funds: the asset that lacked; *scale* is its scale unless it is cash."""
    reason: str | None = None
    """Of an adjustment: why the service made it."""


class StoredOrder(Record):
    """An order and its place in the order book. Every number carries its scale, so no reader needs the catalogue."""

    user: str
    id: str
    input: str
    """Hash of what the caller asked for; a step is refused where it was made for other terms."""
    asset: str
    scale: int
    """Decimal places of *asset*."""
    quote: str
    quote_scale: int
    """Decimal places of *quote*."""
    type: OrderType
    status: OrderStatus
    quantity: Decimal
    limit_price: Decimal | None = None
    price_bound: Decimal | None = None
    price: Decimal | None = None
    total: Decimal | None = None
    refunded: Decimal | None = None
    """What was given back of *total*; below or equal to it by the condition of every refund."""
    hold: Decimal | None = None
    fill: str | None = None
    expires_at: datetime | None = None
    history: tuple[OrderStep, ...] = ()
    book_side: OrderSide | None = None
    """Present while QUEUED, as the other part of the book's key."""
    refusal: Refusal | None = None
    """Of a FAILED order: why; ``None`` where a step said so."""
    figure: Decimal | None = None
    short: str | None = None
    version: int = 0
