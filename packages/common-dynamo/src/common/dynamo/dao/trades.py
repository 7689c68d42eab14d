"""A quantity of an asset against cash: what it costs, what it holds, what it does to the account.

Pure. Every amount is rounded here, once, against the customer: cost up, proceeds down (ledger section 12). A buy holds
cash and a sale holds the asset; whatever ends an order, the hold goes back or is used up in the same transaction.
"""

from dataclasses import field
from decimal import Decimal

from common.core.validation import cost, exact_arithmetic, proceeds
from common.dynamo.dao.postings import CASH, HELD, Posting, asset_attribute, held_attribute
from common.dynamo.value_classes import dataclass
from common.entities import OrderSide

__all__ = ["Trade"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One side's part of a trade, at one price.

    Raises:
        InvalidAmount: The total has more than 30 digits.
    """

    side: OrderSide
    asset: str
    quantity: Decimal
    """In units of *asset*, at its scale, above zero."""
    price: Decimal
    """In cash for one unit, above zero; of an order that waits, its limit."""
    cash_scale: int
    total: Decimal = field(init=False)
    """What is paid (rounded up) or received (rounded down), at the scale of cash."""

    def __post_init__(self) -> None:
        rounded = cost if self.side is OrderSide.BUY else proceeds
        object.__setattr__(self, "total", rounded(self.price, self.quantity, self.cash_scale))

    @property
    def hold(self) -> Decimal:
        """What an order at this limit reserves: cash for a buy, the asset for a sale."""
        return self.total if self.side is OrderSide.BUY else self.quantity

    @property
    def cash_change(self) -> Decimal:
        """The signed change of posted cash."""
        return self.total.copy_negate() if self.side is OrderSide.BUY else self.total

    @property
    def asset_change(self) -> Decimal:
        """The signed change of the posted asset."""
        return self.quantity if self.side is OrderSide.BUY else self.quantity.copy_negate()

    def is_below(self, minimum: Decimal) -> bool:
        """Tell whether the unrounded value lies below *minimum*, in cash."""
        with exact_arithmetic():
            return self.price * self.quantity < minimum

    def is_worse_than(self, bound: Decimal) -> bool:
        """Tell whether the price is worse for the customer than *bound*."""
        return self.price > bound if self.side is OrderSide.BUY else self.price < bound

    def swap(self) -> Posting:
        """Return the posting of a trade without a hold: cash against asset, at once."""
        return Posting.of([(CASH, self.cash_change), (asset_attribute(self.asset), self.asset_change)])

    def take_hold(self) -> Posting:
        """Return the posting that moves the hold from free to held."""
        free, held = self._hold_attributes
        return Posting.of([(free, self.hold.copy_negate()), (held, self.hold)])

    def release(self, hold: Decimal) -> Posting:
        """Return the posting that gives *hold* back."""
        free, held = self._hold_attributes
        return Posting.of([(held, hold.copy_negate()), (free, hold)])

    def settle(self, hold: Decimal) -> Posting:
        """Return the posting that uses up *hold*: the rest of it comes back, the other side is credited."""
        if self.side is OrderSide.SELL:
            return Posting.of([(held_attribute(self.asset), hold.copy_negate()), (CASH, self.total)])
        with exact_arithmetic():
            rest = hold - self.total
        return Posting.of([(HELD, hold.copy_negate()), (CASH, rest), (asset_attribute(self.asset), self.quantity)])

    @property
    def _hold_attributes(self) -> tuple[str, str]:
        if self.side is OrderSide.BUY:
            return CASH, HELD
        return asset_attribute(self.asset), held_attribute(self.asset)
