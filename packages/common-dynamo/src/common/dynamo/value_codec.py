"""One Python value <-> one attribute value, compiled once from the field's annotation.

Strict both ways: an encoder refuses a value of another type, a decoder refuses an attribute value of another type, and
neither ever sees a float. What each annotation is stored as:

=====================================================  ===========================================================
annotation                                             attribute value
=====================================================  ===========================================================
``str``, ``UUID``, ``datetime``, ``date``              S (a datetime in UTC at fixed microseconds, aware ones only)
``int``, ``Decimal``                                   N
``bool``, ``bytes``                                    BOOL, B
an enumeration or ``Literal`` of texts or integers     S, N
``list[T]``, ``tuple[T, ...]``                         L
``set[T]``, ``frozenset[T]`` of text, number, bytes    SS, NS, BS (the empty set is an absent attribute)
``dict[str, T]``, a pydantic model                     M
``T | None``                                           as T; ``None`` is absent at the top and NULL inside
``Any``                                                by the value: texts, bools, integers, Decimals, lists, dicts
other types that pydantic writes as one JSON string    S
=====================================================  ===========================================================
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeAlias
from uuid import UUID

from common.dynamo.decimals import EXACT, MAX_DIGITS, at_scale, digits, integer_digits, unit_of
from common.dynamo.generated_code import Inline
from common.dynamo.key_components import datetime_text
from common.dynamo.requests import AttributeValue
from common.dynamo.value_classes import dataclass

__all__ = ["ANY_SCALE", "AnyScale", "Scale", "ValueCodec"]


class AnyScale:
    """The type of :data:`ANY_SCALE`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ANY_SCALE"


ANY_SCALE: Final = AnyScale()
"""A Decimal of no fixed scale: stored exactly, at most 38 digits; trailing zeros are not kept."""

Scale: TypeAlias = int | AnyScale | Callable[[Mapping[str, Any], str], int]
"""Decimal places, or a function ``(row, key) -> places``: *row* maps the other fields of the item to their values, *key* is
the key within a dict field, else the field's name."""

Encode: TypeAlias = Callable[[Any], AttributeValue]
Decode: TypeAlias = Callable[[AttributeValue], Any]

NULL: Final[AttributeValue] = {"NULL": True}
_TRUE: Final[AttributeValue] = {"BOOL": True}
_FALSE: Final[AttributeValue] = {"BOOL": False}


@dataclass(frozen=True, slots=True)
class ValueCodec:
    """How values of one annotation are stored.

    :attr:`encode` raises ``TypeError`` (with what it wants) or ``ValueError`` (with what is wrong), never with a value;
    :attr:`decode` raises ``KeyError``, ``TypeError`` or ``ValueError``.
    """

    tags: frozenset[str]
    """The types of attribute value that it writes and reads."""
    encode: Encode
    decode: Decode
    kind: type = object
    """The plain Python type, for key templates; ``object`` for what cannot be part of a key."""
    nullable: bool = False
    member: "ValueCodec | None" = None
    """Of the members of a list, set or dict."""
    fields: Mapping[str, "ValueCodec"] = field(default_factory=dict)
    """Of the fields of a model."""
    check: Callable[[Any], Any] | None = None
    """For a field of a model: validates a new value by the field's annotation, strictly; pydantic's ``ValidationError``."""
    inline: Inline | None = None
    """The same as :attr:`encode` and :attr:`decode`, for a compiled codec."""


# Scalars --------------------------------------------------------------------------------------------------------------


def utf8_text(value: Any) -> str:
    """Return a text that can be written as UTF-8.

    Raises:
        TypeError: *value* is no text.
        UnicodeEncodeError: It holds a lone surrogate.
    """
    if not isinstance(value, str):
        raise TypeError("text")
    if not value.isascii():
        value.encode()
    return value


def encode_text(value: Any) -> AttributeValue:
    """Return a text as S."""
    # The same checks as utf8_text, without its call: most fields of most items are texts.
    if not isinstance(value, str):
        raise TypeError("text")
    if not value.isascii():
        value.encode()
    return {"S": value}


def decode_text(stored: AttributeValue) -> Any:
    """Return the text in S."""
    return stored["S"]


def _encode_int(value: Any) -> AttributeValue:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("an int")
    return {"N": integer_digits(value)}


def _decode_int(stored: AttributeValue) -> Any:
    return int(stored["N"])


def _encode_bool(value: Any) -> AttributeValue:
    if not isinstance(value, bool):
        raise TypeError("a bool")
    return _TRUE if value else _FALSE


def _decode_bool(stored: AttributeValue) -> Any:
    return stored["BOOL"]


