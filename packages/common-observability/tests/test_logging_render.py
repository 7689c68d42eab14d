"""One line is one valid JSON object, whatever a program puts into it."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.observability.logging.json_safe import MAX_LINE, MAX_TEXT, is_safe, json_safe
from common.observability.logging.redaction import Redaction
from common.observability.logging.render import encode_with_stdlib, render

Encoder = Callable[[Mapping[str, Any]], bytes]
ENCODERS = [pytest.param(orjson.dumps, id="orjson"), pytest.param(encode_with_stdlib, id="json")]


class Unprintable:
    """An object whose text cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class Sly(str):
    """A text that lies about itself."""

    def __str__(self) -> str:
        raise ValueError("no text")


class Broken(dict[str, Any]):
    """A mapping that cannot be read."""

    def items(self) -> Any:
        raise RuntimeError("dictionary changed size during iteration")


class Colour(Enum):
    """An enumeration with a value that JSON does not have."""

    RED = b"\xff"


@dataclass
class Card:
    """A data class with a field to hide."""

    holder: str
    card_number: str
    note: str = field(default="kept out by its own repr", repr=False)


def endless_mapping() -> dict[str, Any]:
    """Return a mapping that contains itself."""
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    return cycle


def endless_list() -> list[Any]:
    """Return a list that contains itself many times."""
    cycle: list[Any] = []
    cycle.extend([cycle] * 50)
    return cycle


EVILS: dict[str, tuple[Any, Any]] = {
    "bytes": (b"\xff\x00a", "\\xff\x00a"),
    "memoryview": (memoryview(b"abc"), "abc"),
    "not a number": (math.nan, "nan"),
    "infinity": (-math.inf, "-inf"),
    "lone surrogate": ("a\ud800b", "a?b"),
    "integer beyond 64 bits": (2**64, "18446744073709551616"),
    "integer beyond printing": (10**5000, "<integer of 16610 bits>"),
    "largest integer": (2**64 - 1, 2**64 - 1),
    "line ends": ("a\nb\r\u2028", "a\nb\r\u2028"),
    "unprintable": (Unprintable(), "<unprintable Unprintable: ValueError>"),
    "text that lies": (Sly("ok"), "ok"),
    "broken mapping": (Broken(a=1), "<unprintable Broken: RuntimeError>"),
    "enumeration": (Colour.RED, "\\xff"),
    "data class": (Card("ann", "4111"), {"holder": "ann", "card_number": "[redacted]"}),
    "exception": (ValueError("token=abcdef"), "ValueError: [redacted]"),
    "set": ({1}, [1]),
    "decimal": (Decimal("0.10"), "0.10"),
    "time": (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
    "uuid": (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "class": (int, "<class 'int'>"),
    "nothing": (None, None),
    "boolean": (True, True),
}


@pytest.mark.parametrize("encode", ENCODERS)
@pytest.mark.parametrize(("value", "expected"), EVILS.values(), ids=EVILS.keys())
def test_evil_values_become_json(value: Any, expected: Any, encode: Encoder) -> None:
    """Each value that JSON does not have becomes one that it has."""
    assert {"value": expected} == json.loads(render({"value": value}, encode=encode))


@pytest.mark.parametrize("encode", ENCODERS)
@pytest.mark.parametrize("value", [endless_mapping(), endless_list(), ["x" * 1000] * 1000, {"a": "y" * 1_000_000}])
def test_endless_and_huge_values_are_cut(value: Any, encode: Encoder) -> None:
    """Cycles end, and what is larger than a line may be is cut, at a length that the line cannot exceed by much."""
    line = render({"message": "kept", "value": value}, encode=encode)

    assert "kept" == json.loads(line)["message"]
    assert len(line) < 2 * MAX_LINE


def test_a_long_text_tells_how_much_is_missing() -> None:
    """A text of 1 MB keeps its beginning and the number of characters cut."""
    value = json.loads(render({"value": "x" * 1_000_000}))["value"]

    assert "x" * MAX_TEXT + f"…[{1_000_000 - MAX_TEXT} more]" == value


@pytest.mark.parametrize(
    "key", [None, 1, 1.5, True, (1, 2), b"k", "\ud800", "k" * 1000, Unprintable()], ids=lambda key: type(key).__name__
)
def test_any_key_becomes_text(key: Any) -> None:
    """A key that is no text, or none that JSON has, becomes one."""
    assert 1 == len(json.loads(render({key: 1})))


def test_fields_that_cannot_be_read_leave_a_line() -> None:
    """A mapping that raises while it is read costs its line, and the line says so."""
    line = json.loads(render(Broken(a=1)))

    assert {"level": "ERROR", "message": "A log line was lost.", "error.type": "RuntimeError"} == line


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.text(st.characters(categories=["Cs", "Cc"]))
    | st.binary()
    | st.decimals()
    | st.datetimes()
    | st.uuids(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.integers(), inner) | st.tuples(inner),
    max_leaves=10,
)


@pytest.mark.thorough
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fields=st.dictionaries(st.text(st.characters()), VALUES))
def test_any_fields_give_one_line_of_the_same_json_values(fields: dict[str, Any]) -> None:
    """Whatever the fields, the line is UTF-8, one line, one object, and the same with and without orjson."""
    fast, plain = render(fields, encode=orjson.dumps), render(fields, encode=encode_with_stdlib)

    assert b"\n" not in fast
    assert b"\n" not in plain
    assert isinstance(json.loads(fast.decode("utf-8")), dict)
    assert json.loads(plain) == json.loads(fast)


