"""Conditions mean what they mean in DynamoDB, on both engines."""

from typing import Any

import pytest

from common.dynamo.requests import (
    And,
    BeginsWith,
    Between,
    Compare,
    Condition,
    Contains,
    Exists,
    HasType,
    In,
    Not,
    NotExists,
    Or,
    Path,
    Size,
    Update,
)
from common.dynamo.testing.values import B, N, S, const, path

ITEM: dict[str, Any] = {
    "n": N(5),
    "s": S("abc"),
    "e": S(""),
    "b": B(b"abc"),
    "t": {"BOOL": True},
    "z": {"NULL": True},
    "l": {"L": [N(1), S("x")]},
    "m": {"M": {"k": S("v"), "d": {"M": {"x": N(1)}}}},
    "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2"]},
}
TRUE, FALSE = "OK", "ConditionalCheckFailedException"
REFUSED = "ValidationException"


def eq(left: Any, value: Any) -> Compare:
    return Compare("=", left if isinstance(left, Size) else path(*left.split(".")), const(value))


def cmp(op: Any, name: str, value: Any) -> Compare:
    return Compare(op, path(name), const(value))


ROWS: list[tuple[str, Condition, str]] = [
    ("a missing attribute equals nothing", eq("q", N(1)), FALSE),
    ("a missing attribute differs from everything", cmp("<>", "q", N(1)), TRUE),
    ("a missing attribute is not smaller", cmp("<", "q", N(1)), FALSE),
    ("not (missing = x) holds", Not(eq("q", N(1))), TRUE),
    ("two missing attributes are not equal", Compare("=", path("q1"), path("q2")), FALSE),
    ("two missing attributes differ", Compare("<>", path("q1"), path("q2")), TRUE),
    ("values of different types are not equal", eq("n", S("5")), FALSE),
    ("values of different types differ", cmp("<>", "s", N(1)), TRUE),
    ("values of different types are in no order", cmp("<", "s", N(1)), FALSE),
    ("numbers are equal by value", eq("n", N("5.0")), TRUE),
    ("numbers compare by value, not by digits", cmp("<", "n", N(10)), TRUE),
    ("strings compare by their bytes", cmp("<", "s", S("abd")), TRUE),
    ("binaries compare by their bytes", cmp(">", "b", B(b"abb")), TRUE),
    ("booleans are equal", eq("t", {"BOOL": True}), TRUE),
    ("nulls are equal", eq("z", {"NULL": True}), TRUE),
    ("lists are equal by value", eq("l", {"L": [N("1.0"), S("x")]}), TRUE),
    ("lists have an order", eq("l", {"L": [S("x"), N(1)]}), FALSE),
    ("maps are equal by value", eq("m", {"M": {"d": {"M": {"x": N("1.0")}}, "k": S("v")}}), TRUE),
    ("sets have no order", eq("ns", {"NS": ["2", "1"]}), TRUE),
    ("a set is no list", eq("ss", {"L": [S("a"), S("b")]}), FALSE),
    ("size of a string is its characters", eq(Size(path("s")), N(3)), TRUE),
    ("size of an empty string is zero", eq(Size(path("e")), N(0)), TRUE),
    ("size of a binary is its bytes", eq(Size(path("b")), N(3)), TRUE),
    ("size of a list is its elements", eq(Size(path("l")), N(2)), TRUE),
    ("size of a map is its members", eq(Size(path("m")), N(2)), TRUE),
    ("size of a set is its members", eq(Size(path("ss")), N(2)), TRUE),
    ("a number has no size", Compare(">=", Size(path("n")), const(N(0))), FALSE),
    ("a boolean has no size", Compare(">=", Size(path("t")), const(N(0))), FALSE),
    ("a missing attribute has no size", Compare(">=", Size(path("q")), const(N(0))), FALSE),
    ("sizes compare with each other", Compare("=", Size(path("s")), Size(path("b"))), TRUE),
    ("begins_with takes strings", BeginsWith(path("s"), const(S("ab"))), TRUE),
    ("begins_with takes binaries", BeginsWith(path("b"), const(B(b"ab"))), TRUE),
    ("begins_with is strict about types", BeginsWith(path("s"), const(B(b"ab"))), FALSE),
    ("begins_with takes another attribute", BeginsWith(path("s"), path("e")), TRUE),
    ("begins_with of a number is false", BeginsWith(path("n"), const(S("5"))), FALSE),
    ("contains finds a substring", Contains(path("s"), const(S("bc"))), TRUE),
    ("contains finds bytes", Contains(path("b"), const(B(b"bc"))), TRUE),
    ("contains finds a member of a set", Contains(path("ss"), const(S("a"))), TRUE),
    ("contains finds a number by value", Contains(path("ns"), const(N("1.0"))), TRUE),
    ("contains finds an element of a list", Contains(path("l"), const(N(1))), TRUE),
    ("contains is strict about types in a list", Contains(path("l"), const(S("1"))), FALSE),
    ("contains does not look at the names of a map", Contains(path("m"), const(S("k"))), FALSE),
    ("contains of a number is false", Contains(path("n"), const(N(5))), FALSE),
    ("a set does not contain a set", Contains(path("ss"), const({"SS": ["a"]})), FALSE),
    ("between includes both ends", Between(path("n"), const(N(1)), const(N(5))), TRUE),
    ("between is strict about types", Between(path("s"), const(N(1)), const(N(5))), FALSE),
    ("between takes a constant in an interval of attributes", Between(const(N(5)), path("n"), const(N(9))), TRUE),
    ("in finds one of several", In(path("n"), (const(N(1)), const(N(5)))), TRUE),
    ("in is strict about types", In(path("n"), (const(S("5")),)), FALSE),
    ("in does not find a missing attribute", In(path("q"), (const(N(1)),)), FALSE),
    ("attribute_type names the type", HasType(path("n"), "N"), TRUE),
    ("attribute_type tells sets from their members", HasType(path("ss"), "S"), FALSE),
    ("attribute_type of a missing attribute is false", HasType(path("q"), "S"), FALSE),
    ("a nested attribute exists", Exists(path("m", "d", "x")), TRUE),
    ("an element of a list exists", Exists(path("l", 1)), TRUE),
    ("an element past the end does not exist", NotExists(path("l", 9)), TRUE),
    ("nothing is below a scalar", NotExists(path("s", "x")), TRUE),
    ("a null attribute exists", Exists(path("z")), TRUE),
    ("and needs all", And((Exists(path("n")), Exists(path("q")))), FALSE),
    ("or needs one", Or((Exists(path("q")), Exists(path("n")))), TRUE),
    ("not of and of or", Not(And((Exists(path("n")), Or((Exists(path("q")), Exists(path("q2"))))))), TRUE),
]


