"""Consumed capacity follows the documented rules, on both engines, always with its indexes."""

from collections.abc import Callable
from typing import Any

import pytest

from common.dynamo.requests import (
    BatchGetItem,
    BatchWriteItem,
    ConditionCheck,
    DeleteItem,
    Exists,
    GetItem,
    KeyCondition,
    PutItem,
    Query,
    Request,
    TransactGetItems,
    TransactWriteItems,
    Update,
    UpdateItem,
)
from common.dynamo.testing.values import B, N, S, const, key, path

OVERHEAD = len("pk" + "a" + "sk" + "1" + "v")


def sized(size: int, partition: str = "a", **attributes: Any) -> dict[str, Any]:
    """Return an item of *size* bytes, beside *attributes*."""
    return {**key(partition, "1"), "v": S("x" * (size - OVERHEAD)), **attributes}


def units(bench: Any, request: Request) -> tuple[float, dict[str, float]]:
    """Return the units of the table and those of each index, after checking that they add up."""
    answer = bench.send(request)
    assert 200 == answer.status, answer.body
    consumed = answer.body["ConsumedCapacity"]
    (consumed,) = consumed if isinstance(consumed, list) else (consumed,)
    table = consumed["Table"]["CapacityUnits"]
    indexes = {name: each["CapacityUnits"] for name, each in consumed.get("GlobalSecondaryIndexes", {}).items()}
    assert consumed["CapacityUnits"] == table + sum(indexes.values())
    assert bench.table == consumed["TableName"]
    return table, indexes


WRITES: list[tuple[int, int, float]] = [
    (0, 1024, 1.0),
    (0, 1025, 2.0),
    (0, 2048, 2.0),
    (2049, 100, 3.0),
    (100, 2049, 3.0),
]


@pytest.mark.parametrize(("before", "after", "expected"), WRITES)
def test_a_write_costs_its_larger_size(bench: Any, before: int, after: int, expected: float) -> None:
    """One unit per begun kilobyte of the item before or after, whichever is larger; twice in a transaction."""
    for factor, wrap in ((1, lambda put: put), (2, lambda put: TransactWriteItems(parts=(put,)))):
        bench.delete()
        if before:
            bench.send(PutItem(table=bench.table, item=sized(before)))

        assert (expected * factor, {}) == units(bench, wrap(PutItem(table=bench.table, item=sized(after))))


READS: list[tuple[int, float]] = [(100, 1.0), (4096, 1.0), (4097, 2.0), (8193, 3.0)]


@pytest.mark.parametrize(("size", "expected"), READS)
def test_a_read_costs_its_size(bench: Any, size: int, expected: float) -> None:
    """One unit per begun 4 KB, half for an eventual read, twice for a transactional one."""
    bench.send(PutItem(table=bench.table, item=sized(size)))
    eventual = GetItem(table=bench.table, key=key("a", "1"))
    consistent = GetItem(table=bench.table, key=key("a", "1"), consistent=True)
    keys = {bench.table: (key("a", "1"),)}

    assert (expected / 2, {}) == units(bench, eventual)
    assert (expected, {}) == units(bench, consistent)
    assert (expected / 2, {}) == units(bench, BatchGetItem(keys=keys))
    assert (expected, {}) == units(bench, BatchGetItem(keys=keys, consistent=True))
    assert (expected * 2, {}) == units(bench, TransactGetItems(parts=(eventual,)))
    assert (expected, {}) == units(bench, Query(table=bench.table, key=KeyCondition("pk", S("a")), consistent=True))


def test_reading_nothing_costs_the_least(bench: Any) -> None:
    """A missing item costs as one of no size."""
    assert (0.5, {}) == units(bench, GetItem(table=bench.table, key=key("a", "1")))
    assert (1.0, {}) == units(bench, GetItem(table=bench.table, key=key("a", "1"), consistent=True))
    assert (2.0, {}) == units(bench, TransactGetItems(parts=(GetItem(table=bench.table, key=key("a", "1")),)))
    assert (0.5, {}) == units(bench, Query(table=bench.table, key=KeyCondition("pk", S("a"))))