FLAT = st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=20)
NAMES = st.sampled_from(["message", "user", "password", "Api-Key", "größe", "\ud800", "x" * 70]) | st.text(max_size=5)


@settings(deadline=None)
@given(fields=st.dictionaries(NAMES, FLAT | VALUES, max_size=8), hidden=st.sampled_from(["user", "none"]))
def test_a_line_that_is_taken_as_it_is_is_what_a_look_at_each_value_gives(fields: dict[str, Any], hidden: str) -> None:
    """Most lines need no change and are encoded at once: names, values and order are those of the long way."""
    redaction = Redaction(names=frozenset({hidden}))
    for encode in (orjson.dumps, encode_with_stdlib):
        long_way = encode(json_safe(fields, redaction))

        assert [long_way] * 2 == [render(fields, redaction=redaction, encode=encode) for _ in range(2)]


def test_an_ordinary_line_is_taken_as_it_is() -> None:
    """Short texts and numbers under harmless names."""
    fields = {"message": "grüß dich", "count": 2**63, "ratio": 0.5, "is_open": True, "cause": None}

    assert is_safe(fields, Redaction())


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "x"},
        {"user": "x"},
        {1: "x"},
        {"a": 2**64},
        {"a": math.nan},
        {"a": ["x"]},
        {"a": Sly("x")},
        {"a": "x" * (MAX_TEXT + 1)},
        dict.fromkeys(map(str, range(200)), "x" * 400),
    ],
    ids=["secret", "secret of the service", "no text", "long integer", "NaN", "list", "text that lies", "long", "many"],
)
def test_a_line_with_something_to_change_is_looked_at(fields: dict[Any, Any]) -> None:
    """Also the second time."""
    redaction = Redaction(names=frozenset({"user"}))

    assert [False, False] == [is_safe(fields, redaction) for _ in range(2)]


def test_patterns_in_fields_are_searched_in_every_line() -> None:
    """Names alone do not tell then."""
    assert not is_safe({"message": "hello"}, Redaction(patterns_in_fields=True))


@pytest.mark.parametrize("encode", ENCODERS)
def test_a_name_that_only_equals_a_text_is_written_as_one(encode: Encoder) -> None:
    """Even where a line with the true text went before."""
    redaction = Redaction()
    assert b'{"a":1}' == render({"a": 1}, redaction=redaction, encode=encode)

    assert b'{"a":1}' == render({Sly("a"): 1}, redaction=redaction, encode=encode)


def test_what_is_remembered_of_lines_is_bounded() -> None:
    """A service that makes up names does not fill the memory."""
    redaction = Redaction()
    for number in range(3000):
        render({f"name-{number}": 1}, redaction=redaction)
    render({f"name-{number}": 1 for number in range(200)}, redaction=redaction)
    render({"x" * 100: 1}, redaction=redaction)

    assert len(redaction.harmless) <= 1024
    assert {1} == {len(names) for names in redaction.harmless}
    assert all(len(name) <= 64 for (name,) in redaction.harmless)


def test_orjson_is_used_where_it_is_installed_and_not_needed(python: Callable[..., Any]) -> None:
    """The encoder is orjson's where it can be imported, else that of the standard library."""
    program = """
import sys
if "{orjson}" == "absent":
    sys.modules["orjson"] = None
from common.observability.logging.render import encode, render
print(encode.__module__, render({{"a": 1}}).decode())
"""
    assert f'{orjson.dumps.__module__} {{"a":1}}\n' == python(program.format(orjson="present")).stdout
    assert 'common.observability.logging.render {"a":1}\n' == python(program.format(orjson="absent")).stdout