def _encode_bytes(value: Any) -> AttributeValue:
    if not isinstance(value, bytes):
        raise TypeError("bytes")
    return {"B": value}


def _decode_bytes(stored: AttributeValue) -> Any:
    return stored["B"]


def _encode_datetime(value: Any) -> AttributeValue:
    if not isinstance(value, datetime):
        raise TypeError("a datetime")
    return {"S": datetime_text(value)}


def _decode_datetime(stored: AttributeValue) -> Any:
    value = datetime.fromisoformat(stored["S"])
    if value.tzinfo is None:
        raise ValueError("no time zone")
    return value


def _encode_date(value: Any) -> AttributeValue:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError("a date")
    return {"S": value.isoformat()}


def _decode_date(stored: AttributeValue) -> Any:
    return date.fromisoformat(stored["S"])


def _encode_uuid(value: Any) -> AttributeValue:
    if not isinstance(value, UUID):
        raise TypeError("a UUID")
    return {"S": str(value)}


def _decode_uuid(stored: AttributeValue) -> Any:
    return UUID(stored["S"])


_S: Final = frozenset({"S"})
_N: Final = frozenset({"N"})

_TEXT: Final = Inline(reads="v['S']", accepts="type(v) is str and v.isascii()", writes="{{'S': v}}")
_INT: Final = Inline(
    reads="int(v['N'])",
    accepts="type(v) is int and -{limit} < v < {limit}",
    writes="{{'N': str(v)}}",
    names={"limit": 10**MAX_DIGITS},
)
_BOOL: Final = Inline(
    reads="v['BOOL']", accepts="type(v) is bool", writes="{yes} if v else {no}", names={"yes": _TRUE, "no": _FALSE}
)
_BYTES: Final = Inline(reads="v['B']", accepts="type(v) is bytes", writes="{{'B': v}}")
_DATETIME: Final = Inline(
    reads="{parse}(v['S']) if v['S'][-1] == 'Z' else {decode}(v)",
    accepts="type(v) is {kind} and v.tzinfo is {utc} and not v.fold",
    writes="{{'S': v.isoformat(timespec='microseconds')[:-6] + 'Z'}}",
    names={"parse": datetime.fromisoformat, "decode": _decode_datetime, "kind": datetime, "utc": UTC},
)
_UUID: Final = Inline(
    reads="{kind}(v['S'])", accepts="type(v) is {kind}", writes="{{'S': str(v)}}", names={"kind": UUID}
)

SCALARS: Final[Mapping[type, ValueCodec]] = {
    str: ValueCodec(_S, encode_text, decode_text, str, inline=_TEXT),
    int: ValueCodec(_N, _encode_int, _decode_int, int, inline=_INT),
    bool: ValueCodec(frozenset({"BOOL"}), _encode_bool, _decode_bool, bool, inline=_BOOL),
    bytes: ValueCodec(frozenset({"B"}), _encode_bytes, _decode_bytes, object, inline=_BYTES),
    datetime: ValueCodec(_S, _encode_datetime, _decode_datetime, datetime, inline=_DATETIME),
    date: ValueCodec(_S, _encode_date, _decode_date, date),
    UUID: ValueCodec(_S, _encode_uuid, _decode_uuid, UUID, inline=_UUID),
}


def decimal_codec(scale: int | AnyScale) -> ValueCodec:
    """Return the codec of a Decimal at *scale*; on reading, the scale is restored."""
    if isinstance(scale, AnyScale):
        return ValueCodec(_N, _encode_decimal, _decode_decimal, Decimal, inline=_DECIMAL)

    def encode(value: Any) -> AttributeValue:
        if not isinstance(value, Decimal):
            raise TypeError("a Decimal")
        return {"N": digits(at_scale(value, scale))}

    def decode(stored: AttributeValue) -> Any:
        return at_scale(Decimal(stored["N"]), scale)

    unit = unit_of(scale)
    inline = Inline(
        reads="{decimal}(v['N']).quantize({unit}, context={exact})",
        accepts="type(v) is {decimal}",
        becomes="v.quantize({unit}, context={exact}) or {zero}",  # of two zeros, the one without a sign
        writes="{{'N': {digits}(v)}}",
        names={"decimal": Decimal, "unit": unit, "exact": EXACT, "zero": 0 * unit, "digits": digits},
    )
    return ValueCodec(_N, encode, decode, Decimal, inline=inline)


def _encode_decimal(value: Any) -> AttributeValue:
    if not isinstance(value, Decimal):
        raise TypeError("a Decimal")
    return {"N": digits(value)}