def test_a_projection_costs_the_whole_item(bench: Any) -> None:
    """What is left out has been read all the same."""
    bench.send(PutItem(table=bench.table, item=sized(5000)))

    request = GetItem(table=bench.table, key=key("a", "1"), projection=(path("sk"),))
    bench.check((1.0, {}), units(bench, request), "projected-reads")


def test_a_query_rounds_its_sum(bench: Any) -> None:
    """Ten items of 1 KB cost as 10 KB, not as ten reads; what the filter drops was read too."""
    for number in range(10):
        bench.put("a", str(number), v=S("x" * 1000))
    request = Query(table=bench.table, key=KeyCondition("pk", S("a")), filter=Exists(path("q")))

    assert (1.5, {}) == units(bench, request)


def test_a_query_of_an_index_costs_what_the_index_holds(bench: Any) -> None:
    """The table is not charged; an index of keys is cheap to read."""
    for number in range(10):
        bench.put("a", str(number), g1pk=S("g"), g1sk=S("1"), g2pk=S("g"), v=S("x" * 1000))
    whole = Query(table=bench.table, index="GSI1", key=KeyCondition("g1pk", S("g")))
    keys = Query(table=bench.table, index="GSI2", key=KeyCondition("g2pk", S("g")))

    assert (0.0, {"GSI1": 1.5}) == units(bench, whole)
    assert (0.0, {"GSI2": 0.5}) == units(bench, keys)


def test_a_delete_costs_what_was_there(bench: Any) -> None:
    """Deleting nothing costs one unit."""
    bench.send(PutItem(table=bench.table, item=sized(2049)))
    request = DeleteItem(table=bench.table, key=key("a", "1"))

    assert (3.0, {}) == units(bench, request)
    assert (1.0, {}) == units(bench, request)


def test_a_check_in_a_transaction_costs_as_a_write(bench: Any) -> None:
    """Twice the units of the item it looks at, though it changes nothing."""
    bench.send(PutItem(table=bench.table, item=sized(2049)))

    assert (6.0, {}) == units(
        bench,
        TransactWriteItems(parts=(ConditionCheck(table=bench.table, key=key("a", "1"), condition=Exists(path("v"))),)),
    )


G1 = {"g1pk": S("g"), "g1sk": S("1")}
MOVED = {"g1pk": S("g"), "g1sk": S("2")}
G3 = {"g2pk": S("g"), "num": N(1)}
INDEX_WRITES: list[tuple[str, dict[str, Any] | None, dict[str, Any], dict[str, float]]] = [
    ("an item outside the index", None, {}, {}),
    ("half an index key", None, {"g1pk": S("g")}, {}),
    ("a new entry", None, G1, {"GSI1": 1.0}),
    ("a large new entry", None, {**G1, "v": S("x" * 2000)}, {"GSI1": 2.0}),
    ("an entry that moves", G1, MOVED, {"GSI1": 2.0}),
    ("a large entry that moves and shrinks", {**G1, "v": S("x" * 2000)}, MOVED, {"GSI1": 3.0}),
    ("an entry that goes", G1, {}, {"GSI1": 1.0}),
    ("a projected change", {**G1, "n": N(1)}, {**G1, "n": N(2)}, {"GSI1": 1.0}),
    ("a projected change that shrinks", {**G1, "v": S("x" * 2000)}, G1, {"GSI1": 2.0}),
    ("no change", {**G1, "n": N(1)}, {**G1, "n": N("1.0")}, {}),
    ("a change that keys alone do not show", {"g2pk": S("g"), "a": S("1")}, {"g2pk": S("g"), "a": S("2")}, {}),
    ("entries in two indexes", None, G3, {"GSI2": 1.0, "GSI3": 1.0}),
    ("a change of what one index includes", {**G3, "a": S("1")}, {**G3, "a": S("2")}, {"GSI3": 1.0}),
    ("a change that neither shows", {**G3, "b": S("1")}, {**G3, "b": S("2")}, {}),
    ("a sort key of one index", G3, {**G3, "num": N(2)}, {"GSI3": 2.0}),
    ("members of a set in another order", {**G3, "a": {"SS": ["x", "y"]}}, {**G3, "a": {"SS": ["y", "x"]}}, {}),
]


