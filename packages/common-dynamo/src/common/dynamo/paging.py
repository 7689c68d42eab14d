"""Pages and cursors: opaque, versioned, signed over everything that makes the query what it is.

A cursor names the last item returned and nothing else. Its signature covers table, index, entity type, partition, key range,
filter, direction and tenant, so a cursor of another query, or a changed one, is refused instead of answered wrongly. It
is signed, not encrypted: who holds it can read the sort key of the item that it stands at.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import field, replace
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast

from common.dynamo.cost import NOTHING, Cost
from common.dynamo.exceptions import InvalidCursor
from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError

__all__ = ["BEGINNING", "Cursors", "Page", "Position"]

T = TypeVar("T")
U = TypeVar("U")

_VERSION: Final = b"\x01"
_MAC_BYTES: Final = 16
_LEAST_KEY_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins."""

    forward: bool
    """Whether the page lies after it, in the order of the query; else before it."""
    keys: tuple[str, ...]
    """The key attributes that the query does not know by itself; empty for "at the very end"."""


BEGINNING: Final = Position(True, ())
"""Where a query without a cursor begins."""


class Cursors:
    """Signs and verifies cursors. The first key signs; all of them verify, so keys can be rotated."""

    def __init__(self, keys: Sequence[str | bytes]) -> None:
        """Take the secrets.

        Raises:
            ConfigurationError: A key is shorter than 16 bytes.
        """
        if not isinstance(keys, list | tuple) or not all(isinstance(key, str | bytes) for key in keys):
            raise ConfigurationError("cursor_keys must be a list of secrets, texts or bytes: the current one first.")
        self._keys = tuple(key.encode() if isinstance(key, str) else key for key in keys)
        if any(len(key) < _LEAST_KEY_BYTES for key in self._keys):
            raise ConfigurationError(
                f"cursor_keys has a key that is shorter than {_LEAST_KEY_BYTES} bytes; give random ones."
            )

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __repr__(self) -> str:
        return f"<Cursors: {len(self._keys)} keys>"

    def sign(self, position: Position, scope: bytes) -> str:
        """Return the cursor of *position* in the query that *scope* stands for.

        Raises:
            ConfigurationError: There is no key.
        """
        if not self._keys:
            raise ConfigurationError(
                "Page cursors need a key: give cursor_keys=(current,) to Database.connect, the previous key after it while "
                "rotating. All processes of the service need the same."
            )
        payload = _VERSION + json.dumps([int(position.forward), *position.keys]).encode()
        return base64.urlsafe_b64encode(payload + _mac(self._keys[0], payload, scope)).rstrip(b"=").decode()

    def verify(self, cursor: str, scope: bytes) -> Position:
        """Return the position of *cursor*.

        Raises:
            InvalidCursor: It was not signed here for this very query, or is damaged, or of an unknown version.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (ValueError, TypeError, binascii.Error):
            raise InvalidCursor("The cursor is not one of ours. Start again without one.") from None
        payload, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        canonical = base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == cursor
        known = any(hmac.compare_digest(mac, _mac(key, payload, scope)) for key in self._keys)
        if not known or not canonical or not payload.startswith(_VERSION):
            raise InvalidCursor("The cursor is damaged, or belongs to another query. Start again without one.")
        forward, *keys = json.loads(payload[1:])
        return Position(bool(forward), tuple(keys))


def _mac(key: bytes, payload: bytes, scope: bytes) -> bytes:
    return hmac.new(key, hashlib.sha256(scope).digest() + payload, hashlib.sha256).digest()[:_MAC_BYTES]


Cut: TypeAlias = Callable[[], str] | None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Exactly as many items as were asked for, or the last ones."""

    items: Sequence[T]
    cost: Cost = NOTHING
    """Of all calls that this page took."""
    scanned: int = 0
    """Items that the engine examined for it, before filter, expiry and foreign items."""
    _next: Cut = field(default=None, repr=False)
    _previous: Cut = field(default=None, repr=False)

    @property
    def next(self) -> str | None:
        """The cursor of the page after this one; ``None`` at the end.

        The page that it leads to may be empty: DynamoDB does not tell whether anything follows.

        Raises:
            ConfigurationError: The database has no cursor key.
        """
        return None if self._next is None else self._next()

    @property
    def previous(self) -> str | None:
        """The cursor of the page before this one; ``None`` at the beginning.

        Raises:
            ConfigurationError: The database has no cursor key.
        """
        return None if self._previous is None else self._previous()

    def map(self, function: Callable[[T], U]) -> "Page[U]":
        """Return the same page with *function* applied to each item; cursors and cost stay."""
        return cast("Page[U]", replace(cast("Any", self), items=[function(item) for item in self.items]))
