"""Queries and scans find what they find in DynamoDB, in its order, page by page, on both engines."""

from typing import Any

import pytest

from common.dynamo.requests import (
    Compare,
    CreateTable,
    Exists,
    GetItem,
    KeyCondition,
    KeySchema,
    PutItem,
    Query,
    Scan,
    SortCondition,
    TableDefinition,
)
from common.dynamo.testing import fresh_table_name
from common.dynamo.testing.values import B, N, S, const, key, path

REFUSED = "ValidationException"
BY_UTF8 = ["1", "10", "2", "B", "a", "a\x00", "aa", "ab", "a\uffff", "a\U0001f600", "ä"]
BY_VALUE = [
    "-1e20",
    "-101",
    "-100",
    "-99",
    "-10",
    "-1.5",
    "-1",
    "-1e-50",
    "0",
    "1e-50",
    "0.001",
    "1",
    "1.5",
    "2",
    "9.99",
]
BY_VALUE += ["10", "15", "99", "100", "101", "123456789012345678901234567890", "1e125"]


def query(bench: Any, **options: Any) -> Any:
    options.setdefault("key", KeyCondition("pk", S("p")))
    answer = bench.send(Query(table=bench.table, **options))
    assert 200 == answer.status, answer.body
    return answer.body


def sorts(body: Any) -> list[str]:
    return [item["sk"]["S"] for item in body["Items"]]


def within(op: Any, low: str, high: str | None = None) -> KeyCondition:
    return KeyCondition("pk", S("p"), "sk", SortCondition(op, S(low), None if high is None else S(high)))


@pytest.fixture
def texts(bench: Any) -> Any:
    """A partition of texts, put in disorder."""
    for position, text in enumerate(sorted(BY_UTF8, key=lambda text: text[::-1])):
        bench.put("p", text, n=N(position), g1pk=S("g"), g1sk=S("same"))
    bench.put("other", "1")
    return bench


def test_strings_sort_by_their_utf8_bytes(texts: Any) -> None:
    """Neither UTF-16 nor any language decides the order; shorter comes before longer."""
    assert BY_UTF8 == sorts(query(texts))
    assert BY_UTF8[::-1] == sorts(query(texts, forward=False))


RANGES: list[tuple[KeyCondition, list[str]]] = [
    (within("=", "a"), ["a"]),
    (within("<", "B"), ["1", "10", "2"]),
    (within("<=", "B"), ["1", "10", "2", "B"]),
    (within(">", "a\uffff"), ["a\U0001f600", "ä"]),
    (within(">=", "a\uffff"), ["a\uffff", "a\U0001f600", "ä"]),
    (within("between", "10", "a"), ["10", "2", "B", "a"]),
    (within("begins_with", "a"), ["a", "a\x00", "aa", "ab", "a\uffff", "a\U0001f600"]),
    (within("begins_with", "1"), ["1", "10"]),
    (within("begins_with", "zz"), []),
]


@pytest.mark.parametrize(
    ("condition", "expected"), RANGES, ids=[f"{row[0].sort.op}-{row[0].sort.value}" for row in RANGES]
)  # type: ignore[union-attr]
def test_a_range_is_exact_in_both_directions(texts: Any, condition: KeyCondition, expected: list[str]) -> None:
    """Ends are included where the operator says so."""
    assert expected == sorts(query(texts, key=condition))
    assert expected[::-1] == sorts(query(texts, key=condition, forward=False))


def test_numbers_sort_by_value(bench: Any) -> None:
    """Sign, magnitude and digits decide, whatever the notation."""
    table = fresh_table_name()
    schema = KeySchema("h", "r", partition_type="N", sort_type="N")
    bench.send(CreateTable(definition=TableDefinition(name=table, key=schema)))
    for number in sorted(BY_VALUE):
        bench.send(PutItem(table=table, item={"h": N("1.0"), "r": N(number)}))

    body = bench.send(Query(table=table, key=KeyCondition("h", N(1)))).body
    middle = KeyCondition("h", N("1.00"), "r", SortCondition("between", N("-1.50"), N("15.0")))

    assert [float(number) for number in BY_VALUE] == [float(item["r"]["N"]) for item in body["Items"]]
    assert 12 == bench.send(Query(table=table, key=middle)).body["Count"]


