"""The assets that can be traded, and their prices."""

from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from common.core.validation import SCALE_LIMIT, AssetId, Moment, NonNegativeMoney, PositiveMoney, at_scale
from common.entities.model import Entity
from common.exceptions import InvalidAmount

Scale = Annotated[int, Field(strict=True, ge=0, le=SCALE_LIMIT)]
"""Decimal places of an asset: USD 2, BTC 8, ETH 18."""


class QuoteAsset(Entity):
    """What prices are counted in."""

    id: AssetId
    scale: Scale
    minimum_order_value: NonNegativeMoney
    """The smallest order, by value, in units of this asset: below it, rounding would weigh too much."""


USD: Final = QuoteAsset(id="USD", scale=2, minimum_order_value=Decimal("10.00"))
"""The cash of every account, unless the service says otherwise."""


class Asset(Entity):
    """An asset that can be traded. What money depends on (scale, quote) never changes once it is created.

    >>> from datetime import UTC, datetime
    >>> bitcoin = Asset(id="BTC", name="Bitcoin", category="crypto", scale=8, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    >>> bitcoin.quote, bitcoin.minimum_order_value
    ('USD', Decimal('10.00'))
    """

    id: AssetId
    name: Annotated[str, Field(min_length=1, max_length=100)]
    category: Annotated[str, Field(pattern=r"\A[a-z0-9][a-z0-9-]{0,29}\z")]
    """A word in lower case, such as ``crypto``."""
    description: Annotated[str, Field(max_length=500)] = ""
    scale: Scale
    """Decimal places of quantities."""
    quote: AssetId = USD.id
    quote_scale: Scale = USD.scale
    """Decimal places of cash amounts in *quote*."""
    minimum_order_value: NonNegativeMoney = USD.minimum_order_value
    """The smallest order, by value, in units of *quote*, at *quote_scale*."""
    active: bool = True
    """Whether new orders are taken."""
    created_at: Moment

    @field_validator("minimum_order_value")
    @classmethod
    def _at_quote_scale(cls, value: Decimal, info: ValidationInfo) -> Decimal:
        try:
            return at_scale(value, info.data.get("quote_scale", SCALE_LIMIT))
        except InvalidAmount as refusal:
            raise PydanticCustomError(refusal.errors[0].code, refusal.errors[0].message) from None


class AssetPrice(Entity):
    """What one unit of an asset costs, and since when. It grows old: look at *as_of* before you rely on it."""

    asset: AssetId
    quote: AssetId = USD.id
    price: PositiveMoney
    """In units of *quote* for one unit of *asset*; as many decimal places as its source gave."""
    as_of: Moment


class AssetListResponse(Entity):
    """One page of assets. There is no total: a count would need to read them all."""

    assets: tuple[Asset, ...]
    next: str | None = None
    """Cursor of the next page; ``None`` on the last one."""
