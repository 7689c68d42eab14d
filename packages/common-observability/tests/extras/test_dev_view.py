"""Traces on a terminal; needs the extra ``[dev]``."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from rich.console import Console

from common.observability.monitoring.dev import DevView, operation_table, render_trace
from common.observability.monitoring.spans import SpanRecord

GOLDEN = Path(__file__).parents[1] / "golden"
MS = 1_000_000


def span(name: str, parent: str | None = None, *, start: float, end: float | None, **more: Any) -> SpanRecord:
    """Return a span whose id is its name; times in milliseconds."""
    end_ns = None if end is None else int(end * MS)
    return SpanRecord(
        name=name, trace_id="t", span_id=name, parent_id=parent, start_ns=int(start * MS), end_ns=end_ns, **more
    )


def attributes(api: str, table: str, units: float, **more: Any) -> dict[str, Any]:
    """Return the attributes of a call of the data layer."""
    return {
        "db.system.name": "aws.dynamodb",
        "db.operation.name": api,
        "db.collection.name": table,
        "aws.dynamodb.consumed_capacity": (f'{{"TableName":"{table}","CapacityUnits":{units}}}',),
        **more,
    }


ORDER = [
    span("POST /orders", start=0, end=26.7, kind="SERVER"),
    span("UserDAO.get", "POST /orders", start=1, end=4.3, attributes=attributes("GetItem", "users", 0.5)),
    span(
        "OrderDAO.place", "POST /orders", start=12, end=22, failed=True,
        attributes=attributes(
            "TransactWriteItems", "orders", 8.0,
            **{"common.dynamo.transaction.cancellation_codes": ("TransactionConflict",)},
        ),
    ),
]  # fmt: skip
LATE = [
    span("GET /portfolio", start=0, end=10, kind="SERVER"),
    span("refresh", "GET /portfolio", start=8, end=20),
    span(
        "OrderDAO.list", "refresh", start=9, end=18,
        attributes=attributes("Query", "orders", 3.5, **{"common.dynamo.page.count": 3, "common.dynamo.retry.count": 2}),
    ),
    span("notify", "GET /portfolio", start=9.5, end=None),
]  # fmt: skip
PARALLEL = [
    span("job b", start=5, end=15),
    span("job a", start=0, end=10),
    span("UserDAO.get", "job b", start=6, end=7, attributes=attributes("GetItem", "users", 0.5)),
]
SERVICES = [
    span("POST /orders", start=0, end=40, kind="SERVER", service="gateway"),
    span("POST", "POST /orders", start=5, end=35, kind="CLIENT", service="gateway", attributes={"server.address": "ledger"}),
    span("POST /entries", "POST", start=8, end=33, kind="SERVER", service="ledger"),
    span(
        "BalanceDAO.deposit", "POST /entries", start=10, end=30, service="ledger",
        attributes=attributes("TransactWriteItems", "app", 4.0),
    ),
    span("Überweisung 送金 [bold]", "POST /entries", start=31, end=32, service="ledger"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "spans"), [("order", ORDER), ("late", LATE), ("parallel", PARALLEL), ("services", SERVICES)]
)
def test_a_trace_is_drawn_as_a_tree(name: str, spans: list[SpanRecord]) -> None:
    """Guides, methods, calls, times, waterfall, units, pages, retries and errors, at width 100, character by character."""
    assert (GOLDEN / f"tree_{name}.txt").read_text() == render_trace(spans, width=100).plain


def test_long_names_are_cut_so_that_bars_stay_in_line() -> None:
    """A name longer than its column ends in an ellipsis."""
    text = render_trace([span("x" * 500, start=0, end=1), span("y", start=0, end=1)], width=80).plain

    first, second = text.splitlines()
    assert "…" in first
    assert first.index("|") == second.index("|")


@pytest.mark.parametrize(("width", "bar"), [(100, 24), (80, 12), (66, 0)])
def test_bars_give_way_to_names(width: int, bar: int) -> None:
    """Where names would be cut, bars are half as long, then left out; they stay where the name is cut all the same."""
    text = render_trace([span("n" * 40, start=0, end=1)], width=width).plain

    assert "n" * 40 in text
    assert "━" * bar == "".join(letter for letter in text if letter == "━")
    assert max(map(len, text.splitlines())) <= width


def test_markup_in_names_is_only_text() -> None:
    """Square brackets are no styles, and control characters of a terminal do not get through."""
    console = Console(file=io.StringIO(), width=100)
    console.print(render_trace([span("[bold red]x[/]\x1b[2J", start=0, end=1)]))

    assert "[bold red]x[/]�[2J " in console.file.getvalue()  # type: ignore[attr-defined]


def test_operations_are_drawn_as_a_table() -> None:
    """20 spans of three operations, character by character."""
    spans = [
        *(span(f"UserDAO.get{n}", start=0, end=n, attributes=named("UserDAO.get", "GetItem", "users", 0.5)) for n in range(1, 13)),
        *(span(f"OrderDAO.place{n}", start=0, end=10 * n, failed=n == 3, attributes=named("OrderDAO.place", "TransactWriteItems", "orders", 8)) for n in range(1, 6)),
        *(span(f"Invoice.query{n}", start=0, end=2.5, attributes=named("Invoice.query", "Query", "billing", 1.5)) for n in range(3)),
    ]  # fmt: skip
    console = Console(file=io.StringIO(), width=100)
    console.print(operation_table(spans))

    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert (GOLDEN / "operations.txt").read_text() == drawn


def test_the_one_table_of_all_operations_is_told_above_them() -> None:
    """So that names of operations are whole in 80 columns."""
    kinds = [("UserDAO.authenticate", "GetItem"), ("BalanceDAO.withdraw", "TransactWriteItems")]
    spans = [span(method, start=0, end=123.4, attributes=named(method, api, "exchange", 1000)) for method, api in kinds]
    console = Console(file=io.StringIO(), width=80)
    console.print(operation_table(spans))

    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Operations on exchange" in drawn
    assert 1 == drawn.count("exchange")
    assert all(text in drawn for pair in kinds for text in pair)


def test_long_names_of_operations_are_whole_without_the_column_of_apis() -> None:
    """In 80 columns, as wide as the longest names are."""
    longest = "RevocationStore.raise_epoch"
    spans = [span(longest, start=0, end=123.4, attributes=named(longest, "TransactWriteItems", "exchange", 1000))]
    console = Console(file=io.StringIO(), width=80)
    console.print(operation_table(spans, with_api=False))

    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert longest in drawn
    assert "TransactWriteItems" not in drawn


def named(method: str, api: str, table: str, units: float) -> dict[str, Any]:
    """Return the attributes of a call of *method*."""
    return attributes(api, table, units, **{"db.query.summary": method})


class Watched:
    """A provider with a view, and what the view prints."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.view = DevView(self.stream, width=100)
        self.provider = TracerProvider(resource=Resource({"service.name": "orders"}), shutdown_on_exit=False)
        self.provider.add_span_processor(self.view)
        self.tracer = self.provider.get_tracer("test")

    def start(self, name: str, parent: Any = None, start: float = 0, **more: Any) -> Any:
        """Start a span at *start* milliseconds."""
        context = set_span_in_context(parent) if parent is not None else None
        return self.tracer.start_span(name, context, start_time=int(start * MS), **more)


