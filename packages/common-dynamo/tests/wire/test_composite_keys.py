"""Indexes whose keys have several attributes: the embedded engine has them, and dynoxide is known not to."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.dynamo.requests import (
    CreateTable,
    IndexDefinition,
    KeyCondition,
    KeySchema,
    Query,
    Scan,
    SortCondition,
    TableDefinition,
)
from common.dynamo.testing import fresh_table_name
from common.dynamo.testing.values import key
from common.dynamo.wire.embedded.keys import composite

A: Mapping[str, Any] = {"S": "A"}
SCHEMA = KeySchema("a", "c", "S", "N", (("b", "S"),), (("d", "S"), ("e", "B")))
COMPOSITE = IndexDefinition("GSI1", SCHEMA)
FAULT = "first-key-attributes"


@pytest.fixture
def table(bench: Any) -> Any:
    """The bench, on a table with one such index and nine items, one of which is not in it."""
    bench.table = fresh_table_name()
    definition = TableDefinition(name=bench.table, key=KeySchema("pk", "sk"), indexes=(COMPOSITE,))
    assert "OK" == bench.code(CreateTable(definition=definition))
    for number in range(8):
        d, e = {"S": "d" * (number % 2 + 1)}, {"B": bytes([number])}
        bench.put(f"p{number}", a=A, b={"S": "B"}, c={"N": str((number // 4) * 13 - 3)}, d=d, e=e)
    bench.put("q0", a=A, b={"S": "C"}, c={"N": "0"}, d={"S": "d"}, e={"B": b"\0"})
    bench.put("q1", a=A, b={"S": "B"}, c={"N": "0"}, d={"S": "d"})
    return bench


def condition(
    others: Mapping[str, Any], sort_name: str | None = None, sort: SortCondition | None = None
) -> KeyCondition:
    return KeyCondition("a", A, sort_name, sort, tuple({"b": {"S": "B"}, **others}.items()))


def found(bench: Any, **request: Any) -> Any:
    """Return the partition keys of the items of a query, or the code of its refusal."""
    answer = bench.send(Query(table=bench.table, index="GSI1", **request))
    return [item["pk"]["S"] for item in answer.body["Items"]] if answer.status == 200 else answer.body["__type"]


N3, D = {"c": {"N": "-3"}}, {"c": {"N": "-3"}, "d": {"S": "d"}}
ROWS = {
    "all, by number, text and bytes": (condition({}), ["p0", "p2", "p1", "p3", "p4", "p6", "p5", "p7"]),
    "one sort attribute": (condition(N3), ["p0", "p2", "p1", "p3"]),
    "two": (condition(D), ["p0", "p2"]),
    "all three": (condition({**D, "e": {"B": b"\2"}}), ["p2"]),
    "equal by range": (condition(D, "e", SortCondition("=", {"B": b"\2"})), ["p2"]),
    "above a number": (condition({}, "c", SortCondition(">", {"N": "-3"})), ["p4", "p6", "p5", "p7"]),
    "from a number": (
        condition({}, "c", SortCondition(">=", {"N": "-3.0"})),
        ["p0", "p2", "p1", "p3", "p4", "p6", "p5", "p7"],
    ),
    "below a number": (condition({}, "c", SortCondition("<", {"N": "10"})), ["p0", "p2", "p1", "p3"]),
    "up to a number": (condition({}, "c", SortCondition("<=", {"N": "9"})), ["p0", "p2", "p1", "p3"]),
    "between numbers": (
        condition({}, "c", SortCondition("between", {"N": "9"}, {"N": "11"})),
        ["p4", "p6", "p5", "p7"],
    ),
    "between texts": (condition(N3, "d", SortCondition("between", {"S": "d"}, {"S": "d"})), ["p0", "p2"]),
    "a prefix": (condition(N3, "d", SortCondition("begins_with", {"S": "dd"})), ["p1", "p3"]),
    "every prefix": (condition(N3, "d", SortCondition("begins_with", {"S": "d"})), ["p0", "p2", "p1", "p3"]),
    "above bytes": (condition(D, "e", SortCondition(">", {"B": b"\0"})), ["p2"]),
    "part of the partition": (KeyCondition("a", A), "ValidationException"),
    "not from the left": (condition({"d": {"S": "d"}}), "ValidationException"),
    "a range not from the left": (condition({}, "d", SortCondition(">", {"S": "d"})), "ValidationException"),
    "an attribute of no key": (condition({"pk": {"S": "p0"}}), "ValidationException"),
    "another type": (condition({"c": {"S": "x"}}), "ValidationException"),
    "an empty range": (condition({}, "c", SortCondition("between", {"N": "2"}, {"N": "1"})), "ValidationException"),
    "a prefix of a number": (condition({}, "c", SortCondition("begins_with", {"N": "1"})), "ValidationException"),
}
ALIKE = {"not from the left", "a range not from the left", "an attribute of no key", "another type", "an empty range"}
ALIKE |= {"a prefix of a number", "a table of several"}
"""Refused by dynoxide as well."""


@pytest.mark.parametrize("row", ROWS)
def test_key_conditions_name_all_of_the_partition_and_the_sort_key_from_the_left(table: Any, row: str) -> None:
    """By equality, and a range last; in the order of the attributes."""
    asked, expected = ROWS[row]

    table.check(expected, found(table, key=asked), None if row in ALIKE else FAULT)


def test_pages_go_on_after_any_item_in_both_directions(table: Any) -> None:
    """A starting key has every attribute of both keys."""
    walked: dict[bool, list[str]] = {}
    for forward in (True, False):
        start, names = None, []
        while True:
            request = Query(table=table.table, index="GSI1", key=condition({}), limit=3, forward=forward, start=start)
            answer = table.send(request)
            if answer.status != 200:
                break
            names += [item["pk"]["S"] for item in answer.body["Items"]]
            start = answer.body.get("LastEvaluatedKey")
            if start is None:
                break
            assert {"a", "b", "c", "d", "e", "pk", "sk"} == start.keys()
        walked[forward] = names

    expected = ["p0", "p2", "p1", "p3", "p4", "p6", "p5", "p7"]
    table.check({True: expected, False: expected[::-1]}, walked, FAULT)


def test_an_item_without_one_of_the_attributes_is_not_in_the_index(table: Any) -> None:
    """Sparse, as an index of one attribute is."""
    answer = table.send(Scan(table=table.table, index="GSI1"))
    names = sorted(item["pk"]["S"] for item in answer.body["Items"])

    table.check([*(f"p{number}" for number in range(8)), "q0"], names, FAULT)


def test_an_attribute_of_another_type_is_refused(table: Any) -> None:
    """As for an index of one attribute: the item cannot be stored."""
    answer = table.put("z", a=A, b={"S": "B"}, c={"N": "0"}, d={"N": "1"}, e={"B": b"\1"})

    table.check(400, answer.status, FAULT)


def test_a_definition_is_described_as_it_was_made(table: Any) -> None:
    """Several HASH and several RANGE elements, in order; dynoxide describes what it does not do."""
    from common.dynamo.requests import DescribeTable

    [index] = table.send(DescribeTable(table=table.table)).body["Table"]["GlobalSecondaryIndexes"]

    assert [("a", "HASH"), ("b", "HASH"), ("c", "RANGE"), ("d", "RANGE"), ("e", "RANGE")] == [
        (each["AttributeName"], each["KeyType"]) for each in index["KeySchema"]
    ]


FIVE = tuple((name, "S") for name in "bcde")
WRONG = {
    "a table of several": TableDefinition(name="", key=SCHEMA),
    "five attributes": TableDefinition(
        name="",
        key=KeySchema("pk"),
        indexes=(IndexDefinition("GSI1", KeySchema("a", more_partition=FIVE)),),  # type: ignore[arg-type]
    ),
    "one attribute twice": TableDefinition(
        name="", key=KeySchema("pk"), indexes=(IndexDefinition("GSI1", KeySchema("a", "b", more_sort=(("a", "S"),))),)
    ),
    "one in two types": TableDefinition(
        name="", key=KeySchema("pk"), indexes=(IndexDefinition("GSI1", KeySchema("a", "b", more_sort=(("pk", "N"),))),)
    ),
}


@pytest.mark.parametrize("row", WRONG)
def test_wrong_definitions_are_refused(bench: Any, row: str) -> None:
    """Too many, twice, in two types, or for the key of a table."""
    definition = WRONG[row]
    named = TableDefinition(name=fresh_table_name(), key=definition.key, indexes=definition.indexes)

    bench.check("ValidationException", bench.code(CreateTable(definition=named)), None if row in ALIKE else FAULT)


@given(st.lists(st.lists(st.binary(max_size=4), min_size=3, max_size=3), min_size=2, max_size=2))
def test_composite_bytes_sort_as_the_attributes_do(pair: list[list[bytes]]) -> None:
    """One after the other, for any bytes; and only equal ones are equal."""
    one, other = pair

    assert (one < other) == (composite(one) < composite(other))
    assert (one == other) == (composite(one) == composite(other))
    assert (one[:2] == other[:2]) == composite(other).startswith(composite(one[:2]))


def test_nothing_of_the_key_of_a_plain_index_changes(bench: Any) -> None:
    """A condition with further attributes is refused there."""
    bench.put("a", g1pk={"S": "x"}, g1sk={"S": "y"})
    asked = KeyCondition("g1pk", {"S": "x"}, others=(("b", {"S": "B"}),))

    assert "ValidationException" == bench.code(Query(table=bench.table, index="GSI1", key=asked))
    assert {"pk", "sk"} == set(key("a", "1"))
