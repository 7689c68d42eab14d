"""The market that the example trades in: real assets and real closing prices, read from a file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

from common.exceptions import ConfigurationError


@dataclass(frozen=True, slots=True)
class ListedAsset:
    """An asset of the file."""

    id: str
    name: str
    category: str
    scale: int
    """Decimal places of a quantity; 0 for whole units."""


@dataclass(frozen=True, slots=True)
class Market:
    """Assets, and their closing prices in US dollars, day by day."""

    source: str
    minimum_order_value: Decimal
    """In US dollars."""
    assets: tuple[ListedAsset, ...]
    closes: Mapping[date, Mapping[str, Decimal]]

    @property
    def asset_ids(self) -> tuple[str, ...]:
        """Return the ids of the assets, in the order of the file."""
        return tuple(asset.id for asset in self.assets)

    @property
    def days(self) -> tuple[date, ...]:
        """Return the trading days, oldest first."""
        return tuple(sorted(self.closes))


def load_market(path: Path | None = None) -> Market:
    """Read the market from *path*, by default from the file that ships with the example.

    Raises:
        ConfigurationError: The file cannot be read, or an asset lacks a price on some day.
    """
    resource = path or files("exchange") / "market.json"
    try:
        content = json.loads(resource.read_text(encoding="utf-8"), parse_float=Decimal)
        assets = tuple(ListedAsset(**asset) for asset in content["assets"])
        closes = {
            date.fromisoformat(day): {asset.id: Decimal(prices[asset.id]) for asset in assets}
            for day, prices in content["closes"].items()
        }
        minimum = Decimal(content["quote"]["minimum_order_value"])
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise ConfigurationError(
            f"The market file {resource} is not usable ({type(error).__name__}: {error}). "
            "Compare it with the one that ships with the example, exchange/market.json."
        ) from error
    return Market(str(content.get("source", "")), minimum, assets, closes)
