"""Items as bytes for storage: JSON, after a mark byte where binary values had to be written as text."""

from base64 import b64decode, b64encode
from typing import Any

import orjson

from common.dynamo.wire.embedded.values import Stored, Value

_WITH_BINARY = b"\x01"


def pack(item: Stored) -> bytes:
    """Return *item*, in canonical form, as bytes."""
    try:
        return orjson.dumps(item)
    except TypeError:
        return _WITH_BINARY + orjson.dumps(item, default=lambda content: b64encode(content).decode())


def unpack(packed: bytes) -> Stored:
    """Return the item that :func:`pack` made *packed* from."""
    if packed[0] != _WITH_BINARY[0]:
        item: Stored = orjson.loads(packed)
        return item
    return {name: _decoded(value) for name, value in orjson.loads(packed[1:]).items()}


def _decoded(value: Value) -> Value:
    ((kind, content),) = value.items()
    decoder = _DECODERS.get(kind)
    return value if decoder is None else {kind: decoder(content)}


def _list(content: list[Any]) -> list[Any]:
    return [_decoded(member) for member in content]


def _map(content: dict[str, Any]) -> dict[str, Any]:
    return {name: _decoded(member) for name, member in content.items()}


_DECODERS: dict[str, Any] = {
    "B": b64decode,
    "BS": lambda content: [b64decode(member) for member in content],
    "L": _list,
    "M": _map,
}
