"""The ledger's entity types: where each record lies in the table, and under which names.

One user is one partition (``U#<name>``): profile, account, journal and orders. So a whole history is one query, and a
mutation's items lie side by side. Email locks, assets and prices have partitions of their own.
"""

from collections.abc import Mapping
from typing import Any, Final

from common.dynamo.dao.records import Account, EmailLock, JournalEntry, Profile, StoredOrder
from common.dynamo.entity_type import EntityType, Index
from common.dynamo.keys import Key
from common.dynamo.value_codec import ANY_SCALE
from common.entities import Asset, AssetPrice, OrderSide

__all__ = [
    "ACCOUNT",
    "ASSET",
    "BOOK_DECIMALS",
    "BOOK_INTEGER_DIGITS",
    "BOOK_SHARDS",
    "EMAIL",
    "ENTRY",
    "LEDGER_ENTITY_TYPES",
    "ORDER",
    "ORDERS_BY_STATUS",
    "ORDER_BOOK",
    "PRICE",
    "PROFILE",
    "TRADES",
]

LEDGER: Final = "ledger"
"""The group of all that shares a user's partition; it stays together in one table."""
INVENTORY: Final = "inventory"
"""The group of assets and prices."""


def _quantity_scale(row: Mapping[str, Any], key: str) -> int:
    return int(row["scale"])


def _quote_scale(row: Mapping[str, Any], key: str) -> int:
    return int(row["quote_scale"])


def _hold_scale(row: Mapping[str, Any], key: str) -> int:
    return int(row["quote_scale"] if row["type"].side is OrderSide.BUY else row["scale"])


PROFILE: Final = EntityType(
    Profile,
    "user",
    key=Key("U#{username}", "PROFILE"),
    version="version",
    attributes={"version": "ver"},
    group=LEDGER,
)

EMAIL: Final = EntityType(
    EmailLock,
    "email",
    key=Key("EM#{email}", "EMAIL"),
    attributes={"user": "u", "request": "rid"},
    group=LEDGER,
)

ACCOUNT: Final = EntityType(
    Account,
    "account",
    key=Key("U#{user}", "ACCT"),
    attributes={"status": "st", "sequence": "seq", "last": "lst"},
    spread={"assets": "a_", "held_assets": "h_"},
    scales={"cash": ANY_SCALE, "held": ANY_SCALE, "assets": ANY_SCALE, "held_assets": ANY_SCALE},
    group=LEDGER,
)

TRADES: Final = Index("GSI1", Key("U#{user}#A#{asset}", "{id}"))
"""The trades of one user in one asset, by time."""

ENTRY: Final = EntityType(
    JournalEntry,
    "entry",
    key=Key("U#{user}", "T#{id}"),
    indexes=[TRADES],
    attributes={"status": "st", "input": "h", "cash": "d_cash", "refusal": "why"},
    spread={"assets": "d_a_"},
    scales={
        "cash": ANY_SCALE,
        "assets": ANY_SCALE,
        "price": ANY_SCALE,
        "asked": ANY_SCALE,
        "figure": ANY_SCALE,
    },
    group=LEDGER,
)

ORDERS_BY_STATUS: Final = Index("GSI1", Key("U#{user}#{status}", "{id}"))
"""The orders of one user in one status, by time."""

BOOK_INTEGER_DIGITS: Final = 12
BOOK_DECIMALS: Final = 18

BOOK_SHARDS: Final = 4
"""Partitions of one side of the book: each takes 1,000 write units a second, and a reader asks all of them at once. A
throttled index throttles the writes of its table, so the busiest asset must not wait for one partition."""

ORDER_BOOK: Final = Index(
    "GSI2",
    Key(
        "LO#{asset}#{book_side}",
        f"{{limit_price:{BOOK_INTEGER_DIGITS}.{BOOK_DECIMALS}}}#{{id}}",
        shards=BOOK_SHARDS,
    ),
)
"""The queued limit orders of one asset and side, by price; sparse, since only QUEUED orders have a side of the book."""


ORDER: Final = EntityType(
    StoredOrder,
    "order",
    key=Key("U#{user}", "O#{id}"),
    indexes=[ORDERS_BY_STATUS, ORDER_BOOK],
    version="version",
    attributes={
        "input": "h",
        "status": "st",
        "scale": "qs",
        "quote_scale": "cs",
        "expires_at": "exp",
        "history": "hist",
        "book_side": "side",
        "refusal": "why",
        "version": "ver",
    },
    scales={
        "quantity": _quantity_scale,
        "limit_price": ANY_SCALE,
        "price_bound": ANY_SCALE,
        "price": ANY_SCALE,
        "total": _quote_scale,
        "refunded": _quote_scale,
        "hold": _hold_scale,
        "figure": ANY_SCALE,
    },
    group=LEDGER,
)

ASSET: Final = EntityType(
    Asset,
    "asset",
    key=Key("ASSETS", "{id}"),
    scales={"minimum_order_value": _quote_scale},
    group=INVENTORY,
)

PRICE: Final = EntityType(
    AssetPrice,
    "price",
    key=Key("PX#{asset}", "PX"),
    scales={"price": ANY_SCALE},
    group=INVENTORY,
)

LEDGER_ENTITY_TYPES: Final[tuple[EntityType[Any], ...]] = (PROFILE, EMAIL, ACCOUNT, ENTRY, ORDER, ASSET, PRICE)
"""What the ledger contributes through the hook ``common_entity_types``."""