def test_the_view_prints_each_tree_when_its_root_ends() -> None:
    """Two roots in parallel are two trees, each with its own spans; one that is open at the end is shown as open."""
    watched = Watched()
    one, two = watched.start("GET /a"), watched.start("GET /b", kind=SpanKind.SERVER)
    child = watched.start("UserDAO.get", one, 1, attributes=attributes("GetItem", "users", 0.5))
    still_open = watched.start("background", two, 1)
    child.set_status(Status(StatusCode.ERROR))
    child.end(2 * MS)
    two.end(10 * MS)
    one.end(20 * MS)
    still_open.end(30 * MS)

    assert (GOLDEN / "view.txt").read_text() == watched.stream.getvalue()


def test_a_remote_parent_makes_a_local_root() -> None:
    """A request that another service sent is a tree of its own here."""
    watched = Watched()
    context = SpanContext(7, 7, is_remote=True, trace_flags=TraceFlags(1))
    watched.start("POST /entries", NonRecordingSpan(context)).end(10 * MS)

    assert watched.stream.getvalue().startswith("POST /entries ")


def test_the_table_of_operations_is_printed_at_the_end() -> None:
    """Once, by shutting down; without calls of the data layer there is none."""
    watched, idle = Watched(), Watched()
    watched.start("UserDAO.get", attributes=attributes("GetItem", "users", 0.5)).end(3 * MS)
    watched.provider.shutdown()
    idle.start("GET /").end()
    idle.provider.shutdown()

    assert ["UserDAO.get"] == [row.operation for row in watched.view.rows()]
    assert "Operations" in watched.stream.getvalue()
    assert "Operations" not in idle.stream.getvalue()
    assert watched.view.force_flush()


def test_dropped_spans_are_told_below_the_tree() -> None:
    """10,000 spans in one root draw 1,000 lines and a note."""
    watched = Watched()
    root = watched.start("root")
    for number in range(10_000):
        watched.start(f"s{number}", root, number).end((number + 1) * MS)
    root.end(10_000 * MS)

    lines = watched.stream.getvalue().splitlines()
    assert (1_001, "… 9,001 of the oldest spans dropped") == (len(lines), lines[-1])


def test_dropped_roots_are_told_too() -> None:
    """150 open traces leave 100; the next one that ends says how many were given up."""
    watched = Watched()
    roots = [watched.start(f"r{number}") for number in range(150)]
    for root in roots:
        root.end(MS)

    assert 1 == watched.stream.getvalue().count("… 50 other traces dropped while they were open")


@pytest.mark.parametrize(("environ", "argument"), [({"COMMON_OBS_DEV": "1"}, ""), ({}, "dev=True")])
def test_the_view_is_switched_on_by_environment_or_argument(environ: dict[str, str], argument: str) -> None:
    """Trees and the table go to standard error, logs stay on standard output."""
    program = f"""
import logging
from opentelemetry import trace
from common.observability import configure
configure(service_name="orders", {argument})
with trace.get_tracer("test").start_as_current_span("GET /a", attributes={{"db.system.name": "aws.dynamodb"}}):
    logging.info("hello")
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"PATH": "", **environ}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    assert "GET /a" in result.stderr.splitlines()[0]
    assert "Operations" in result.stderr
    assert 1 == len(result.stdout.splitlines())
