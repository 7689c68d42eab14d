"""Listing the market's assets in the database, once, whoever starts first."""

from datetime import UTC, datetime, time

from common.core.utils.identifiers import UlidGenerator
from common.dynamo.dao import AssetDAO
from common.dynamo.exceptions import AlreadyExists
from common.entities.inventory import Asset
from exchange.market import Market


def list_market(assets: AssetDAO, market: Market) -> None:
    """Create every asset that is not there yet, with the price of the market's first day."""
    new_id = UlidGenerator()
    first = market.days[0]
    opened = datetime.combine(first, time(), UTC)
    for listed in market.assets:
        asset = Asset(
            id=listed.id,
            name=listed.name,
            category=listed.category,
            scale=listed.scale,
            minimum_order_value=market.minimum_order_value,
            created_at=opened,
        )
        try:
            assets.create(asset, request_id=new_id())
        except AlreadyExists:
            continue
        assets.set_price(listed.id, market.closes[first][listed.id], request_id=new_id())