def test_binaries_sort_by_byte(bench: Any) -> None:
    """A byte above 0x7f is above, and a prefix of 0xff has an end."""
    table = fresh_table_name()
    bench.send(CreateTable(definition=TableDefinition(name=table, key=KeySchema("h", "r", sort_type="B"))))
    contents = [b"\x00", b"\x00\x00", b"\x7f", b"\x80", b"\xff", b"\xff\xff"]
    for content in reversed(contents):
        bench.send(PutItem(table=table, item={"h": S("p"), "r": B(content)}))

    every = bench.send(Query(table=table, key=KeyCondition("h", S("p")))).body["Items"]
    prefix = KeyCondition("h", S("p"), "r", SortCondition("begins_with", B(b"\xff")))

    assert contents == [item["r"]["B"] for item in every]
    assert contents[-2:] == [item["r"]["B"] for item in bench.send(Query(table=table, key=prefix)).body["Items"]]


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("index", [None, "GSI1"])
@pytest.mark.parametrize("size", [1, 3, 4])
def test_pages_follow_each_other_without_gap_or_repeat(texts: Any, size: int, index: str | None, forward: bool) -> None:
    """Each item comes exactly once, also where all have the same index key."""
    condition = KeyCondition("pk", S("p")) if index is None else KeyCondition("g1pk", S("g"))
    options = {"key": condition, "index": index, "forward": forward, "limit": size}
    found, start, pages = [], None, 0
    while pages == 0 or start is not None:
        body = query(texts, start=start, **options)
        found += sorts(body)
        start, pages = body.get("LastEvaluatedKey"), pages + 1

    assert sorted(BY_UTF8) == sorted(found)
    assert (BY_UTF8 if forward else BY_UTF8[::-1]) == found
    assert len(BY_UTF8) // size + 1 == pages


def test_a_page_that_ends_exactly_still_has_a_last_key(texts: Any) -> None:
    """DynamoDB does not look ahead: only the next, empty page tells that there is no more."""
    body = query(texts, limit=len(BY_UTF8))

    assert key("p", "ä") == body["LastEvaluatedKey"]
    assert "LastEvaluatedKey" not in query(texts, limit=len(BY_UTF8) + 1)
    assert [] == query(texts, limit=1, start=body["LastEvaluatedKey"])["Items"]


def test_a_start_need_not_be_an_item(texts: Any) -> None:
    """Reading goes on behind the key, though its item has been deleted meanwhile."""
    assert ["aa", "ab", "a\uffff", "a\U0001f600", "ä"] == sorts(query(texts, start=key("p", "a5")))


def test_the_limit_counts_before_the_filter(texts: Any) -> None:
    """A page may be empty and still not be the last."""
    body = query(texts, filter=Exists(path("nowhere")), limit=4)

    assert (0, 4) == (body["Count"], body["ScannedCount"])
    assert key("p", "B") == body["LastEvaluatedKey"]


def test_a_filter_leaves_what_holds(texts: Any) -> None:
    """Count is what is returned, ScannedCount what was looked at."""
    body = query(texts, filter=Compare("<", path("n"), const(N(3))))

    assert (3, len(BY_UTF8)) == (body["Count"], body["ScannedCount"])
    assert 3 == len(body["Items"])


def test_a_count_brings_no_items(texts: Any) -> None:
    """Select=COUNT answers with numbers alone."""
    body = query(texts, count_only=True, filter=Compare("<", path("n"), const(N(3))))

    assert (3, len(BY_UTF8)) == (body["Count"], body["ScannedCount"])
    assert "Items" not in body


