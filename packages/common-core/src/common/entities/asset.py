"""What a user holds of an asset, and the trades that made it so."""

from decimal import Decimal
from enum import StrEnum

from pydantic import computed_field

from common.core.validation import (
    AssetId,
    Holding,
    Moment,
    NonNegativeMoney,
    PositiveMoney,
    PositiveQuantity,
    RequestId,
    UserName,
    add_exactly,
)
from common.entities.model import Entity
from common.entities.user import Balance


class AssetBalance(Entity):
    """A user's holding of one asset: a view of the account, exact at the scale of the asset."""

    user: UserName
    asset: AssetId
    available: Holding
    """What can be sold now."""
    held: Holding
    """What open sell orders have reserved."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def posted(self) -> Holding:
        """Available + held: the sum of the journal's entries."""
        return add_exactly(self.available, self.held)


class Portfolio(Entity):
    """Everything a user owns, at one moment: one atomic read of the account, never torn."""

    user: UserName
    balance: Balance
    assets: tuple[AssetBalance, ...] = ()
    """Holdings by asset id; an asset never held is not among them."""


class AssetTransactionType(StrEnum):
    """Which way the asset went."""

    BUY = "BUY"
    SELL = "SELL"


class AssetTransactionStatus(StrEnum):
    """How a trade stands. Stored entries are COMPLETED or FAILED; the others are views of orders."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class AssetTransaction(Entity):
    """The asset posting of one journal entry: a trade. Entries do not change; a correction is a new one."""

    id: RequestId
    """The request that made the entry."""
    user: UserName
    asset: AssetId
    quote: AssetId = "USD"
    type: AssetTransactionType
    status: AssetTransactionStatus
    quantity: PositiveQuantity
    """In units of *asset*; the type tells which way it went."""
    price: PositiveMoney
    """In units of *quote* for one unit."""
    total: NonNegativeMoney
    """What was paid (rounded up) or received (rounded down) in all, in units of *quote*."""
    order: RequestId | None = None
    posted_at: Moment

    @property
    def change(self) -> Decimal:
        """The change of the holding: the quantity, below zero for a sale."""
        return self.quantity if self.type is AssetTransactionType.BUY else self.quantity.copy_negate()
