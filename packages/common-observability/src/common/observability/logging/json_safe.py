"""From anything to JSON values: bounded in depth, size and time, redacted on the way, and never raising.

One walk does all of it, so that both JSON libraries get the same tree and give the same values.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from datetime import date, time
from enum import Enum
from typing import Any

from common.observability.logging.redaction import MASK, Redaction

__all__ = ["MAX_DEPTH", "MAX_LINE", "MAX_TEXT", "is_safe", "json_safe"]

MAX_TEXT = 8_192
"""Characters of one value that are kept."""
MAX_DEPTH = 8
"""Levels of nesting that are kept, the line itself being the first."""
MAX_LINE = 65_536
"""Characters that all values of one line may have together, 16 being counted for each value beside its text."""

_COST = 16
_CUT = "…"
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


def json_safe(fields: Mapping[Any, Any], redaction: Redaction) -> dict[str, Any]:
    """Return *fields* as JSON values: ``dict``, ``list``, ``str``, ``int``, ``float``, ``bool`` and ``None``.

    What JSON does not have becomes text: bytes (decoded), NaN and the infinities, integers beyond 64 bits, lone
    surrogates (replaced), dates, decimals, any object (its ``str``). Data classes and models become mappings, so that
    the names of their fields are checked too. What cannot even be printed becomes ``<unprintable ClassName>``.
    """
    return _Walk(redaction).mapping(fields, 1)


def is_safe(fields: Mapping[Any, Any], redaction: Redaction) -> bool:
    """Return whether :func:`json_safe` would change nothing of *fields*, so that they can be encoded as they are.

    Most lines are like that: a few short texts and numbers. Texts are not searched for lone surrogates, and names not for
    what merely equals a text: neither has JSON, and whoever encodes them meets an error.
    """
    if redaction.patterns_in_fields or type(fields) is not dict or not redaction.leaves(fields):
        return False
    size = 0
    for value in fields.values():
        kind = type(value)
        if kind is str:
            size += len(value)
        elif kind is int:
            if not _SMALLEST <= value <= _LARGEST:
                return False
        elif kind is float:
            if not math.isfinite(value):
                return False
        elif kind is not bool and value is not None:
            return False
    return size <= MAX_TEXT


class _Walk:
    """One walk over one line."""

    __slots__ = ("_redaction", "_room")

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._room = MAX_LINE

    def mapping(self, fields: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        """Return *fields* with safe keys and values, in their order."""
        safe: dict[str, Any] = {}
        redaction, plain_text = self._redaction, not self._redaction.patterns_in_fields
        decided, room = redaction.known.get, self._room
        for key, value in fields.items():
            room -= _COST
            if room < 0:
                safe[_CUT] = _CUT
                break
            # A name that was decided before is safe as well.
            hidden, name = decided(key) if type(key) is str else None, key
            if hidden is None:
                name = self._name(key)
                hidden = redaction.hides(name)
            if hidden:
                safe[name] = MASK
            elif type(value) is str and plain_text and len(value) < 512 and value.isascii():
                room -= len(value)
                safe[name] = value
            else:
                self._room = room
                safe[name] = self.value(value, depth + 1)
                room = self._room
        self._room = room
        return safe

    def value(self, value: Any, depth: int) -> Any:
        """Return one value as JSON has it."""
        try:
            return self._plain(value, depth)
        except Exception as error:  # noqa: BLE001 - whatever a foreign object raises, the line must come out
            return f"<unprintable {type(value).__name__}: {type(error).__name__}>"

    def _plain(self, value: Any, depth: int) -> Any:
        if value is None or value is True or value is False:
            return value
        kind = type(value)
        if kind is str:
            return self._text(value)
        if kind is int:
            return value if _SMALLEST <= value <= _LARGEST else self._long_integer(value)
        if kind is float:
            return value if math.isfinite(value) else str(value)
        if depth > MAX_DEPTH and not isinstance(value, str | int | float | bytes | Enum | date | time):
            return _CUT
        return self._object(value, depth)

    def _object(self, value: Any, depth: int) -> Any:
        match value:
            case Enum():
                return self._plain(value.value, depth + 1) if depth <= MAX_DEPTH else _CUT
            case str():
                return self._text(str.__str__(value))
            case int():
                return self._plain(int.__int__(value), depth)
            case float():
                return self._plain(float.__float__(value), depth)
            case bytes() | bytearray() | memoryview():
                return self._text(bytes(value[: MAX_TEXT + 1]).decode("utf-8", "backslashreplace"))
            case Mapping():
                return self.mapping(value, depth)
            case list() | tuple() | set() | frozenset():
                return self._list(value, depth)
            case date() | time():
                return value.isoformat()
            case BaseException():
                return self._text(self._redaction.mask(f"{type(value).__name__}: {value}"))
        return self._opaque(value, depth)

    def _opaque(self, value: Any, depth: int) -> Any:
        fields = _fields_of(value)
        return self._text(str(value)) if fields is None else self.mapping(fields, depth)

    def _list(self, values: Iterable[Any], depth: int) -> list[Any]:
        safe: list[Any] = []
        for value in values:
            self._room -= _COST
            if self._room < 0:
                safe.append(_CUT)
                break
            safe.append(self.value(value, depth + 1))
        return safe

    def _name(self, key: Any) -> str:
        plain = self.value(key, MAX_DEPTH)
        return (plain if isinstance(plain, str) else str(plain))[:256]

    def _text(self, text: str) -> str:
        length = len(text)
        kept = min(length, MAX_TEXT, max(self._room, 0))
        if kept < length:
            text = f"{text[:kept]}{_CUT}[{length - kept} more]"
        self._room -= kept
        if not text.isascii():
            # Lone surrogates have no UTF-8 form.
            text = text.encode("utf-8", "replace").decode("utf-8")
        return self._redaction.mask(text) if self._redaction.patterns_in_fields else text

    def _long_integer(self, value: int) -> str:
        # Python refuses to print an integer of more than 4,300 digits; its size is all that a log needs then.
        return str(value) if value.bit_length() < 4_096 else f"<integer of {value.bit_length()} bits>"


def _fields_of(value: Any) -> Mapping[str, Any] | None:
    """Return the fields of a data class, a pydantic model or an attrs instance that it shows in its own ``repr``."""
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(kind) if field.repr}
    if (model := getattr(kind, "__pydantic_fields__", None)) is not None:
        return {name: getattr(value, name) for name, field in model.items() if field.repr}
    if (attributes := getattr(kind, "__attrs_attrs__", None)) is not None:
        return {attribute.name: getattr(value, attribute.name) for attribute in attributes if attribute.repr}
    return None
