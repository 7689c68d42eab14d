"""The order and the words of a drawn trace, without any terminal."""

from typing import Any

import pytest

from common.observability.monitoring.operations import OperationTotals, operation_rows
from common.observability.monitoring.spans import SpanRecord
from common.observability.monitoring.trace_tree import BAR_CELLS, branches, capacity_units, tree_lines

MS = 1_000_000


def span(name: str, parent: str | None = None, *, start: float = 0, end: float | None = 10, **more: Any) -> SpanRecord:
    """Return a span whose id is its name; times in milliseconds."""
    end_ns = None if end is None else int(end * MS)
    return SpanRecord(
        name=name, trace_id="t", span_id=name, parent_id=parent, start_ns=int(start * MS), end_ns=end_ns, **more
    )


def call(name: str, api: str, table: str | tuple[str, ...], *, cu: float = 0.0, **more: Any) -> SpanRecord:
    """Return a span of the data layer."""
    attributes = {"db.system.name": "aws.dynamodb", "db.operation.name": api, "db.query.summary": name}
    if isinstance(table, str):
        attributes["db.collection.name"] = table
    extra: dict[str, Any] = {} if isinstance(table, str) else {"aws.dynamodb.table_names": table}
    if cu:
        extra["aws.dynamodb.consumed_capacity"] = (f'{{"TableName": "t", "CapacityUnits": {cu}}}',)
    own = more.pop("attributes", {})
    return span(name, **more, attributes={**attributes, **extra, **own})


def test_children_stand_below_their_parents_by_start() -> None:
    """Whatever order the spans come in."""
    spans = [span("c", "b", start=3), span("d", "a", start=2), span("b", "a", start=1), span("a")]

    assert [("", "a"), ("├─ ", "b"), ("│  └─ ", "c"), ("└─ ", "d")] == [
        (branch.guide, branch.span.name) for branch in branches(spans)
    ]


def test_a_span_whose_parent_is_missing_is_a_root() -> None:
    """As it is for a trace of which only a part was recorded, and for two roots in parallel."""
    spans = [span("b", "gone", start=1), span("a", start=0), span("c", "b", start=2)]

    assert [("", "a"), ("", "b"), ("└─ ", "c")] == [(branch.guide, branch.span.name) for branch in branches(spans)]


def test_spans_that_are_each_others_parents_are_drawn_once() -> None:
    """Broken data is drawn, and does not hang."""
    assert ["a", "b"] == sorted(branch.span.name for branch in branches([span("a", "b"), span("b", "a")]))


def test_a_trace_deeper_than_pythons_stack_is_drawn() -> None:
    """10,000 levels."""
    spans = [span(str(level), str(level - 1) if level else None, start=level) for level in range(10_000)]

    assert 10_000 == len(branches(spans))


def test_nothing_is_drawn_of_nothing() -> None:
    """No spans, no lines."""
    assert [] == tree_lines([])


@pytest.mark.parametrize(
    ("start", "end", "first", "length"),
    [(0, 24, 0, 24), (0, 0, 0, 1), (24, 24, 23, 1), (6, 12, 6, 6), (12, None, 12, 12), (23.9, 24, 23, 1)],
)
def test_the_bar_shows_when_a_span_ran(start: float, end: float | None, first: int, length: int) -> None:
    """A cell of the 24 is a 24th of the whole; a short span has one, and an open one reaches to the end."""
    bar = tree_lines([span("whole", start=0, end=24), span("part", "whole", start=start, end=end)])[1].bar

    assert " " * first + "━" * length == bar.rstrip()
    assert BAR_CELLS == len(bar)


def test_a_child_that_ends_after_its_parent_stretches_the_scale() -> None:
    """The waterfall reaches to the latest end, whoever has it."""
    parent, child = tree_lines([span("a", end=12), span("b", "a", start=12, end=24)])

    assert ("━" * 12, " " * 12 + "━" * 12) == (parent.bar.rstrip(), child.bar)