@pytest.mark.parametrize(
    ("before", "after", "indexes"), [row[1:] for row in INDEX_WRITES], ids=[row[0] for row in INDEX_WRITES]
)
@pytest.mark.parametrize("kind", ["put", "batch", "transaction", "update"])
def test_an_index_is_charged_for_what_changes_in_it(
    bench: Any, kind: str, before: dict[str, Any] | None, after: dict[str, Any], indexes: dict[str, float]
) -> None:
    """An entry that comes, goes or changes costs its size, one that moves costs both; once, also in a transaction."""
    if before is not None:
        bench.put(**before)
    _, found = units(bench, WRITERS[kind](bench.table, before or {}, after))

    assert indexes == found


def by_update(table: str, before: dict[str, Any], after: dict[str, Any]) -> Request:
    gone = tuple(path(name) for name in before if name not in after)
    sets = tuple((path(name), const(value)) for name, value in after.items())
    return UpdateItem(table=table, key=key("a", "1"), update=Update(set=sets, remove=gone))


def as_put(table: str, after: dict[str, Any]) -> PutItem:
    return PutItem(table=table, item={**key("a", "1"), **after})


WRITERS: dict[str, Callable[[str, dict[str, Any], dict[str, Any]], Request]] = {
    "put": lambda table, _before, after: as_put(table, after),
    "batch": lambda table, _before, after: BatchWriteItem(writes={table: (as_put(table, after),)}),
    "transaction": lambda table, _before, after: TransactWriteItems(parts=(as_put(table, after),)),
    "update": by_update,
}

SIZES: list[tuple[dict[str, Any], int]] = [
    (S(""), 0),
    (S("é"), 2),
    (B(b"123"), 3),
    ({"BOOL": True}, 1),
    ({"NULL": True}, 1),
    ({"L": []}, 3),
    ({"L": [S("a"), N(1)]}, 8),
    ({"M": {}}, 3),
    ({"M": {"a": S("b")}}, 6),
    ({"M": {"a": {"L": [{"BOOL": False}]}}}, 10),
    ({"SS": ["a", "bb"]}, 3),
    ({"NS": ["1", "22"]}, 4),
    ({"BS": [b"1", b"22"]}, 3),
    (N(0), 1),
    (N(1), 2),
    (N(-1), 3),
    (N(12), 2),
    (N(123), 3),
    (N(1000), 2),
    (N(1001), 3),
    (N("0.001"), 2),
    (N("0.012"), 2),
    (N("1.5"), 3),
    (N("10.5"), 3),
    (N("100.5"), 4),
    (N("1.005"), 4),
    (N("-999.9"), 5),
    (N("12345678901234567.89"), 11),
    (N("9" * 38), 20),
    (N("1e40"), 2),
]


@pytest.mark.parametrize(("value", "size"), SIZES, ids=[str(row[0])[:40] for row in SIZES])
def test_a_value_has_the_size_that_engines_count(bench: Any, value: dict[str, Any], size: int) -> None:
    """Filled up to exactly 1 KB an item costs one unit, with a byte more it costs two."""
    room = 1024 - len("w") - size

    exact = units(bench, PutItem(table=bench.table, item=sized(room, "a", w=value)))
    over = units(bench, PutItem(table=bench.table, item=sized(room + 1, "b", w=value)))

    assert ((1.0, {}), (2.0, {})) == (exact, over)