def _decode_decimal(stored: AttributeValue) -> Any:
    return Decimal(stored["N"])


_DECIMAL: Final = Inline(reads="{decimal}(v['N'])", names={"decimal": Decimal})


def choice_codec(options: Mapping[Any, str | int], kind: type) -> ValueCodec:
    """Return the codec of a closed set of values: each Python value and the text or integer that stands for it."""
    stored = {
        option: {"S": plain} if isinstance(plain, str) else {"N": str(plain)} for option, plain in options.items()
    }
    read = {next(iter(value.items())): option for option, value in stored.items()}

    def encode(value: Any) -> AttributeValue:
        try:
            return stored[value]
        except (KeyError, TypeError):
            raise TypeError("one of the declared choices") from None

    def decode(value: AttributeValue) -> Any:
        return read[next(iter(value.items()))]

    return ValueCodec(frozenset(tag for tag, _ in read), encode, decode, kind)


def enum_codec(enumeration: type[Enum]) -> ValueCodec:
    """Return the codec of an enumeration of texts or integers, stored by value."""
    inner = choice_codec({member: member.value for member in enumeration}, enumeration)

    def encode(value: Any) -> AttributeValue:
        # `State.OPEN == "open"` holds for an enumeration of texts, so the mapping alone would let "open" pass.
        if not isinstance(value, enumeration):
            raise TypeError(f"a {enumeration.__name__}")
        return inner.encode(value)

    inline = None
    if inner.tags == _S:
        stored = {member: inner.encode(member) for member in enumeration}
        read = {value["S"]: member for member, value in stored.items()}
        names = {"read": read, "kind": enumeration, "stored": stored}
        inline = Inline(reads="{read}[v['S']]", accepts="type(v) is {kind}", writes="{stored}[v]", names=names)
    return ValueCodec(inner.tags, encode, inner.decode, enumeration, inline=inline)


# Containers -----------------------------------------------------------------------------------------------------------


def nullable_codec(inner: ValueCodec) -> ValueCodec:
    """Return the codec of ``T | None``."""
    encode_inner, decode_inner = inner.encode, inner.decode

    def encode(value: Any) -> AttributeValue:
        return NULL if value is None else _told_from_none(encode_inner(value))

    def decode(stored: AttributeValue) -> Any:
        return None if "NULL" in stored else decode_inner(stored)

    tags = inner.tags | {"NULL"}
    return ValueCodec(tags, encode, decode, inner.kind, True, inner.member, inner.fields, inline=inner.inline)


def _told_from_none(encoded: AttributeValue) -> AttributeValue:
    """Refuse an empty set, which is stored as nothing, where a reader would take nothing for something else."""
    if encoded is NULL:
        raise ValueError("is an empty set, which DynamoDB has not; give None, or declare the set without alternatives")
    return encoded


def list_codec(member: ValueCodec, kind: type[list[Any]] | type[tuple[Any, ...]]) -> ValueCodec:
    """Return the codec of ``list[T]`` or ``tuple[T, ...]``; *kind* is ``list`` or ``tuple``."""
    encode_member, decode_member = member.encode, member.decode

    def encode(value: Any) -> AttributeValue:
        if not isinstance(value, kind):
            raise TypeError(f"a {kind.__name__}")
        return {"L": [encode_member(each) for each in value]}

    def decode(stored: AttributeValue) -> Any:
        return kind([decode_member(each) for each in stored["L"]])

    return ValueCodec(frozenset({"L"}), encode, decode, member=member, inline=_inline_list(member, kind))


def _inline_list(member: ValueCodec, kind: type) -> Inline | None:
    inner = member.inline
    if inner is None or not inner.reads or member.nullable or kind is not list:
        return None
    reads, names = f"[{inner.reads} for v in v['L']]", {**inner.names, "encode_member": member.encode}
    if not inner.writes or inner.becomes:
        return Inline(reads=reads, names=names)
    member_writes = f"({inner.writes}) if {inner.accepts} else {{encode_member}}(v)"
    writes = f"{{{{'L': [{member_writes} for v in v]}}}}"
    return Inline(reads=reads, accepts="type(v) is list", writes=writes, names=names)