def test_a_call_tells_method_api_table_and_units() -> None:
    """Several tables are joined, and the units of several calls added up."""
    spans = [
        call("OrderDAO.place", "TransactWriteItems", ("orders", "users"), cu=8),
        call("UserDAO.get", "GetItem", "users", cu=0.5, start=1),
    ]

    assert [
        ("OrderDAO.place", "TransactWriteItems orders,users", "8 CU"),
        ("UserDAO.get", "GetItem users", "0.5 CU"),
    ] == [(line.label, line.detail, line.facts) for line in tree_lines(spans)]


def test_pages_and_retries_are_told_where_there_are_any() -> None:
    """One page and no retry are not worth a word."""
    facts = [
        {"common.dynamo.page.count": 3, "common.dynamo.retry.count": 1},
        {"common.dynamo.page.count": 1, "common.dynamo.retry.count": 2},
        {},
    ]
    lines = tree_lines([call(f"D.{n}", "Query", "t", start=n, attributes=each) for n, each in enumerate(facts)])

    assert ["3 pages  1 retry", "2 retries", ""] == [line.facts for line in lines]


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"common.dynamo.transaction.cancellation_codes": ("TransactionConflict", "X")}, "TransactionConflict, X"),
        ({"db.response.status_code": "ProvisionedThroughputExceededException"}, "ProvisionedThroughputExceeded"),
        ({"error.type": "timeout"}, "timeout"),
        ({}, "error"),
    ],
)
def test_a_failure_is_told_by_its_code(attributes: dict[str, Any], error: str) -> None:
    """Cancellation codes first, then the code of the response, then the type of the error."""
    failed, fine = tree_lines(
        [span("a", failed=True, attributes=attributes), span("b", start=1, attributes=attributes)]
    )

    assert (error, "") == (failed.error, fine.error)


def test_services_are_named_where_a_trace_enters_them() -> None:
    """With several services the first span of each says which; with one there is nothing to tell."""
    spans = [
        span("POST /orders", service="shop"),
        span("work", "POST /orders", start=1, service="shop"),
        span("POST", "work", start=2, service="shop", kind="CLIENT", attributes={"server.address": "ledger"}),
        span("POST /entries", "POST", start=3, service="ledger"),
    ]

    assert ["[shop]", "", "→ ledger", "[ledger]"] == [line.detail for line in tree_lines(spans)]
    assert ["", ""] == [line.detail for line in tree_lines(spans[:2])]


def test_capacity_that_cannot_be_read_counts_nothing() -> None:
    """A foreign span may have anything under the name."""
    broken = ("no json", "{}", "[]", '{"CapacityUnits": "x"}', '{"CapacityUnits": 1.5}')

    assert 1.5 == capacity_units(span("a", attributes={"aws.dynamodb.consumed_capacity": broken}))


def test_operations_are_counted_by_method_api_and_table() -> None:
    """Calls, errors, median, maximum and units of each; spans that are no calls of the data layer stay out."""
    spans = [
        *(call("UserDAO.get", "GetItem", "users", cu=0.5, end=ms) for ms in (1, 2, 9)),
        call("OrderDAO.place", "TransactWriteItems", "orders", cu=8, end=4, failed=True),
        span("POST /orders"),
    ]

    first, second = operation_rows(spans)
    assert ("OrderDAO.place", "TransactWriteItems", "orders", 1, 1, 4.0, 4.0, 8.0) == (
        first.operation, first.api, first.table, first.calls, first.errors, first.p50_ms, first.max_ms, first.units
    )  # fmt: skip
    assert ("UserDAO.get", 3, 0, 2.0, 9.0, 1.5) == (
        second.operation, second.calls, second.errors, second.p50_ms, second.max_ms, second.units
    )  # fmt: skip


def test_operations_stay_bounded() -> None:
    """What comes after 500 different operations is counted as one more."""
    totals = OperationTotals()
    for number in range(600):
        totals.add(call(f"D.{number}", "GetItem", "t"))

    rows = {row.operation: row.calls for row in totals.rows()}
    assert 501 == len(rows)
    assert 100 == rows["(others)"]
