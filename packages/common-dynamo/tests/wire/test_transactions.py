"""Transactions and batches keep DynamoDB's rules, on both engines."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from common.dynamo.requests import (
    BatchGetItem,
    BatchWriteItem,
    Compare,
    ConditionCheck,
    DeleteItem,
    Exists,
    GetItem,
    NotExists,
    Plus,
    PutItem,
    TransactGetItems,
    TransactPart,
    TransactWriteItems,
    Update,
    UpdateItem,
)
from common.dynamo.testing.values import N, S, const, key, path

REFUSED, CANCELLED = "ValidationException", "TransactionCanceledException"
Parts = Callable[[str], tuple[TransactPart, ...]]


def put(table: str, partition: str, condition: Any = None, **attributes: Any) -> PutItem:
    return PutItem(table=table, item={**key(partition, "1"), **attributes}, condition=condition)


def add(table: str, partition: str, number: int, condition: Any = None) -> UpdateItem:
    update = Update(add=((path("n"), const(N(number))),))
    return UpdateItem(table=table, key=key(partition, "1"), update=update, condition=condition)


def change(table: str, partition: str, *pairs: Any) -> UpdateItem:
    return UpdateItem(table=table, key=key(partition, "1"), update=Update(set=pairs))


def delete(table: str, partition: str, condition: Any = None) -> DeleteItem:
    return DeleteItem(table=table, key=key(partition, "1"), condition=condition)


def check(table: str, partition: str, condition: Any) -> ConditionCheck:
    return ConditionCheck(table=table, key=key(partition, "1"), condition=condition)


def transact(bench: Any, *parts: TransactPart, token: str | None = None) -> Any:
    return bench.send(TransactWriteItems(parts=parts, token=token))


def test_all_parts_are_done(bench: Any) -> None:
    """Put, update, delete and check succeed together."""
    table = bench.table
    bench.put("old", "1")
    bench.put("seen", "1", n=N(1))

    answer = transact(
        bench,
        put(table, "new", n=N(1)),
        add(table, "sum", 5),
        delete(table, "old"),
        check(table, "seen", Exists(path("n"))),
    )

    assert 200 == answer.status
    assert [{"n": N(1)}, {"n": N(5)}, None, {"n": N(1)}] == [bench.get(name) for name in ("new", "sum", "old", "seen")]


def test_one_failed_condition_undoes_all(bench: Any) -> None:
    """Reasons come one per part, in the order of the request, failed ones with the stored item."""
    table = bench.table
    bench.put("a", "1", n=N(1))

    answer = transact(
        bench,
        put(table, "b"),
        add(table, "a", 5, Compare("=", path("n"), const(N(2)))),
        check(table, "a2", Exists(path("pk"))),
        delete(table, "c"),
    )

    reasons = answer.body["CancellationReasons"]
    assert CANCELLED == answer.body["__type"]
    assert ["None", "ConditionalCheckFailed", "ConditionalCheckFailed", "None"] == [each["Code"] for each in reasons]
    assert {**key("a", "1"), "n": N(1)} == reasons[1]["Item"]
    assert "Item" not in reasons[2]
    assert (None, {"n": N(1)}) == (bench.get("b"), bench.get("a"))


@pytest.mark.parametrize("position", range(4))
def test_each_position_can_be_the_one_that_fails(bench: Any, position: int) -> None:
    """The reason stands at the place of its part."""
    parts = [put(bench.table, f"p{number}") for number in range(4)]
    parts[position] = put(bench.table, f"p{position}", Exists(path("pk")))

    reasons = transact(bench, *parts).body["CancellationReasons"]

    assert [position] == [number for number, each in enumerate(reasons) if each["Code"] != "None"]


RULES: list[tuple[str, Parts, str, str | None]] = [
    ("no part", lambda table: (), REFUSED, None),
    ("100 parts", lambda table: tuple(put(table, str(number)) for number in range(100)), "OK", None),
    ("101 parts", lambda table: tuple(put(table, str(number)) for number in range(101)), REFUSED, None),
    ("two parts on one item", lambda table: (put(table, "a"), add(table, "a", 1)), REFUSED, None),
    (
        "a check and a write of one item",
        lambda table: (put(table, "a"), check(table, "a", NotExists(path("q")))),
        REFUSED,
        None,
    ),
    (
        "over 4 MB",
        lambda table: tuple(put(table, str(number), v=S("x" * 399_000)) for number in range(11)),
        REFUSED,
        None,
    ),
    ("an unknown table", lambda table: (put(table, "a"), put("nowhere", "a")), "ResourceNotFoundException", None),
    ("an empty key", lambda table: (put(table, "a"), put(table, "")), REFUSED, None),
    ("a value that is none", lambda table: (put(table, "a"), put(table, "b", v=N("x"))), REFUSED, None),
    ("half a key", lambda table: (put(table, "a"), PutItem(table=table, item={"pk": S("b")})), CANCELLED, None),
    ("an index key of another type", lambda table: (put(table, "a"), put(table, "b", g1pk=N(1))), CANCELLED, None),
    ("an empty set", lambda table: (put(table, "a"), put(table, "b", v={"SS": []})), REFUSED, "lax-transactions"),
    (
        "overlapping paths",
        lambda table: (put(table, "a"), change(table, "b", (path("x"), const(N(1))), (path("x"), const(N(2))))),
        REFUSED,
        "lax-transactions",
    ),
    (
        "a change of the key",
        lambda table: (put(table, "a"), change(table, "b", (path("pk"), const(S("c"))))),
        REFUSED,
        "moves-items",
    ),
    (
        "a change that does not fit the item",
        lambda table: (put(table, "a"), change(table, "b", (path("n"), Plus(path("q"), const(N(1)))))),
        CANCELLED,
        None,
    ),
]


@pytest.mark.parametrize(("parts", "code", "fault"), [row[1:] for row in RULES], ids=[row[0] for row in RULES])
def test_a_transaction_outside_the_rules_does_nothing(bench: Any, parts: Parts, code: str, fault: str | None) -> None:
    """What is wrong in itself is refused, what does not fit table or item cancels; nothing is written either way."""
    found = bench.code(TransactWriteItems(parts=parts(bench.table)))

    bench.check(code, found, fault)
    if code != "OK" and not (fault and bench.is_dynoxide):
        assert bench.get("a") is None


def test_a_validation_error_has_its_reason_in_place(bench: Any) -> None:
    """A change that does not fit the stored item is named in the reasons, beside those that would have done."""
    bench.put("a", "1", n=S("text"))

    answer = transact(bench, put(bench.table, "b"), change(bench.table, "a", (path("n"), Plus(path("n"), const(N(1))))))

    assert ["None", "ValidationError"] == [each["Code"] for each in answer.body["CancellationReasons"]]
    assert bench.get("b") is None


# Tokens ---------------------------------------------------------------------------------------------------------------


def test_a_token_is_answered_once_done(bench: Any) -> None:
    """The same request with the same token is not done again, and is charged for reading."""
    token = uuid4().hex
    first = transact(bench, add(bench.table, "a", 1), token=token)
    second = transact(bench, add(bench.table, "a", 1), token=token)

    assert (200, 200) == (first.status, second.status)
    assert {"n": N(1)} == bench.get("a")
    assert (2.0, 2.0) == (
        first.body["ConsumedCapacity"][0]["WriteCapacityUnits"],
        second.body["ConsumedCapacity"][0]["ReadCapacityUnits"],
    )


def test_a_token_belongs_to_one_request(bench: Any) -> None:
    """Another request under the same token is refused, and not done."""
    token = uuid4().hex
    transact(bench, add(bench.table, "a", 1), token=token)

    answer = transact(bench, add(bench.table, "a", 2), token=token)

    assert "IdempotentParameterMismatchException" == answer.body["__type"]
    assert {"n": N(1)} == bench.get("a")


def test_the_order_of_attributes_is_no_difference(bench: Any) -> None:
    """A request is the same request however its maps are ordered."""
    token = uuid4().hex
    transact(bench, PutItem(table=bench.table, item={**key("a", "1"), "x": N(1), "y": N(2)}), token=token)

    answer = transact(bench, PutItem(table=bench.table, item={"y": N(2), "x": N(1), **key("a", "1")}), token=token)

    assert 200 == answer.status


def test_a_cancelled_transaction_keeps_no_token(bench: Any) -> None:
    """The same token may succeed later, when the condition holds."""
    token = uuid4().hex
    request = (add(bench.table, "a", 1, Exists(path("pk"))),)
    assert 400 == transact(bench, *request, token=token).status
    bench.put("a", "1", n=N(1))

    assert 200 == transact(bench, *request, token=token).status
    assert {"n": N(2)} == bench.get("a")


@pytest.mark.parametrize(("token", "fault"), [("", "empty-tokens"), ("x" * 37, None)], ids=["empty", "37"])
def test_a_token_has_1_to_36_characters(bench: Any, token: str, fault: str | None) -> None:
    """Others are refused."""
    bench.check(REFUSED, bench.code(TransactWriteItems(parts=(put(bench.table, "a"),), token=token)), fault)


# Transactional reads --------------------------------------------------------------------------------------------------


def test_a_transactional_read_keeps_the_order(bench: Any) -> None:
    """Found items stand where they were asked for, missing ones leave a gap."""
    bench.put("a", "1", n=N(1))
    bench.put("c", "1", n=N(3))
    parts = tuple(GetItem(table=bench.table, key=key(name, "1")) for name in ("c", "b", "a"))

    responses = bench.send(TransactGetItems(parts=parts)).body["Responses"]

    assert [N(3), None, N(1)] == [each.get("Item", {}).get("n") for each in responses]


@pytest.mark.parametrize(("count", "code"), [(0, REFUSED), (100, "OK"), (101, REFUSED)])
def test_a_transactional_read_has_100_parts_at_most(bench: Any, count: int, code: str) -> None:
    """One more is refused, none at all is refused."""
    parts = tuple(GetItem(table=bench.table, key=key(str(number), "1")) for number in range(count))

    assert code == bench.code(TransactGetItems(parts=parts))


def test_a_transactional_read_takes_each_item_once(bench: Any) -> None:
    """The same key twice is refused."""
    part = GetItem(table=bench.table, key=key("a", "1"))

    assert REFUSED == bench.code(TransactGetItems(parts=(part, part)))


# Batches --------------------------------------------------------------------------------------------------------------


def test_a_batch_writes_and_reads(bench: Any) -> None:
    """Puts and deletes are done, found items come back, missing ones do not."""
    bench.put("old", "1")
    writes = (*(put(bench.table, f"p{number}", n=N(number)) for number in range(24)), delete(bench.table, "old"))

    written = bench.send(BatchWriteItem(writes={bench.table: writes}))
    keys = (*(key(f"p{number}", "1") for number in range(24)), key("old", "1"))
    read = bench.send(BatchGetItem(keys={bench.table: keys}, consistent=True)).body

    assert {} == written.body["UnprocessedItems"]
    assert list(range(24)) == sorted(int(item["n"]["N"]) for item in read["Responses"][bench.table])
    assert {} == read["UnprocessedKeys"]


BATCHES: list[tuple[str, Callable[[str], BatchWriteItem | BatchGetItem]]] = [
    ("26 writes", lambda table: BatchWriteItem(writes={table: tuple(put(table, str(number)) for number in range(26))})),
    ("no write", lambda table: BatchWriteItem(writes={})),
    ("two writes of one item", lambda table: BatchWriteItem(writes={table: (put(table, "a"), delete(table, "a"))})),
    (
        "a wrong key",
        lambda table: BatchWriteItem(writes={table: (put(table, "b"), PutItem(table=table, item={"pk": S("a")}))}),
    ),
    ("101 keys", lambda table: BatchGetItem(keys={table: tuple(key(str(number), "1") for number in range(101))})),
    ("no key", lambda table: BatchGetItem(keys={})),
    ("a key twice", lambda table: BatchGetItem(keys={table: (key("a", "1"), key("a", "1"))})),
    ("half a key", lambda table: BatchGetItem(keys={table: ({"pk": S("a")},)})),
]


@pytest.mark.parametrize("request_of", [row[1] for row in BATCHES], ids=[row[0] for row in BATCHES])
def test_a_batch_outside_the_rules_does_nothing(bench: Any, request_of: Callable[[str], Any]) -> None:
    """It is refused as a whole."""
    assert REFUSED == bench.code(request_of(bench.table))
    assert bench.get("b") is None


def test_a_batch_of_reads_stops_at_16_mb(bench: Any) -> None:
    """What would not fit is left unprocessed, with its keys, and can be asked for again."""
    for number in range(45):
        bench.put(f"p{number}", "1", v=S("x" * 400_000))
    wanted = {bench.table: tuple(key(f"p{number}", "1") for number in range(45))}

    body = bench.send(BatchGetItem(keys=wanted)).body
    left = body["UnprocessedKeys"][bench.table]["Keys"]
    rest = bench.send(BatchGetItem(keys={bench.table: tuple(left)})).body

    assert left
    assert 45 == len(body["Responses"][bench.table]) + len(left)
    assert len(left) == len(rest["Responses"][bench.table])