def test_a_projection_leaves_the_named_parts(bench: Any) -> None:
    """Nested parts keep their place, elements of a list close up, what is missing is left out."""
    bench.put("p", "1", a=S("x"), m={"M": {"x": N(1), "y": {"L": [N(1), N(2), N(3)]}}})
    paths = (path("m", "y", 2), path("m", "y", 0), path("q"), path("a"), path("m", "nope"))

    body = query(bench, projection=paths)
    item = bench.send(GetItem(table=bench.table, key=key("p", "1"), projection=paths)).body["Item"]

    assert [{"a": S("x"), "m": {"M": {"y": {"L": [N(1), N(3)]}}}}] == body["Items"]
    assert body["Items"][0] == item


REFUSALS: list[tuple[str, dict[str, Any], str | None]] = [
    ("no limit", {"limit": 0}, None),
    ("another partition key", {"key": KeyCondition("nope", S("p"))}, None),
    ("another sort key", {"key": KeyCondition("pk", S("p"), "nope", SortCondition("=", S("a")))}, None),
    ("a partition of another type", {"key": KeyCondition("pk", N(1))}, "lax-key-types"),
    ("an empty partition", {"key": KeyCondition("pk", S(""))}, "lax-key-types"),
    ("a range of another type", {"key": KeyCondition("pk", S("p"), "sk", SortCondition("=", N(1)))}, "lax-key-types"),
    ("between from high to low", {"key": within("between", "b", "a")}, None),
    ("an unknown index", {"index": "NOPE"}, None),
    ("a consistent read of an index", {"key": KeyCondition("g1pk", S("g")), "index": "GSI1", "consistent": True}, None),
    ("a filter on the key", {"filter": Compare("=", path("sk"), const(S("a")))}, None),
    (
        "a filter on the index key",
        {"key": KeyCondition("g1pk", S("g")), "index": "GSI1", "filter": Exists(path("g1sk"))},
        None,
    ),
    ("a start without sort key", {"start": {"pk": S("p")}}, None),
    ("a start of another type", {"start": {"pk": S("p"), "sk": N(1)}}, None),
    ("a start with more than the key", {"start": {**key("p", "a"), "x": S("y")}}, None),
    ("a start in another partition", {"start": key("q", "a")}, "foreign-start"),
    ("a start outside the range", {"key": within(">", "b"), "start": key("p", "a")}, "foreign-start"),
    (
        "an index start without index key",
        {"key": KeyCondition("g1pk", S("g")), "index": "GSI1", "start": key("p", "a")},
        None,
    ),
    ("two overlapping projections", {"projection": (path("m"), path("m", "x"))}, None),
    (
        "a projection that the index lacks",
        {"key": KeyCondition("g2pk", S("g")), "index": "GSI2", "projection": (path("n"),)},
        "unprojected",
    ),
]


