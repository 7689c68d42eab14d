"""Components of key templates: values as text that sorts like them. The table of forms is in :mod:`common.dynamo.keys`."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeAlias
from uuid import UUID

from common.dynamo.decimals import at_scale
from common.dynamo.generated_code import Inline
from common.dynamo.value_classes import dataclass

__all__ = [
    "Component",
    "ComponentEncoder",
    "component_encoder",
    "datetime_text",
    "escape",
    "inline_component",
    "is_spec",
]

_LOW: Final = re.compile("[\x00-\x24]")
_SPEC: Final = re.compile(r"(\d{1,2})(?:\.(\d{1,2}))?")

ComponentEncoder: TypeAlias = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Component:
    """One ``{field:spec}`` of a template."""

    field: str
    spec: str = ""


def is_spec(text: str) -> bool:
    """Tell whether *text* is a width or ``digits.decimals``."""
    return _SPEC.fullmatch(text) is not None


def escape(text: str) -> str:
    """Return *text* with U+0000 to U+0024 as ``$`` and two hex digits."""
    return _LOW.sub(lambda match: f"${ord(match[0]):02x}", text)


def _encode_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    if not value:
        raise ValueError("is empty; a key needs a value there")
    if not value.isascii():
        value.encode()  # a lone surrogate is no UTF-8
    return escape(value)


def _enum_encoder(enumeration: type[Enum]) -> ComponentEncoder:
    def encode(value: Any) -> str:
        if not isinstance(value, enumeration):
            raise TypeError(f"a {enumeration.__name__}")
        return _encode_text(value.value)

    return encode


def _encode_uuid(value: Any) -> str:
    if not isinstance(value, UUID):
        raise TypeError("a UUID")
    return str(value)


def _encode_bool(value: Any) -> str:
    if not isinstance(value, bool):
        raise TypeError("a bool")
    return "1" if value else "0"


def _encode_datetime(value: Any) -> str:
    if not isinstance(value, datetime):
        raise TypeError("a datetime")
    return datetime_text(value)


def datetime_text(value: datetime) -> str:
    """Return *value* in UTC at fixed microseconds, so that text order is time order.

    Raises:
        ValueError: *value* has no time zone, or lies outside of years 1 to 9999 in UTC.
    """
    if value.tzinfo is None:
        raise ValueError("is a datetime without a time zone; give an aware one")
    if value.tzinfo is UTC:
        return value.isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"
    try:
        in_utc = value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside of years 1 to 9999 in UTC") from None
    return in_utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _encode_date(value: Any) -> str:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError("a date")
    return value.isoformat()


def _fixed_width(number: int, width: int) -> str:
    largest = 10**width - 1
    if not -largest <= number <= largest:
        raise ValueError(f"is wider than the {width} digits of its key template")
    return f"1{number:0{width}d}" if number >= 0 else f"0{largest + number:0{width}d}"


def _int_encoder(width: int) -> ComponentEncoder:
    def encode(value: Any) -> str:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError("an int")
        return _fixed_width(value, width)

    return encode


def _decimal_encoder(integer_digits: int, decimals: int) -> ComponentEncoder:
    def encode(value: Any) -> str:
        if not isinstance(value, Decimal):
            raise TypeError("a Decimal")
        sign, significant, _ = at_scale(value, decimals).as_tuple()
        number = int("".join(map(str, significant)))
        return _fixed_width(-number if sign else number, integer_digits + decimals)

    return encode


def inline_component(component: Component, kind: type) -> Inline | None:
    """Return how generated code makes *component* of the usual values of *kind*; ``None``: by its encoder alone."""
    if kind is int:
        width = int(component.spec)
        return Inline(accepts=f"type(v) is int and 0 <= v < {10**width}", writes=f"'1%0{width}d' % v")
    if kind is str:
        accepts = "type(v) is str and v and v.isascii() and {low}(v) is None"
        return Inline(accepts=accepts, writes="v", names={"low": _LOW.search})
    if issubclass(kind, Enum):
        encode = _enum_encoder(kind)
        texts = {member: encode(member) for member in kind if member.value}
        return Inline(accepts="type(v) is {kind}", writes="{texts}[v]", names={"kind": kind, "texts": texts})
    return None


_PLAIN_ENCODERS: Final[Mapping[type, ComponentEncoder]] = {
    str: _encode_text,
    bool: _encode_bool,
    datetime: _encode_datetime,
    date: _encode_date,
    UUID: _encode_uuid,
}


def component_encoder(component: Component, kind: type) -> ComponentEncoder:
    """Return the encoder of *component* over values of *kind*; a ``ValueError`` tells what is wrong with the two."""
    match = _SPEC.fullmatch(component.spec)
    if kind is int:
        if match is None or match[2]:
            raise ValueError("an int needs a width, such as {n:10}")
        return _int_encoder(int(match[1]))
    if kind is Decimal:
        if match is None or not match[2]:
            raise ValueError("a Decimal needs integer digits and decimals, such as {price:12.2}")
        return _decimal_encoder(int(match[1]), int(match[2]))
    if match is not None:
        raise ValueError(f"a width belongs to numbers, and the field is {kind.__name__}")
    if issubclass(kind, Enum) and all(isinstance(member.value, str) for member in kind):
        return _enum_encoder(kind)
    if kind not in _PLAIN_ENCODERS:
        raise ValueError(f"{kind.__name__} cannot be part of a key")
    return _PLAIN_ENCODERS[kind]
