"""Keys: one for a machine, which opens one door and no other, and a new one for the tokens of people."""

import time
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from exchange.day import Day

FEED = "price-feed"
SCOPES = ["prices:write"]


def get_keys(day: "Day") -> None:
    """The operator gives the price feed its API key, and starts to rotate the key that signs tokens."""
    issued = day.operator.client.post("/api-keys", {"owner": FEED, "scopes": SCOPES, "days": 30})
    day.story.expect("An API key for the price feed, shown once", issued, httpx.codes.CREATED)
    day.feed.api_key = issued.json()["key"]
    rotated = day.operator.client.post("/keys")
    day.story.expect("A new key for tokens, published before it signs", rotated, httpx.codes.CREATED)
    day.new_key_signs_at = time.monotonic() + rotated.json()["signs_in"]
    own = day.people[0].client.post("/api-keys", {"owner": FEED, "scopes": SCOPES, "days": 30})
    day.story.expect("A trader who makes an API key", own, httpx.codes.FORBIDDEN)


def be_limited(day: "Day") -> None:
    """An API key does what its scopes say, if every letter of it is right, until it is revoked."""
    key = day.feed.api_key or ""
    asset = day.market.assets[0].id
    order = {"asset": asset, "type": "MARKET_BUY", "quantity": "1"}
    day.story.expect("The price feed, which has quoted all day, buys", day.feed.post("/orders", order), 403)
    mistyped = day.device()
    mistyped.api_key = key[:-1] + ("0" if not key.endswith("0") else "1")
    price = {"price": "1.00"}
    wrong = mistyped.put(f"/prices/{asset}", price)
    day.story.expect("Its API key with one letter changed", wrong, httpx.codes.UNAUTHORIZED, "invalid_api_key")
    day.operator.client.delete(f"/api-keys/{key.split('_')[2]}").raise_for_status()
    late = day.feed.put(f"/prices/{asset}", price)
    day.story.expect("Its API key after it was revoked", late, httpx.codes.UNAUTHORIZED, "invalid_api_key")