def set_codec(member: ValueCodec, kind: type[set[Any]] | type[frozenset[Any]]) -> ValueCodec:
    """Return the codec of a set of texts, numbers or bytes; *kind* is ``set`` or ``frozenset``.

    Raises:
        ValueError: Sets of *member* cannot be stored.
    """
    if len(member.tags) != 1 or not member.tags <= {"S", "N", "B"}:
        raise ValueError("a set holds texts, numbers or bytes alone")
    (inner,) = member.tags
    tag = inner + "S"
    encode_member, decode_member = member.encode, member.decode

    def encode(value: Any) -> AttributeValue:
        if not isinstance(value, kind):
            raise TypeError(f"a {kind.__name__}")
        if not value:
            return NULL
        return {tag: sorted(encode_member(each)[inner] for each in value)}

    def decode(stored: AttributeValue) -> Any:
        return kind() if "NULL" in stored else kind([decode_member({inner: each}) for each in stored[tag]])

    return ValueCodec(frozenset({tag}), encode, decode, member=member)


def dict_codec(member: ValueCodec) -> ValueCodec:
    """Return the codec of ``dict[str, T]``."""
    encode_member, decode_member = member.encode, member.decode

    def encode(value: Any) -> AttributeValue:
        if not isinstance(value, dict):
            raise TypeError("a dict")
        if not all(isinstance(name, str) for name in value):
            raise TypeError("a dict whose keys are texts")
        return {"M": {utf8_text(name): encode_member(each) for name, each in value.items()}}

    def decode(stored: AttributeValue) -> Any:
        return {name: decode_member(each) for name, each in stored["M"].items()}

    return ValueCodec(frozenset({"M"}), encode, decode, member=member, inline=_inline_dict(member))


def _inline_dict(member: ValueCodec) -> Inline | None:
    inner = member.inline
    if inner is None or not inner.reads or member.nullable:
        return None
    reads = f"{{{{name: {inner.reads} for name, v in v['M'].items()}}}}"
    names = {**inner.names, "encode_member": member.encode, "text": utf8_text}
    if not inner.writes or inner.becomes:
        return Inline(reads=reads, names=names)
    key = "name if type(name) is str and name.isascii() else {text}(name)"
    member_writes = f"({inner.writes}) if {inner.accepts} else {{encode_member}}(v)"
    writes = f"{{{{'M': {{{{{key}: {member_writes} for name, v in v.items()}}}}}}}}"
    return Inline(reads=reads, accepts="type(v) is dict", writes=writes, names=names)


def union_codec(members: list[ValueCodec]) -> ValueCodec:
    """Return the codec of a union whose members are stored as different types.

    Raises:
        ValueError: Two members are stored as the same type, so that a reader could not tell them apart.
    """
    by_tag: dict[str, ValueCodec] = {}
    for member in members:
        if by_tag.keys() & member.tags:
            raise ValueError("two members of the union are stored as the same type, so a reader cannot tell them apart")
        by_tag.update(dict.fromkeys(member.tags, member))

    def encode(value: Any) -> AttributeValue:
        for member in members:
            try:
                return _told_from_none(member.encode(value))
            except TypeError:
                continue
        raise TypeError("of a type that the union has")

    def decode(stored: AttributeValue) -> Any:
        return by_tag[next(iter(stored))].decode(stored)

    return ValueCodec(frozenset(by_tag), encode, decode)


# Any ------------------------------------------------------------------------------------------------------------------


def _encode_any(value: Any) -> AttributeValue:
    if value is None:
        return NULL
    if isinstance(value, list | tuple):
        return {"L": [_encode_any(each) for each in value]}
    if isinstance(value, dict):
        return dict_codec(ANY).encode(value)
    if isinstance(value, float):
        raise TypeError("exact: a float is refused, use Decimal")
    for kind in (str, bool, int, Decimal, bytes):
        if isinstance(value, kind):
            return _ANY_SCALARS[kind].encode(value)
    raise TypeError("a text, bool, int, Decimal, bytes, list or dict")


def _decode_any(stored: AttributeValue) -> Any:
    ((tag, content),) = stored.items()
    if tag == "L":
        return [_decode_any(each) for each in content]
    if tag == "M":
        return {name: _decode_any(each) for name, each in content.items()}
    if tag == "N":
        return int(content) if content.lstrip("-").isdigit() else Decimal(content)
    return None if tag == "NULL" else _ANY_PLAIN[tag](content)


_ANY_SCALARS: Final[Mapping[type, ValueCodec]] = {**SCALARS, Decimal: decimal_codec(ANY_SCALE)}
_ANY_PLAIN: Final[Mapping[str, Callable[[Any], Any]]] = {
    "S": str,
    "BOOL": bool,
    "B": bytes,
    "SS": set,
    "BS": set,
    "NS": lambda members: {Decimal(each) for each in members},
}

_ANY_TAGS: Final = frozenset({"S", "N", "B", "BOOL", "L", "M", "SS", "NS", "BS", "NULL"})
ANY: Final = ValueCodec(_ANY_TAGS, _encode_any, _decode_any, nullable=True)