@pytest.mark.parametrize(("condition", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_condition_is_evaluated_as_in_dynamodb(bench: Any, condition: Condition, expected: str) -> None:
    """A missing attribute, another type, an equal number: each condition holds exactly where DynamoDB's does."""
    bench.put(**ITEM)

    answer = bench.update(Update(set=((path("touched"), const(N(1))),)), condition=condition)

    assert expected == ("OK" if answer.status == 200 else answer.body["__type"])


REFUSALS: list[tuple[str, Condition, str | None]] = [
    ("begins_with a number", BeginsWith(path("n"), const(N(5))), None),
    ("between from high to low", Between(path("n"), const(N(5)), const(N(1))), None),
    ("between two types", Between(path("n"), const(N(1)), const(S("z"))), None),
    ("in nothing", In(path("n"), ()), None),
    ("in 101 options", In(path("n"), tuple(const(N(i)) for i in range(101))), "many-options"),
    ("contains itself", Contains(path("s"), path("s")), None),
    ("equal to itself", Compare("=", path("n"), path("n")), "lax-operands"),
    ("smaller than a boolean", cmp("<", "t", {"BOOL": True}), "lax-operands"),
    ("between lists", Between(path("l"), const({"L": []}), const({"L": []})), "lax-operands"),
    ("a type that is none", HasType(path("n"), "STRING"), "lax-types"),
    ("a constant that is no number", eq("n", N("five")), None),
    ("a constant that is an empty set", eq("ss", {"SS": []}), None),
]


@pytest.mark.parametrize(("condition", "fault"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_a_condition_that_cannot_be_meant_is_refused(bench: Any, condition: Condition, fault: str | None) -> None:
    """Wrong operands are a validation error, whatever the item holds, and nothing is written."""
    bench.put(**ITEM)

    answer = bench.update(Update(set=((path("touched"), const(N(1))),)), condition=condition)

    bench.check(REFUSED, answer.body.get("__type"), fault)


def test_an_expression_over_4_kb_is_refused(bench: Any) -> None:
    """The limit of one expression holds on every wire, before anything is sent."""
    many = Or(tuple(Exists(Path((f"a{i}", "b"))) for i in range(200)))

    answer = bench.put(condition=many)

    assert (400, REFUSED) == (answer.status, answer.body["__type"])


def test_a_failed_condition_brings_the_stored_item(bench: Any) -> None:
    """The refusal of each conditional write carries the item that refused it."""
    bench.put(n=N(1))

    refused = [
        bench.put(condition=NotExists(path("pk"))),
        bench.update(Update(remove=(path("n"),)), condition=eq("n", N(2))),
        bench.delete(condition=eq("n", N(2))),
    ]

    assert [N(1)] * 3 == [answer.body["Item"]["n"] for answer in refused]
    assert {"n": N(1)} == bench.get()


def test_a_condition_on_a_missing_item_brings_no_item(bench: Any) -> None:
    """There is no stored item to show, and none is made."""
    answer = bench.update(Update(set=((path("n"), const(N(1))),)), condition=Exists(path("pk")))

    assert FALSE == answer.body["__type"]
    assert "Item" not in answer.body
    assert bench.get() is None