@pytest.mark.parametrize(("options", "fault"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_a_query_that_cannot_be_meant_is_refused(texts: Any, options: dict[str, Any], fault: str | None) -> None:
    """It is a validation error, never an empty page."""
    request = Query(table=texts.table, **{"key": KeyCondition("pk", S("p")), **options})

    texts.check(REFUSED, texts.code(request), fault)


def test_an_index_is_sparse(bench: Any) -> None:
    """Only items with the whole index key are in it; losing half of it takes them out."""
    bench.put("p", "1", g1pk=S("g"), g1sk=S("1"))
    bench.put("p", "2", g1pk=S("g"))
    bench.put("p", "3", g1sk=S("3"))
    by_index = {"key": KeyCondition("g1pk", S("g")), "index": "GSI1"}

    assert ["1"] == sorts(query(bench, **by_index))
    bench.put("p", "1", g1pk=S("g"))
    assert [] == sorts(query(bench, **by_index))


def test_an_index_follows_every_write(bench: Any) -> None:
    """Moved, changed and deleted items are found where they are now, and nowhere else."""
    bench.put("p", "1", g1pk=S("g"), g1sk=S("1"), n=N(1))
    bench.put("p", "1", g1pk=S("h"), g1sk=S("2"), n=N(2))

    assert [] == query(bench, key=KeyCondition("g1pk", S("g")), index="GSI1")["Items"]
    (moved,) = query(bench, key=KeyCondition("g1pk", S("h")), index="GSI1")["Items"]
    assert N(2) == moved["n"]
    bench.delete("p", "1")
    assert [] == query(bench, key=KeyCondition("g1pk", S("h")), index="GSI1")["Items"]


def test_an_index_holds_what_it_projects(bench: Any) -> None:
    """KEYS_ONLY holds the keys, INCLUDE some attributes more, ALL everything."""
    item = {"g1pk": S("g"), "g1sk": S("1"), "g2pk": S("g"), "num": N(7), "a": S("a"), "b": S("b")}
    bench.put("p", "1", **item)
    keys = {**key("p", "1"), "g2pk": S("g")}

    def through(index: str, name: str) -> Any:
        return query(bench, key=KeyCondition(name, S("g")), index=index)["Items"]

    assert [{**key("p", "1"), **item}] == through("GSI1", "g1pk")
    assert [keys] == through("GSI2", "g2pk")
    assert [{**keys, "num": N(7), "a": S("a")}] == through("GSI3", "g2pk")


def test_a_filter_on_an_index_sees_what_the_index_holds(bench: Any) -> None:
    """An attribute that is not projected is missing there."""
    bench.put("p", "1", g2pk=S("g"), n=N(1))

    body = query(bench, key=KeyCondition("g2pk", S("g")), index="GSI2", filter=Exists(path("n")))

    assert (0, 1) == (body["Count"], body["ScannedCount"])


def test_a_page_has_1_mb_at_most(bench: Any) -> None:
    """It ends before the item that would not fit; the next page begins with it."""
    for number in range(12):
        bench.put("p", f"{number:02}", z=S("x" * 100_000))

    first = query(bench)
    second = query(bench, start=first["LastEvaluatedKey"])

    assert [f"{number:02}" for number in range(10)] == sorts(first)
    assert ["10", "11"] == sorts(second)
    bench.check(10, first["ScannedCount"], "counts-ahead")
    assert "LastEvaluatedKey" not in second


def test_a_scan_finds_every_item_once(bench: Any) -> None:
    """Page by page, in no particular order."""
    keys = [(f"p{number}", str(number % 3)) for number in range(20)]
    for partition, sort in keys:
        bench.put(partition, sort)
    found, start = [], None
    while True:
        body = bench.send(Scan(table=bench.table, limit=3, start=start)).body
        found += [(item["pk"]["S"], item["sk"]["S"]) for item in body["Items"]]
        start = body.get("LastEvaluatedKey")
        if start is None:
            break

    assert sorted(keys) == sorted(found)


def test_the_segments_of_a_scan_are_a_partition(bench: Any) -> None:
    """Each item is in exactly one segment."""
    for number in range(40):
        bench.put(f"p{number}", "1")

    segments = [
        [
            item["pk"]["S"]
            for item in bench.send(Scan(table=bench.table, segment=segment, total_segments=4)).body["Items"]
        ]
        for segment in range(4)
    ]

    assert sorted(f"p{number}" for number in range(40)) == sorted(name for segment in segments for name in segment)
    assert all(segments)


@pytest.mark.parametrize("options", [{"segment": 2, "total_segments": 2}, {"segment": 0}, {"limit": 0}])
def test_a_scan_that_cannot_be_meant_is_refused(bench: Any, options: dict[str, Any]) -> None:
    """A segment needs its total and is below it."""
    assert REFUSED == bench.code(Scan(table=bench.table, **options))


def test_a_scan_of_an_index_finds_what_is_in_it(bench: Any) -> None:
    """Items without the index key are not there, others as projected."""
    bench.put("p", "1", g2pk=S("g"), n=N(1))
    bench.put("p", "2", n=N(1))

    assert [{**key("p", "1"), "g2pk": S("g")}] == bench.send(Scan(table=bench.table, index="GSI2")).body["Items"]
