"""Values are stored as DynamoDB stores them, or refused as it refuses them, on both engines."""

from typing import Any

import pytest

from common.dynamo.requests import GetItem, PutItem
from common.dynamo.testing.values import B, N, S, key

REFUSED = "ValidationException"

CANONICAL = [
    ("1.00", "1"),
    ("-0.0", "0"),
    ("+5", "5"),
    ("5.", "5"),
    (".5", "0.5"),
    ("1E3", "1000"),
    ("1e-3", "0.001"),
    ("007.10", "7.1"),
    ("12345678901234567.89", "12345678901234567.89"),
    ("9" * 38, "9" * 38),
    ("1" + "0" * 37 + "0", "1" + "0" * 38),
    ("1e125", "1" + "0" * 125),
    ("1e-130", "0." + "0" * 129 + "1"),
]


@pytest.mark.parametrize(("given", "stored"), CANONICAL, ids=[row[0][:20] for row in CANONICAL])
def test_a_number_comes_back_in_canonical_form(bench: Any, given: str, stored: str) -> None:
    """Plain digits, no needless zeros, no exponent, and not one digit lost."""
    assert 200 == bench.put(n=N(given)).status

    assert {"n": N(stored)} == bench.get()


REFUSALS: list[tuple[str, dict[str, Any]]] = [
    ("39 digits", N("1" * 39)),
    ("39 digits around the point", N("12345678901234567890.1234567890123456789")),
    ("too large", N("1e126")),
    ("too small", N("1e-131")),
    ("not a number", N("NaN")),
    ("infinity", N("Infinity")),
    ("no digits", N("")),
    ("blanks", N(" 1")),
    ("Arabic digits", N("١")),
    ("an underscore", N("1_000")),
    ("an empty set", {"SS": []}),
    ("a member twice", {"SS": ["a", "a"]}),
    ("a number twice, written differently", {"NS": ["1", "1.0"]}),
    ("a false null", {"NULL": False}),
]


@pytest.mark.parametrize("value", [row[1] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_a_value_that_is_none_is_refused(bench: Any, value: dict[str, Any]) -> None:
    """It is a validation error, and nothing is stored."""
    assert REFUSED == bench.put(v=value).body["__type"]
    assert bench.get() is None


def test_every_type_survives(bench: Any) -> None:
    """What is read is what was written, binary and empty values included."""
    item = {
        "s": S("é\U0001f600\x00"),
        "e": S(""),
        "b": B(b"\x00\xff"),
        "eb": B(b""),
        "t": {"BOOL": False},
        "z": {"NULL": True},
        "l": {"L": [{"M": {"b": B(b"deep"), "": S("empty name")}}, {"L": []}]},
        "m": {"M": {}},
        "bs": {"BS": [b"\x01", b"\x02"]},
    }
    bench.put(**item)

    found = bench.get()
    found["bs"]["BS"].sort()

    assert item == found


def nested(levels: int, kind: str) -> dict[str, Any]:
    value = S("x")
    for _ in range(levels):
        value = {"L": [value]} if kind == "L" else {"M": {"a": value}}
    return value


@pytest.mark.parametrize("kind", ["L", "M"])
@pytest.mark.parametrize(("levels", "code"), [(31, "OK"), (32, REFUSED)])
def test_nesting_ends_at_32_levels(bench: Any, kind: str, levels: int, code: str) -> None:
    """An attribute is 32 levels deep at most, the innermost value included."""
    answer = bench.put(v=nested(levels, kind))

    assert code == ("OK" if answer.status == 200 else answer.body["__type"])


ITEM_BYTES = 400 * 1024
OVERHEAD = len("pk" + "a" + "sk" + "1" + "v")


@pytest.mark.parametrize(("size", "code"), [(ITEM_BYTES, "OK"), (ITEM_BYTES + 1, REFUSED)])
def test_an_item_has_400_kb_at_most(bench: Any, size: int, code: str) -> None:
    """Names count like values; the limit itself is allowed."""
    answer = bench.put(v=S("x" * (size - OVERHEAD)))

    assert code == ("OK" if answer.status == 200 else answer.body["__type"])


KEYS: list[tuple[str, dict[str, Any], str]] = [
    ("the longest partition key", key("x" * 2048, "1"), "OK"),
    ("a longer partition key", key("x" * 2049, "1"), REFUSED),
    ("a partition key that is long in bytes", key("é" * 1025, "1"), REFUSED),
    ("the longest sort key", key("a", "x" * 1024), "OK"),
    ("a longer sort key", key("a", "x" * 1025), REFUSED),
    ("an empty partition key", key("", "1"), REFUSED),
    ("an empty sort key", key("a", ""), REFUSED),
    ("no sort key", {"pk": S("a")}, REFUSED),
    ("no partition key", {"sk": S("a")}, REFUSED),
    ("a key of another type", {"pk": N(1), "sk": S("1")}, REFUSED),
    ("an empty index key", {**key("a", "1"), "g1pk": S("")}, REFUSED),
    ("half an index key", {**key("a", "1"), "g1pk": S("x")}, "OK"),
    ("half an index key of another type", {**key("a", "1"), "g1sk": N(1)}, REFUSED),
    ("an index key of another type", {**key("a", "1"), "g2pk": S("a"), "num": S("1")}, REFUSED),
]


@pytest.mark.parametrize(("item", "code"), [row[1:] for row in KEYS], ids=[row[0] for row in KEYS])
def test_keys_are_checked_before_anything_is_stored(bench: Any, item: dict[str, Any], code: str) -> None:
    """Key attributes are there, of their type, not empty, and within their length in bytes."""
    assert code == bench.code(PutItem(table=bench.table, item=item))


def test_an_index_key_has_the_limits_of_a_key(bench: Any) -> None:
    """An item whose index key is too long is refused, as its own key would be."""
    answer = bench.put(g1pk=S("x" * 2049), g1sk=S("1"))

    bench.check(REFUSED, answer.body.get("__type"), "long-index-keys")


@pytest.mark.parametrize(
    "wrong", [{"pk": S("a")}, {**key("a", "1"), "x": S("1")}, {"pk": S("a"), "sk": N(1)}, key("", "1")]
)
def test_a_read_by_a_wrong_key_is_refused(bench: Any, wrong: dict[str, Any]) -> None:
    """A key is exactly the key attributes of the table."""
    assert REFUSED == bench.code(GetItem(table=bench.table, key=wrong))


def test_no_message_of_a_refusal_holds_a_value(bench: Any) -> None:
    """What the embedded engine says about a wrong value does not repeat it; logs stay clean."""
    secrets = [
        bench.put(v=N("secret-number")),
        bench.put(v={"SS": ["secret", "secret"]}),
        bench.put(partition="secret" * 400),
        bench.put(g1pk=N(4711)),
    ]

    for answer in secrets:
        assert 400 == answer.status
        if not bench.is_dynoxide:
            assert "secret" not in answer.body["message"]
            assert "4711" not in answer.body["message"]
